//! Kubeconfigs that lead nowhere.

use std::process::Command;

use serde_json::{Value, json};

use super::run::{Ended, Place, kubeconfig, text};

#[track_caller]
fn refused(place: &Place, content: impl AsRef<[u8]>, parts: &[&str]) {
    let path = place.file("kubeconfig", content);
    Ended::of(place.debugtrail(&["trace", "--kubeconfig", text(&path)])).complains(5, parts);
}

#[test]
fn a_file_that_is_no_kubeconfig() {
    let place = Place::new();
    let missing = place.path("missing");
    let ended = Ended::of(place.debugtrail(&["trace", "--kubeconfig", text(&missing)]));
    ended.complains(5, &[text(&missing), "No such file", "check --kubeconfig"]);
    refused(&place, "root:x:0:0", &["it is no kubeconfig: line 1"]);
    refused(&place, [0xff, 0xfe, 0x00], &["not UTF-8 text"]);
    refused(&place, "", &["no current context"]);
}

#[test]
fn a_context_that_is_not_there() {
    let place = Place::new();
    let with = |context: Value| {
        let mut config = kubeconfig(&json!({}));
        config["current-context"] = context;
        config.to_string()
    };
    refused(&place, with(Value::Null), &["no current context"]);
    refused(&place, with(json!("other")), &["no context `other`"]);
}

#[test]
fn certificates_that_are_none() {
    let place = Place::new();
    let by_user = |user: Value| kubeconfig(&user).to_string();
    let data = json!({"client-certificate-data": "!!!", "client-key-data": "!!!"});
    refused(&place, by_user(data), &["client certificate is no base64"]);
    // `hello` is no certificate.
    let data = json!({"client-certificate-data": "aGVsbG8=", "client-key-data": "aGVsbG8="});
    refused(&place, by_user(data), &["cannot make a client", "check the kubeconfig's certificates"]);
    let files = json!({"client-certificate": "/nowhere/it.crt", "client-key": "/nowhere/it.key"});
    refused(&place, by_user(files), &["client certificate /nowhere/it.crt: No such file"]);
    refused(
        &place,
        by_user(json!({"tokenFile": "/nowhere/token"})),
        &["token file /nowhere/token: No such file"],
    );
}

#[test]
fn a_plugin_that_gives_no_credentials() {
    let place = Place::new();
    let with = |command: &str| {
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "command": command, "interactiveMode": "Never"
        });
        kubeconfig(&json!({ "exec": exec })).to_string()
    };
    refused(&place, with("no-such-plugin"), &["exec plugin `no-such-plugin`", "No such file", "PATH"]);
    refused(&place, with("false"), &["exec plugin `false`", "exit status: 1"]);
}

#[test]
fn an_unreachable_server_without_a_node_name_is_an_error() {
    let place = Place::new();
    Ended::of(place.debugtrail(&["trace"])).complains(5, &["cannot reach the API server", "refused"]);
}

/// What is right in it ends at the server, which is away.
#[track_caller]
fn gets_to_the_server(debugtrail: Command) {
    Ended::of(debugtrail).complains(5, &["cannot reach the API server", "refused"]);
}

#[test]
fn a_kubeconfig_from_a_pipe_is_read() {
    let place = Place::new();
    let path = place.file("kubeconfig", kubeconfig(&json!({})).to_string());
    let script = "exec \"$0\" trace --kubeconfig <(cat \"$1\")";
    gets_to_the_server(place.through(&["bash", "-c", script], &[text(&path)]));
}

#[test]
fn a_list_with_missing_files_and_an_empty_context() {
    let place = Place::new();
    let (missing, empty) = (place.path("missing"), place.file("empty", r#"{"current-context": ""}"#));
    let good = place.file("good", kubeconfig(&json!({})).to_string());
    let mut debugtrail = place.debugtrail(&["trace"]);
    debugtrail.env("KUBECONFIG", [text(&missing), text(&empty), text(&good)].join(":"));
    gets_to_the_server(debugtrail);
    let mut debugtrail = place.debugtrail(&["trace"]);
    debugtrail.env("KUBECONFIG", [text(&missing), text(&missing)].join(":"));
    Ended::of(debugtrail).complains(5, &["No such file", "check --kubeconfig"]);
}

#[test]
fn a_proxy_is_gone_through_and_its_password_never_shown() {
    let place = Place::new();
    let by_proxy = |url: &str| {
        let mut config = kubeconfig(&json!({}));
        config["clusters"][0]["cluster"] = json!({"server": "https://10.255.255.1:6443", "proxy-url": url});
        place.file("kubeconfig", config.to_string())
    };
    for (url, said) in [
        ("http://user:secret@127.0.0.1:1", "cannot reach the API server"),
        ("ftp://user:secret@127.0.0.1:1", "its proxy-url is no URL of a proxy"),
    ] {
        let path = by_proxy(url);
        let ended = Ended::of(place.debugtrail(&["trace", "--kubeconfig", text(&path)]));
        assert!(!format!("{ended:?}").contains("secret"), "{ended:?}");
        ended.complains(5, &[said]);
    }
    let direct = by_proxy("");
    let mut debugtrail = place.debugtrail(&["trace", "--kubeconfig", text(&direct)]);
    debugtrail.env("HTTPS_PROXY", "http://user:secret@127.0.0.1:1").env("NO_PROXY", "example.com,");
    let ended = Ended::of(debugtrail);
    assert!(!format!("{ended:?}").contains("secret"), "{ended:?}");
    ended.complains(5, &["cannot reach the API server", "refused"]);
}
