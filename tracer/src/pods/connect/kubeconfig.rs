//! Kubeconfigs as kubectl takes them: each file is read once, so that it may be a pipe; of a list, what is
//! missing is left out, and the first file that sets something wins.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hyper::Uri;
use kube::Config;
use kube::config::{AuthInfo, Cluster, ExecAuthCluster, Kubeconfig};

use super::ConnectError;
use super::error::wrong;
use super::proxy::Proxies;

/// More than a kubeconfig has.
const LARGEST: u64 = 4 << 20;

/// What `--kubeconfig` names.
///
/// # Errors
/// Where it can't be read or is none.
pub(super) async fn of_file(path: &Path) -> Result<Kubeconfig, ConnectError> {
    let refused = |why| ConnectError::Kubeconfig { path: path.to_owned(), why };
    let bytes = read(path.to_owned()).await.map_err(|error| refused(error.to_string()))?;
    parse(&bytes, path).map_err(refused)
}

/// What `KUBECONFIG` lists.
///
/// # Errors
/// Where none of the files is there, or one can't be read or is none.
pub(super) async fn of_list(paths: &OsStr) -> Result<Kubeconfig, ConnectError> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for path in std::env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()) {
        match read(path.clone()).await {
            Ok(bytes) => {
                let parsed = parse(&bytes, &path);
                found.push(parsed.map_err(|why| ConnectError::Kubeconfig { path, why })?);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push((path, error)),
            Err(error) => return Err(ConnectError::Kubeconfig { path, why: error.to_string() }),
        }
    }
    if found.is_empty()
        && let Some((path, error)) = missing.pop()
    {
        return Err(ConnectError::Kubeconfig { path, why: error.to_string() });
    }
    for (path, _) in missing {
        tracing::warn!("$KUBECONFIG lists {}, which is not there; going by the others", path.display());
    }
    merge(found).map_err(|why| ConnectError::Kubeconfig { path: paths.into(), why })
}

/// The whole file, on a thread of its own: a pipe without a writer must not hold up a signal.
async fn read(path: PathBuf) -> io::Result<Vec<u8>> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let reading = move || {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        // The receiver is gone where a signal came first.
        let _ = sender.send(read.map(|_| bytes));
    };
    std::thread::Builder::new().name("kubeconfig".into()).spawn(reading)?;
    receiver.await.map_err(io::Error::other)?
}

/// A kubeconfig out of the bytes of the file `path`, beside which the files that it names are.
///
/// # Errors
/// What is wrong with it.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Kubeconfig, String> {
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is no kubeconfig: larger than {} MiB", LARGEST >> 20));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no kubeconfig: not UTF-8 text")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut config = Kubeconfig::from_yaml(text).map_err(|error| wrong(&error))?;
    config.current_context = config.current_context.filter(|context| !context.is_empty());
    // Merging would compare them; nothing depends on what they say.
    (config.kind, config.api_version) = (None, None);
    if let Some(folder) = path.parent() {
        resolve(&mut config, folder);
    }
    Ok(config)
}

/// Files are named relative to the kubeconfig; a plugin is, too, where its name has a slash.
fn resolve(config: &mut Kubeconfig, folder: &Path) {
    let resolve = |file: &mut Option<String>| {
        if let Some(path) = file.as_mut().filter(|path| !path.is_empty() && Path::new(path).is_relative())
            && let Some(absolute) = folder.join(&*path).to_str()
        {
            *path = absolute.to_owned();
        }
    };
    for cluster in config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        resolve(&mut cluster.certificate_authority);
    }
    for user in config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        resolve(&mut user.client_certificate);
        resolve(&mut user.client_key);
        resolve(&mut user.token_file);
        if let Some(exec) =
            user.exec.as_mut().filter(|exec| exec.command.as_ref().is_some_and(|it| it.contains('/')))
        {
            resolve(&mut exec.command);
        }
    }
}

/// One kubeconfig of several: the first that names a cluster, user, context or current context wins.
fn merge(configs: Vec<Kubeconfig>) -> Result<Kubeconfig, String> {
    configs.into_iter().try_fold(Kubeconfig::default(), Kubeconfig::merge).map_err(|error| wrong(&error))
}

/// The way to the API server that a kubeconfig's current context leads.
///
/// # Errors
/// What it lacks or what is wrong with it.
pub(super) fn config(kubeconfig: Kubeconfig, proxies: &Proxies) -> Result<Config, String> {
    let Kubeconfig { current_context, contexts, clusters, auth_infos, .. } = kubeconfig;
    let name = current_context.ok_or("it has no current context")?;
    let context = contexts.into_iter().find(|named| named.name == name).and_then(|named| named.context);
    let context = context.ok_or_else(|| format!("it has no context `{name}`, which it says is current"))?;
    let cluster = clusters.into_iter().find(|named| named.name == context.cluster);
    let cluster = cluster
        .and_then(|named| named.cluster)
        .ok_or_else(|| format!("it has no cluster `{}`, of its context", context.cluster))?;
    // As in client-go, whoever has no user is anonymous.
    let user = auth_infos.into_iter().find(|named| Some(&named.name) == context.user.as_ref());
    let user = user.and_then(|named| named.auth_info).unwrap_or_default();
    of_parts(&cluster, user, proxies)
}

fn of_parts(cluster: &Cluster, mut user: AuthInfo, proxies: &Proxies) -> Result<Config, String> {
    let server = cluster.server.as_deref().filter(|server| !server.is_empty());
    let server = server.ok_or("its cluster has no server")?;
    let server: Uri = server.parse().map_err(|_| "its cluster's server is no URL")?;
    let for_plugins = ExecAuthCluster::try_from(cluster).map_err(|error| wrong(&error))?;
    let proxy_url = proxies.to(&server, cluster.proxy_url.as_deref())?;
    let mut config = Config::new(server);
    config.root_cert = for_plugins.certificate_authority_data.as_deref().map(certificates).transpose()?;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name = cluster.tls_server_name.clone();
    config.proxy_url = proxy_url;
    if let Some(exec) = user.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
        exec.cluster = Some(for_plugins);
    }
    config.auth_info = user;
    Ok(config)
}

/// A certificate authority's certificates, out of PEM.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let blocks = pem::parse_many(pem).map_err(|_| "its certificate authority is no PEM certificate")?;
    Ok(blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::into_contents).collect())
}

#[cfg(test)]
mod tests;
