//! Whether the API server is reached through a proxy, as kubectl decides it. Pure.

use std::net::IpAddr;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// What the environment says of proxies. Read once, so that what follows is a function of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    /// `HTTPS_PROXY`, for a server of `https:`.
    pub(super) https: Option<String>,
    /// `HTTP_PROXY`, for one of `http:`.
    pub(super) http: Option<String>,
    /// `NO_PROXY`: what is reached without.
    pub(super) no: Option<String>,
}

impl Proxies {
    /// Of this process. Upper case wins, as in Go.
    pub(super) fn of_env() -> Self {
        let read = |name: &str| {
            [name.to_uppercase(), name.to_lowercase()]
                .into_iter()
                .filter_map(|name| std::env::var(name).ok())
                .find(|value| !value.is_empty())
        };
        Self { https: read("https_proxy"), http: read("http_proxy"), no: read("no_proxy") }
    }

    /// The proxy to `server`: the kubeconfig's, whatever the environment says; else the environment's, but not to this
    /// machine itself (net/http's ProxyFromEnvironment).
    ///
    /// # Errors
    /// Where it is no URL of a proxy that is known here, in words that hold no password.
    pub(super) fn to(&self, server: &Uri, kubeconfig: Option<&str>) -> Result<Option<Uri>, String> {
        if let Some(url) = kubeconfig.filter(|url| !url.is_empty()) {
            return parse(url, "its proxy-url").map(Some);
        }
        let (url, name) = match server.scheme_str() {
            Some("http") => (self.http.as_deref(), "$HTTP_PROXY"),
            _ => (self.https.as_deref(), "$HTTPS_PROXY"),
        };
        match url {
            Some(url) if !is_local(server) && !self.leaves_out(server) => parse(url, name).map(Some),
            _ => Ok(None),
        }
    }

    fn leaves_out(&self, server: &Uri) -> bool {
        let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
        let entries: Vec<&str> = self
            .no
            .iter()
            .flat_map(|no| no.split(','))
            .filter_map(|entry| of_port(entry.trim(), port))
            .collect();
        let any = Matcher::builder().all("http://any.invalid").no(entries.join(","));
        entries.contains(&"*") || any.build().intercept(server).is_none()
    }
}

/// An entry of `NO_PROXY` as the library takes it, if it is of this port: Go's may name one, and may begin with `*.`.
fn of_port(entry: &str, port: u16) -> Option<&str> {
    let host = match entry.rsplit_once(':') {
        Some((host, named)) if named.bytes().all(|byte| byte.is_ascii_digit()) && !host.contains(':') => {
            Some(host).filter(|_| named.parse() == Ok(port))?
        }
        _ => entry,
    };
    Some(host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host))
}

fn is_local(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

/// A proxy's URL; without a scheme it is one of `http:`.
fn parse(url: &str, whose: &str) -> Result<Uri, String> {
    let whole = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: Uri = whole.parse().map_err(|_| format!("{whose} is no URL of a proxy"))?;
    match uri.scheme_str() {
        Some("http" | "https" | "socks5") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        _ => Err(format!("{whose} is no URL of a proxy of http, https or socks5")),
    }
}

/// The same text without what stands before the `@` of a URL: user and password. A password may hold any sign unescaped, so
/// the last `@` of the word counts.
pub(super) fn without_passwords(text: &str) -> String {
    let mut rest = text;
    let mut shown = String::with_capacity(text.len());
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let word = after.find([' ', '"', '`']).unwrap_or(after.len());
        rest = after;
        if let Some(at) = after[..word].rfind('@') {
            shown.push_str("***");
            rest = &after[at..];
        }
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(https: &str, no: &str) -> Proxies {
        Proxies { https: Some(https.into()), http: None, no: Some(no.into()) }
    }

    fn to(proxies: &Proxies, server: &str) -> Option<String> {
        proxies.to(&server.parse().unwrap(), None).unwrap().map(|uri| uri.to_string())
    }

    #[test]
    fn the_environments_proxy_serves_unless_no_proxy_says_so() {
        let server = "https://10.1.2.3:6443";
        let proxy = Some("http://proxy:3128/".to_owned());
        assert_eq!(to(&env("http://proxy:3128", ""), server), proxy);
        assert_eq!(to(&env("proxy:3128", "example.com,,"), server), proxy);
        for no in ["*", "x,*", "10.1.2.3", "10.1.2.3:6443", "10.0.0.0/8", "x, 10.1.2.3 ,", "10.1.2.3,"] {
            assert_eq!(to(&env("http://proxy:3128", no), server), None, "{no}");
        }
        for no in [".example.com", "*.example.com", "example.com", "api.example.com:443"] {
            assert_eq!(to(&env("http://proxy:3128", no), "https://api.example.com"), None, "{no}");
        }
        for no in ["10.1.2.3:443", "10.2.0.0/16", "::1", "fe80::/10", ":", ""] {
            assert_eq!(to(&env("http://proxy:3128", no), server), proxy, "{no}");
        }
        // Each scheme has its own.
        assert_eq!(to(&env("http://proxy:3128", ""), "http://10.1.2.3:6443"), None);
        assert_eq!(to(&Proxies::default(), server), None);
    }

    #[test]
    fn this_machine_is_reached_without_a_proxy() {
        for server in ["https://127.0.0.1:6443", "https://localhost:6443", "https://[::1]:6443"] {
            assert_eq!(to(&env("http://proxy:3128", ""), server), None, "{server}");
        }
    }

    #[test]
    fn the_kubeconfigs_proxy_comes_first() {
        let found =
            env("http://other", "*").to(&"https://10.1.2.3".parse().unwrap(), Some("socks5://u:p@own:1"));
        assert_eq!(found.unwrap().unwrap().host(), Some("own"));
        assert_eq!(env("http://a", "*").to(&"https://10.1.2.3".parse().unwrap(), Some("")), Ok(None));
    }

    #[test]
    fn a_bad_proxy_is_named_without_its_password() {
        for url in
            ["ftp://user:secret@host", "http://user:secret@", "http://us er:secret@host", "user:secret@ho st"]
        {
            let server: Uri = "https://10.1.2.3".parse().unwrap();
            for found in [Proxies::default().to(&server, Some(url)), env(url, "").to(&server, None)] {
                let why = found.unwrap_err();
                assert!(why.contains("is no URL of a proxy") && !why.contains("secret"), "{why}");
            }
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("can't use http://user:secret@host:3128/x: no", "can't use http://***@host:3128/x: no"),
            ("\"https://secret@h\" and http://b:c@d", "\"https://***@h\" and http://***@d"),
            ("http://u:se/cr@et@host/", "http://***@host/"),
            ("https://host/a@b", "https://***@b"),
            ("no URL: a@b", "no URL: a@b"),
            ("https://host", "https://host"),
            ("://", "://"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }
}
