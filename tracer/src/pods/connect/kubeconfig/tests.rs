use std::fs;
use std::io::Write;

use serde_json::{Value, json};

use super::*;

fn kubeconfig(context: &str, server: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": context,
        "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
        "clusters": [{ "name": "k", "cluster": { "server": server } }],
        "users": [{ "name": "u", "user": { "token": "t" } }],
    })
}

fn parsed(value: &Value) -> Kubeconfig {
    parse(value.to_string().as_bytes(), Path::new("/etc/kube/config")).unwrap()
}

fn of(value: &Value) -> Result<Config, String> {
    config(parsed(value), &Proxies::default())
}

/// A list of files as `KUBECONFIG` has it; `None`: one that is not there.
async fn listed(files: &[Option<Value>]) -> Result<Kubeconfig, ConnectError> {
    let folder = tempfile::tempdir().unwrap();
    let paths = files.iter().enumerate().map(|(n, content)| {
        let path = folder.path().join(n.to_string());
        if let Some(content) = content {
            fs::write(&path, content.to_string()).unwrap();
        }
        path
    });
    let list = std::env::join_paths(paths.collect::<Vec<_>>()).unwrap();
    of_list(&list).await
}

fn server(config: Kubeconfig) -> String {
    super::config(config, &Proxies::default()).unwrap().cluster_url.to_string()
}

#[tokio::test]
async fn missing_files_of_a_list_are_left_out() {
    let good = kubeconfig("c", "https://10.0.0.1");
    let found = listed(&[None, Some(good), None]).await.unwrap();
    assert_eq!(server(found), "https://10.0.0.1/");
    let error = listed(&[None, None]).await.unwrap_err().to_string();
    assert!(error.contains("No such file") && error.contains("check --kubeconfig"), "{error}");
}

#[tokio::test]
async fn the_first_file_of_a_list_that_sets_a_value_wins() {
    let (first, second) = (kubeconfig("", "https://10.0.0.1"), kubeconfig("c", "https://10.0.0.2"));
    let found = listed(&[Some(first), Some(second.clone())]).await.unwrap();
    assert_eq!(found.current_context.as_deref(), Some("c"));
    assert_eq!(server(found), "https://10.0.0.1/");
    // Another kind or version is no reason to refuse them.
    let mut odd = json!({ "apiVersion": "v2", "kind": "Konfig", "current-context": "" });
    odd["contexts"] = Value::Null;
    assert_eq!(server(listed(&[Some(odd), Some(second)]).await.unwrap()), "https://10.0.0.2/");
}

#[tokio::test]
async fn a_kubeconfig_from_a_pipe_is_read_once() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(kubeconfig("c", "https://10.0.0.1").to_string().as_bytes()).unwrap();
    drop(writer);
    let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    let found = of_file(Path::new(&path)).await.unwrap();
    assert_eq!(server(found), "https://10.0.0.1/");
}

#[test]
fn files_are_beside_the_kubeconfig() {
    let mut value = kubeconfig("c", "https://10.0.0.1");
    value["clusters"][0]["cluster"]["certificate-authority"] = "ca.crt".into();
    value["users"][0]["user"] = json!({
        "client-certificate": "../me.crt", "client-key": "/abs/me.key", "tokenFile": "",
        "exec": { "command": "bin/plugin" },
    });
    let config = parsed(&value);
    let ca = config.clusters[0].cluster.as_ref().unwrap().certificate_authority.as_deref();
    assert_eq!(ca, Some("/etc/kube/ca.crt"));
    let user = config.auth_infos[0].auth_info.as_ref().unwrap();
    assert_eq!(user.client_certificate.as_deref(), Some("/etc/kube/../me.crt"));
    assert_eq!((user.client_key.as_deref(), user.token_file.as_deref()), (Some("/abs/me.key"), Some("")));
    assert_eq!(user.exec.as_ref().unwrap().command.as_deref(), Some("/etc/kube/bin/plugin"));
    value["users"][0]["user"]["exec"]["command"] = "aws".into();
    let config = parsed(&value);
    let user = config.auth_infos[0].auth_info.as_ref().unwrap();
    assert_eq!(user.exec.as_ref().unwrap().command.as_deref(), Some("aws"));
}

#[test]
fn missing_parts_of_a_kubeconfig_are_named() {
    for (pointer, value, why) in [
        ("/current-context", Value::Null, "it has no current context"),
        ("/current-context", "".into(), "it has no current context"),
        ("/current-context", "x".into(), "it has no context `x`, which it says is current"),
        ("/clusters", json!([]), "it has no cluster `k`, of its context"),
        ("/clusters/0/cluster/server", "".into(), "its cluster has no server"),
        ("/clusters/0/cluster/server", "http://a b".into(), "its cluster's server is no URL"),
        (
            "/clusters/0/cluster",
            json!({ "server": "https://a", "certificate-authority-data": "!" }),
            "its certificate authority is no base64",
        ),
        (
            "/clusters/0/cluster",
            json!({ "server": "https://a", "proxy-url": "ftp://u:secret@h" }),
            "its proxy-url is no URL of a proxy",
        ),
    ] {
        let mut config = kubeconfig("c", "https://10.0.0.1");
        *config.pointer_mut(pointer).unwrap() = value;
        let error = of(&config).unwrap_err();
        assert!(error.starts_with(why) && !error.contains("secret"), "{error}");
    }
}

#[test]
fn a_context_leads_to_cluster_user_and_proxy() {
    let mut value = kubeconfig("c", "https://10.0.0.1:6443");
    value["clusters"][0]["cluster"]["proxy-url"] = "http://u:p@proxy:3128".into();
    value["clusters"][0]["cluster"]["tls-server-name"] = "kubernetes".into();
    let config = of(&value).unwrap();
    assert_eq!(config.proxy_url.unwrap().host(), Some("proxy"));
    assert_eq!(config.tls_server_name.as_deref(), Some("kubernetes"));
    assert!(config.auth_info.token.is_some() && !config.accept_invalid_certs);
    // As in client-go, whoever has no user is anonymous.
    value["contexts"][0]["context"] = json!({ "cluster": "k" });
    assert!(of(&value).unwrap().auth_info.token.is_none());
}

#[test]
fn a_file_that_is_no_kubeconfig_is_refused() {
    let refused = |bytes: &[u8]| parse(bytes, Path::new("f")).unwrap_err();
    assert!(refused(&[0xff, 0xfe, 0]).contains("not UTF-8"));
    assert!(refused(&vec![b' '; LARGEST as usize + 1]).contains("larger than"));
    let bom = format!("\u{feff}{}", kubeconfig("c", "https://10.0.0.1"));
    assert!(parse(bom.as_bytes(), Path::new("f")).is_ok());
}
