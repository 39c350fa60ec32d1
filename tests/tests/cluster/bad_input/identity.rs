//! Somebody with few rights, as a service account.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use xtask::scenario::access::Access;
use xtask::scenario::pod::{Namespace, create};

/// A service account with rights of its own and a kubeconfig; its rights are gone when dropped.
pub struct Identity {
    /// Access as this identity.
    pub access: Access,
    admin: Access,
    role: Option<String>,
    _kubeconfig: NamedTempFile,
}

impl Identity {
    /// With cluster-wide rights, each as `VERB,VERB RESOURCE`.
    pub fn with_rights(access: &Access, namespace: &Namespace, rights: &[&str]) -> Result<Self> {
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"generateName": "witness-", "namespace": namespace.name},
        });
        let name = create(access, &["-o", "jsonpath={.metadata.name}"], &account)?;
        let role = if rights.is_empty() { None } else { Some(grant(access, namespace, &name, rights)?) };
        let token = access.kubectl_output(&["create", "token", &name, "-n", &namespace.name])?;
        Self::new(access, token.trim(), role)
    }

    /// Whoever this token is.
    pub fn with_token(access: &Access, token: &str) -> Result<Self> {
        Self::new(access, token, None)
    }

    fn new(access: &Access, token: &str, role: Option<String>) -> Result<Self> {
        let path = access.kubeconfig().context("these tests need the embedded cluster")?;
        let mut config: Value = serde_json::from_slice(&fs::read(path)?)?;
        config["users"][0]["user"] = json!({ "token": token });
        let file = NamedTempFile::new()?;
        fs::write(&file, config.to_string())?;
        Ok(Self { access: access.by(file.path()), admin: access.clone(), role, _kubeconfig: file })
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        let Some(role) = &self.role else { return };
        let delete = ["delete", "clusterrole,clusterrolebinding", role];
        if let Err(error) = self.admin.kubectl_output(&delete) {
            eprintln!("cluster role {role} is left behind: {error:#}");
        }
    }
}

/// A role and a binding of the same name.
fn grant(access: &Access, namespace: &Namespace, account: &str, rights: &[&str]) -> Result<String> {
    let rule = |right: &&str| {
        let (verbs, resource) = right.split_once(' ').unwrap_or((right, ""));
        json!({"apiGroups": [""], "resources": [resource], "verbs": verbs.split(',').collect::<Vec<_>>()})
    };
    let group = "rbac.authorization.k8s.io";
    let name = format!("{}-{account}", namespace.name);
    let role = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": name},
        "rules": rights.iter().map(rule).collect::<Vec<_>>(),
    });
    create(access, &[], &role)?;
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace.name}],
    });
    create(access, &[], &binding)?;
    Ok(name)
}
