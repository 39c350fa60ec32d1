//! An answer of the API server as it comes, and not as a whole.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use kube::core::Status;

/// More than an error has to say.
const LARGEST_ERROR: usize = 64 << 10;

/// The body of an answer, piece by piece.
pub(super) struct Answer(Body);

impl Answer {
    /// The answer to `request`.
    ///
    /// # Errors
    /// Where there is none, or it is an error.
    pub(super) async fn to(client: &Client, request: hyper::Request<Vec<u8>>) -> kube::Result<Self> {
        let (head, body) = client.send(request.map(Body::from)).await?.into_parts();
        if head.status.is_client_error() || head.status.is_server_error() {
            let error = Limited::new(body, LARGEST_ERROR).collect().await;
            let error = error.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            return Err(kube::Error::Api(Box::new(status(head.status, &error))));
        }
        Ok(Self(body))
    }

    /// All of it, if it is not larger than `largest` bytes.
    ///
    /// # Errors
    /// Where it breaks off or is larger.
    pub(super) async fn whole(self, largest: usize) -> kube::Result<Bytes> {
        let whole = Limited::new(self.0, largest).collect().await.map_err(kube::Error::Service)?;
        Ok(whole.to_bytes())
    }

    /// Its next bytes; `None` at its end.
    pub(super) async fn next(&mut self) -> Option<kube::Result<Bytes>> {
        loop {
            match self.0.frame().await? {
                Ok(frame) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Some(Ok(bytes));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// As the API server says it, or by the code alone: a proxy in between may answer in a form of its own.
fn status(code: hyper::StatusCode, body: &[u8]) -> Status {
    let said = serde_json::from_slice::<Status>(body).ok().filter(|status| status.code != 0);
    said.unwrap_or_else(|| Status {
        code: code.as_u16(),
        message: code.canonical_reason().unwrap_or("no reason given").to_owned(),
        ..Status::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_servers_message_or_its_code() {
        let said = status(hyper::StatusCode::FORBIDDEN, br#"{"code":403,"message":"pods is forbidden"}"#);
        assert_eq!((said.code, said.message.as_str()), (403, "pods is forbidden"));
        for body in [&b"<html>"[..], b"{}", b""] {
            let bare = status(hyper::StatusCode::BAD_GATEWAY, body);
            assert_eq!((bare.code, bare.message.as_str()), (502, "Bad Gateway"));
        }
    }
}
