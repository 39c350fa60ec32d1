//! An identity with few rights, as a service account.

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
    account: Option<String>,
    role: Option<String>,
    _kubeconfig: NamedTempFile,
}

impl Identity {
    /// With cluster-wide rights, each as `VERB,VERB RESOURCE`.
    pub fn with_rights(access: &Access, namespace: &Namespace, rights: &[&str]) -> Result<Self> {
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"generateName": "tracer-", "namespace": namespace.name},
        });
        let name = create(access, &["-o", "jsonpath={.metadata.name}"], &account)?;
        let token = access.kubectl_output(&["create", "token", &name, "-n", &namespace.name])?;
        let mut identity = Self::with_token(access, token.trim())?;
        identity.account = Some(name);
        if !rights.is_empty() {
            identity.allow(namespace, rights)?;
        }
        Ok(identity)
    }

    /// Gives it these rights, where it had none.
    pub fn allow(&mut self, namespace: &Namespace, rights: &[&str]) -> Result<()> {
        let account = self.account.as_deref().context("a service account")?;
        self.role = Some(grant(&self.admin, namespace, account, rights)?);
        Ok(())
    }

    /// Whoever this token is.
    pub fn with_token(access: &Access, token: &str) -> Result<Self> {
        let path = access.kubeconfig().context("these tests need the embedded cluster")?;
        let mut config: Value = serde_json::from_slice(&fs::read(path)?)?;
        config["users"][0]["user"] = json!({ "token": token });
        let file = NamedTempFile::new()?;
        fs::write(&file, config.to_string())?;
        let (access, admin) = (access.by(file.path()), access.clone());
        Ok(Self { access, admin, account: None, role: None, _kubeconfig: file })
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
