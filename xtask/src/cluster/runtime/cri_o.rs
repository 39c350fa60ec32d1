//! CRI-O. Its storage has to be where CRI-O has it everywhere, so it is bound there in the cluster's mount namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Paths;
use crate::cluster::{control, oci, oci_runtime};
use crate::{command, repo};

const STORAGE: &str = "/var/lib/containers/storage";
const RUN_STORAGE: &str = "/run/containers/storage";

/// A pod's `local/busybox:1` is completed by it, as containerd does.
pub(super) const SHADOWS: [(&str, &str); 1] =
    [("/etc/containers/registries.conf", "unqualified-search-registries = [\"docker.io\"]\n")];

pub(super) fn command(paths: &Paths) -> Vec<String> {
    let crio = repo::cri_o_tools().join("crio");
    let config = config_file(paths).display().to_string();
    // None of the machine's drop-ins.
    vec![crio.display().to_string(), "--config".into(), config, "--config-dir".into(), String::new()]
}

pub(super) fn binds(paths: &Paths) -> Vec<(PathBuf, PathBuf)> {
    vec![
        (paths.data().join("containers"), PathBuf::from("/var/lib/containers")),
        (paths.cri_o_run_storage(), PathBuf::from("/run/containers")),
        (paths.data().join("run-crio"), PathBuf::from("/run/crio")),
    ]
}

pub(super) fn write_config(paths: &Paths) -> Result<()> {
    fs::write(policy_file(paths), r#"{"default": [{"type": "insecureAcceptAnything"}]}"#)?;
    fs::write(config_file(paths), config(paths))?;
    oci_runtime::write_eased(paths)
}

/// Copies an archive's image into the storage. Our build has no client for that, Debian's `skopeo` is one.
pub(super) fn import(paths: &Paths, archive: &Path, name: &str) -> Result<()> {
    let init = control::load(paths)?.init.context("the cluster has no init yet")?;
    let mut skopeo = Command::new("nsenter");
    skopeo.arg(format!("--mount=/proc/{}/ns/mnt", init.pid())).args(["--", "skopeo", "copy", "--quiet"]);
    skopeo.arg("--policy").arg(policy_file(paths));
    skopeo.arg(format!("oci-archive:{}", archive.display()));
    let name = oci::full_name(name);
    skopeo.arg(format!("containers-storage:[overlay@{STORAGE}+{RUN_STORAGE}]{name}"));
    command::output(&mut skopeo).map(drop)
}

fn config_file(paths: &Paths) -> PathBuf {
    paths.config("crio.conf")
}

fn policy_file(paths: &Paths) -> PathBuf {
    paths.config("policy.json")
}

fn config(paths: &Paths) -> String {
    let (socket, policy, cni) = (paths.cri_o_socket(), policy_file(paths), paths.cni_config());
    let pinns = repo::cri_o_tools().join("pinns");
    let mut text = format!(
        r#"[crio]
root = "{STORAGE}"
runroot = "{RUN_STORAGE}"
storage_driver = "overlay"
log_dir = "/run/crio/logs"
version_file = "/run/crio/version"
clean_shutdown_file = "/run/crio/clean.shutdown"

[crio.api]
listen = "{socket}"
stream_address = "127.0.0.1"
stream_port = "0"

[crio.runtime]
default_runtime = "runc"
cgroup_manager = "cgroupfs"
namespaces_dir = "/run/crio/ns"
container_exits_dir = "/run/crio/exits"
container_attach_socket_dir = "/run/crio"
pinns_path = "{pinns}"
hooks_dir = []
# A profile would be loaded into the machine's kernel and stay there.
apparmor_profile = "unconfined"

[crio.image]
pause_image = "docker.io/local/pause:1"
pause_command = ""
signature_policy = "{policy}"

[crio.network]
network_dir = "{cni}"
plugin_dirs = ["/usr/lib/cni"]

# It would make a socket on the machine.
[crio.nri]
enable_nri = false
"#,
        socket = socket.display(),
        pinns = pinns.display(),
        policy = policy.display(),
        cni = cni.display(),
    );
    for (handler, script) in oci_runtime::eased(paths) {
        text.push_str(&format!(
            r#"
[crio.runtime.runtimes.{handler}]
runtime_path = "{}"
runtime_type = "oci"
runtime_root = "/run/crio/{handler}"
monitor_path = "/usr/bin/conmon"
monitor_cgroup = "pod"
"#,
            script.display()
        ));
    }
    text
}
