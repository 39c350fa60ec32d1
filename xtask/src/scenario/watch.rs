//! All that the API says of a namespace's pods, from the first event on: the API keeps nothing itself.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::access::Access;
use super::api::ApiView;
use super::feed::Feed;

/// A watch on the pods of one namespace.
#[derive(Debug)]
pub struct Watch(Feed<Value>);

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// When kubectl cannot be started.
    pub fn start(access: &Access, namespace: &str) -> Result<Self> {
        let mut command = access.kubectl();
        command.args(["get", "pods", "-n", namespace, "--watch", "--output-watch-events", "-o", "json"]);
        let decode =
            |stdout| serde_json::Deserializer::from_reader(stdout).into_iter::<Value>().map_while(Result::ok);
        Ok(Self(Feed::start(command, decode)?))
    }

    /// Waits until `found` finds what it looks for among all events so far.
    ///
    /// # Errors
    /// When `timeout` passes before.
    pub fn wait_for<R>(
        &self,
        what: &str,
        timeout: Duration,
        found: impl FnMut(&[Value]) -> Option<R>,
    ) -> Result<R> {
        self.0.wait_for(what, timeout, found)
    }

    /// Looks at the events so far.
    pub fn look<R>(&self, look: impl FnOnce(&[Value]) -> R) -> R {
        self.0.look(look)
    }

    /// The pods that were ever there: names by UID.
    #[must_use]
    pub fn pods(&self) -> BTreeMap<String, String> {
        let word = |event: &Value, key: &str| event["object"]["metadata"][key].as_str().map(str::to_owned);
        self.look(|events| {
            events.iter().filter_map(|event| Some((word(event, "uid")?, word(event, "name")?))).collect()
        })
    }

    /// What the API has said so far of the session that this record is about.
    #[must_use]
    pub fn view(&self, record: &Value) -> ApiView {
        self.look(|events| ApiView::of(events, record))
    }

    /// Waits until the API will say no more of it.
    ///
    /// # Errors
    /// When `timeout` passes before.
    pub fn wait_until_final(&self, record: &Value, timeout: Duration) -> Result<()> {
        let what = format!("the API's final status of {}", record["container_name"]);
        self.wait_for(&what, timeout, |events| ApiView::of(events, record).is_final().then_some(()))
    }
}
