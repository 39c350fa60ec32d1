//! Who may talk to whom: one certificate authority, a certificate for each identity, kubeconfigs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

use super::components;
use super::network::Network;
use super::paths::{NODE_NAME, Paths};

/// An identity of Kubernetes: file name, user, group.
const CLIENTS: [(&str, &str, &str); 5] = [
    ("admin", "debugtrail-admin", "system:masters"),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("kube-proxy", "system:kube-proxy", ""),
    // The API server as a client of the kubelet.
    ("kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
];

/// The first of the service addresses is the API server's.
const SERVICE_ADDRESS: &str = "10.96.0.1";

/// Writes keys, certificates and kubeconfigs.
///
/// Certificates are valid from 1975 to 4096 (rcgen's default), as tests step the clock.
pub(super) fn write(paths: &Paths, network: Network) -> Result<()> {
    let (address, server) = (network.address().to_string(), components::server(network));
    let authority = Authority::new()?;
    write_secret(&paths.config("ca.crt"), &authority.certificate)?;
    let service_accounts = KeyPair::generate()?;
    write_secret(&paths.config("service-account.key"), &service_accounts.serialize_pem())?;
    write_secret(&paths.config("service-account.pub"), &service_accounts.public_key_pem())?;
    // The loopback: for tests that put something between a client and the server.
    let names = [&address, "127.0.0.1", SERVICE_ADDRESS, "kubernetes.default.svc"];
    authority.issue(paths, "apiserver", "kube-apiserver", "", &names)?;
    authority.issue(paths, "kubelet-server", NODE_NAME, "", &[NODE_NAME, &address])?;
    for (file, user, group) in CLIENTS {
        authority.issue(paths, file, user, group, &[])?;
        write_kubeconfig(paths, file, &server)?;
    }
    let node = format!("system:node:{NODE_NAME}");
    authority.issue(paths, "kubelet", &node, "system:nodes", &[])?;
    write_kubeconfig(paths, "kubelet", &server)
}

struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "debugtrail embedded cluster");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Writes `FILE.crt` and `FILE.key` for a user (CN) of a group (O); a server where it has names.
    fn issue(&self, paths: &Paths, file: &str, user: &str, group: &str, names: &[&str]) -> Result<()> {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, user);
        if !group.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        write_secret(&paths.config(&format!("{file}.crt")), &certificate.pem())?;
        write_secret(&paths.config(&format!("{file}.key")), &key.serialize_pem())
    }
}

fn write_kubeconfig(paths: &Paths, user: &str, server: &str) -> Result<()> {
    // JSON is YAML.
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "debugtrail-embedded",
        "clusters": [{"name": "debugtrail-embedded", "cluster": {
            "server": server, "certificate-authority": paths.config("ca.crt")}}],
        "users": [{"name": user, "user": {
            "client-certificate": paths.config(&format!("{user}.crt")),
            "client-key": paths.config(&format!("{user}.key"))}}],
        "contexts": [{"name": "debugtrail-embedded", "context": {
            "cluster": "debugtrail-embedded", "user": user}}],
    });
    let path = paths.config(&format!("{user}.kubeconfig"));
    write_secret(&path, &serde_json::to_string_pretty(&config)?)
}

/// Writes a file that only its owner may read.
fn write_secret(path: &Path, content: &str) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
