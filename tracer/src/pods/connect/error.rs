//! Why there is no way to the API server, or none that leads to this node. Every message is `WHAT; HINT`.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use kube::client::AuthError;
use kube::config::{Config, KubeconfigError, LoadDataError};
use thiserror::Error;

use super::proxy::without_passwords;
use crate::ids::BootId;

/// Why there is no client or no node name.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// `--kubeconfig` or `KUBECONFIG` names a file that is no kubeconfig.
    #[error("cannot use kubeconfig {path}: {why}; check --kubeconfig or $KUBECONFIG")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing says where the API server is.
    #[error("no kubeconfig and no service account ({0}); give --kubeconfig FILE, or run in the cluster")]
    NoConfig(String),
    /// The environment names a proxy that is none.
    #[error("{0}; give it as http://HOST:PORT, or name the API server in $NO_PROXY")]
    Proxy(String),
    /// The program that gives out credentials does not run.
    #[error(
        "the kubeconfig's exec plugin `{plugin}` gives no credentials: {why}; install it where root's PATH finds \
         it, or use a kubeconfig with a certificate or token"
    )]
    Plugin {
        /// Its command.
        plugin: String,
        /// What happened.
        why: String,
    },
    /// The configuration makes no client.
    #[error("cannot make a client of the API server: {0}; check the kubeconfig's certificates")]
    Client(String),
    /// The API server does not answer, or not to the question.
    #[error("cannot reach the API server: {0}; check that it runs and that the kubeconfig is current")]
    Unreachable(String),
    /// 401.
    #[error(
        "the API server does not know these credentials (401: {0}); renew the kubeconfig's certificate or token"
    )]
    Unauthorized(String),
    /// 403.
    #[error(
        "the API server forbids {} (403: {why}); {hint}: `kubectl create clusterrole debugtrail --verb={} \
         --resource={}` and bind it",
        .right, .right.verb, .right.resource
    )]
    Forbidden {
        /// What was asked for.
        right: Right,
        /// The answer.
        why: String,
        /// What to do, without the last step, which is to grant the right.
        hint: &'static str,
    },
    /// The given node is not one of the cluster's.
    #[error("the cluster has no node {0}; check --node (or NODE_NAME) against `kubectl get nodes`")]
    NoSuchNode(String),
    /// More than one node is this machine.
    #[error("nodes {0} all run on this machine; say which one with --node NAME")]
    Several(String),
    /// No node of the cluster is this machine.
    #[error(
        "no node of the cluster has this machine's boot id {0}; use this cluster's kubeconfig, or give --node NAME"
    )]
    NotANode(BootId),
    /// The node is another machine.
    #[error(
        "node {node} is another machine: its boot id is {theirs}, here it is {ours}; use this cluster's kubeconfig or another --node"
    )]
    OtherMachine {
        /// The given name.
        node: String,
        /// Its boot id.
        theirs: String,
        /// This machine's.
        ours: BootId,
    },
}

/// A right in the cluster, as a role grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// Such as `list`.
    pub verb: &'static str,
    /// Such as `pods`.
    pub resource: &'static str,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", self.verb, self.resource)
    }
}

impl ConnectError {
    /// Whether the API server answered, and refused.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Unauthorized(_) | Self::Forbidden { .. })
    }

    /// Why a question that needs `right` was not answered.
    pub(crate) fn unanswered(right: Right, error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::Unreachable(root_cause(error)) };
        let why = first_line(&status.message);
        match status.code {
            401 => Self::Unauthorized(why),
            403 => Self::Forbidden { right, why, hint: "grant it" },
            code => Self::Unreachable(format!("it answers {code}: {why}")),
        }
    }
}

/// What is wrong with a kubeconfig, in words that name the part.
pub(super) fn wrong(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::LoadCertificateAuthority(error) => data("certificate authority", error),
        KubeconfigError::LoadClientCertificate(error) => data("client certificate", error),
        KubeconfigError::LoadClientKey(error) => data("client key", error),
        KubeconfigError::Parse(error) => format!("it is no kubeconfig: {}", first_line(&error.to_string())),
        other => root_cause(other),
    }
}

fn data(what: &str, error: &LoadDataError) -> String {
    match error {
        LoadDataError::ReadFile(error, path) => format!("its {what} {}: {error}", path.display()),
        LoadDataError::DecodeBase64(error) => {
            format!("its {what} is no base64: {}", first_line(&error.to_string()))
        }
        LoadDataError::NoBase64DataOrFile => format!("it has no {what}"),
    }
}

/// Why a configuration made no client. `plugin`: the command that gives out its credentials.
pub(super) fn no_client(error: &kube::Error, plugin: Option<String>) -> ConnectError {
    match plugin {
        Some(plugin) => ConnectError::Plugin { plugin, why: plugin_failure(error) },
        None => ConnectError::Client(part_in_words(error)),
    }
}

/// Names the part of the configuration where the error's chain does.
fn part_in_words(error: &kube::Error) -> String {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<KubeconfigError>() {
            return wrong(error);
        }
        if let Some(error) = cause.downcast_ref::<LoadDataError>() {
            return data("client certificate or key", error);
        }
        if let Some(AuthError::ReadTokenFile(error, path)) = cause.downcast_ref::<AuthError>() {
            return format!("its token file {}: {error}", path.display());
        }
        next = cause.source();
    }
    root_cause(error)
}

/// The command of the configuration's exec plugin.
pub(super) fn plugin(config: &Config) -> Option<String> {
    config.auth_info.exec.as_ref()?.command.clone()
}

/// A program's output is no message: only that it failed.
fn plugin_failure(error: &kube::Error) -> String {
    match error {
        kube::Error::Auth(AuthError::AuthExecRun { out, .. }) => out.status.to_string(),
        other => root_cause(other),
    }
}

/// The first line of the innermost cause: that says what happened; what is around it says where in the client.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source().or_else(|| inner(error)) {
        error = cause;
    }
    first_line(&error.to_string())
}

/// An `io::Error` that carries another error shows it only so.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    Some(inner)
}

/// Another program's text as a part of `WHAT; HINT`.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or("no reason given");
    without_passwords(&line.trim_start_matches("error: ").trim_end_matches('.').replace("; ", ", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, message: &str) -> kube::Error {
        let status = kube::core::Status { code, message: message.into(), ..Default::default() };
        kube::Error::Api(Box::new(status))
    }

    #[test]
    fn the_innermost_cause_is_shown() {
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let error = kube::Error::Service(Box::new(kube::Error::ReadEvents(refused)));
        assert_eq!(root_cause(&error), "Connection refused (os error 111)");
    }

    #[test]
    fn other_programs_messages_hold_no_password() {
        let error = io::Error::other("no way to https://user:secret@10.0.0.1:6443/api");
        assert_eq!(root_cause(&error), "no way to https://***@10.0.0.1:6443/api");
    }

    #[test]
    fn an_answer_is_judged_by_its_code() {
        let right = Right { verb: "list", resource: "pods" };
        let text = |code, message| ConnectError::unanswered(right, &answer(code, message)).to_string();
        assert_eq!(
            text(403, "pods is forbidden: User \"x\" cannot list"),
            "the API server forbids list on pods (403: pods is forbidden: User \"x\" cannot list); grant it: \
             `kubectl create clusterrole debugtrail --verb=list --resource=pods` and bind it"
        );
        assert!(
            text(401, "Unauthorized").contains("(401: Unauthorized); renew"),
            "{}",
            text(401, "Unauthorized")
        );
        assert!(text(503, "starting\nup").contains("it answers 503: starting; check that it runs"));
    }
}
