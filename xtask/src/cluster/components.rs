//! The command lines and configurations of the components.

use std::fs;

use anyhow::Result;
use serde_json::json;

use super::Options;
use super::network::Network;
use super::paths::{NODE_NAME, Paths, cgroup};
use crate::repo;

/// Ports in the node's network namespace, where nothing else listens. Below those that the kernel gives to
/// clients: while the API server is stopped, everything tries to reach it, and a client whose own port
/// happens to be the server's connects to itself and keeps the server from coming back.
pub(super) const ETCD_PORT: u16 = 2379;
const ETCD_PEER_PORT: u16 = 2380;
const API_SERVER_PORT: u16 = 6443;
pub(super) const KUBELET_PORT: u16 = 10250;

/// Where the API server is.
pub(super) fn server(network: Network) -> String {
    format!("https://{}:{API_SERVER_PORT}", network.address())
}

/// Where etcd is.
pub(super) fn etcd_server(network: Network) -> String {
    format!("http://{}:{ETCD_PORT}", network.address())
}

pub(super) fn etcd(paths: &Paths, network: Network) -> Vec<String> {
    let client = etcd_server(network);
    let peer = format!("http://{}:{ETCD_PEER_PORT}", network.address());
    vec![
        "etcd".into(),
        "--name=debugtrail".into(),
        flag("data-dir", paths.etcd().display()),
        flag("listen-client-urls", &client),
        flag("advertise-client-urls", &client),
        flag("listen-peer-urls", &peer),
        flag("initial-advertise-peer-urls", &peer),
        flag("initial-cluster", format!("debugtrail={peer}")),
    ]
}

pub(super) fn api_server(paths: &Paths, network: Network) -> Vec<String> {
    let file = |name: &str| paths.config(name).display().to_string();
    vec![
        kubernetes("kube-apiserver"),
        flag("etcd-servers", etcd_server(network)),
        flag("bind-address", network.address()),
        flag("secure-port", API_SERVER_PORT),
        flag("advertise-address", network.address()),
        flag("tls-cert-file", file("apiserver.crt")),
        flag("tls-private-key-file", file("apiserver.key")),
        flag("client-ca-file", file("ca.crt")),
        flag("kubelet-certificate-authority", file("ca.crt")),
        flag("kubelet-client-certificate", file("kubelet-client.crt")),
        flag("kubelet-client-key", file("kubelet-client.key")),
        flag("kubelet-preferred-address-types", "InternalIP"),
        flag("authorization-mode", "Node,RBAC"),
        flag("service-account-issuer", "https://kubernetes.default.svc"),
        flag("service-account-key-file", file("service-account.pub")),
        flag("service-account-signing-key-file", file("service-account.key")),
        flag("service-cluster-ip-range", "10.96.0.0/16"),
        // Of GKE: see `admission_config`.
        flag("admission-control-config-file", file("admission.json")),
        // Webhooks are called at their pods' addresses.
        flag("enable-aggregator-routing", true),
        flag("allow-privileged", true),
    ]
}

pub(super) fn controller_manager(paths: &Paths) -> Vec<String> {
    let file = |name: &str| paths.config(name).display().to_string();
    vec![
        kubernetes("kube-controller-manager"),
        flag("kubeconfig", file("controller-manager.kubeconfig")),
        flag("service-account-private-key-file", file("service-account.key")),
        flag("root-ca-file", file("ca.crt")),
        flag("use-service-account-credentials", true),
        // No port: nothing asks it.
        flag("secure-port", 0),
        flag("leader-elect", false),
    ]
}

pub(super) fn scheduler(paths: &Paths) -> Vec<String> {
    vec![
        kubernetes("kube-scheduler"),
        flag("kubeconfig", paths.config("scheduler.kubeconfig").display()),
        flag("secure-port", 0),
        flag("leader-elect", false),
    ]
}

/// What makes service addresses answer: a pod's way to the API server is one.
pub(super) fn proxy(paths: &Paths) -> Vec<String> {
    vec![kubernetes("kube-proxy"), flag("config", paths.config("kube-proxy.json").display())]
}

pub(super) fn kubelet(paths: &Paths, network: Network) -> Vec<String> {
    vec![
        kubernetes("kubelet"),
        flag("config", paths.config("kubelet.json").display()),
        flag("kubeconfig", paths.config("kubelet.kubeconfig").display()),
        flag("hostname-override", NODE_NAME),
        flag("node-ip", network.address()),
        flag("root-dir", "/var/lib/kubelet"),
    ]
}

/// Writes the files that those commands name.
pub(super) fn write_configs(paths: &Paths, network: Network, options: Options) -> Result<()> {
    fs::write(paths.config("kubelet.json"), kubelet_config(paths, network, options)?)?;
    fs::write(paths.config("kube-proxy.json"), proxy_config(paths)?)?;
    fs::write(paths.config("admission.json"), admission_config()?)?;
    // The machine's own may name a resolver that no pod reaches, or be missing.
    fs::write(paths.config("resolv.conf"), "nameserver 10.96.0.10\n")?;
    network.write_config(paths)
}

fn kubelet_config(paths: &Paths, network: Network, options: Options) -> Result<Vec<u8>> {
    let socket = format!("unix://{}", options.runtime.socket(paths).display());
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": network.address(), "port": KUBELET_PORT, "healthzPort": 0,
        "tlsCertFile": paths.config("kubelet-server.crt"),
        "tlsPrivateKeyFile": paths.config("kubelet-server.key"),
        "authentication": {
            "anonymous": {"enabled": false}, "webhook": {"enabled": false},
            "x509": {"clientCAFile": paths.config("ca.crt")}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": socket, "imageServiceEndpoint": socket,
        "cgroupDriver": "cgroupfs", "cgroupRoot": format!("/{}", cgroup()),
        "cgroupsPerQOS": !options.without_pod_cgroups,
        "failSwapOn": false, "failCgroupV1": false, "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": true, "makeIPTablesUtilChains": false,
        "oomScoreAdj": 0,
        "podLogsDir": "/var/log/pods", "resolvConf": paths.config("resolv.conf"),
        "clusterDomain": "cluster.local", "clusterDNS": ["10.96.0.10"],
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%",
            "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": "1s", "nodeStatusReportFrequency": "10s",
        "shutdownGracePeriod": "0s", "maxPods": 200,
        "registerNode": true, "serializeImagePulls": false,
        "staticPodPath": paths.static_pods(),
    });
    Ok(serde_json::to_vec_pretty(&config)?)
}

/// GKE's limit: pods of these classes only where a quota of the namespace speaks of them.
fn admission_config() -> Result<Vec<u8>> {
    let critical = json!({"scopeName": "PriorityClass", "operator": "In",
        "values": ["system-node-critical", "system-cluster-critical"]});
    let quota = json!({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "ResourceQuotaConfiguration",
        "limitedResources": [{"resource": "pods", "matchScopes": [critical]}],
    });
    let config = json!({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration",
        "plugins": [{"name": "ResourceQuota", "configuration": quota}],
    });
    Ok(serde_json::to_vec_pretty(&config)?)
}

fn proxy_config(paths: &Paths) -> Result<Vec<u8>> {
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": paths.config("kube-proxy.kubeconfig")},
        "hostnameOverride": NODE_NAME, "mode": "nftables",
        // The connection table's size is the whole machine's, and cannot be set from a network namespace.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    });
    Ok(serde_json::to_vec_pretty(&config)?)
}

fn kubernetes(component: &str) -> String {
    repo::kubernetes_tools().join(component).display().to_string()
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}
