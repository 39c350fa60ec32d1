//! containerd, of Debian or of our own build: both are asked by Debian's `ctr`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::Paths;
use crate::cluster::oci_runtime;
use crate::{command, repo};

pub(super) fn config_file(paths: &Paths) -> PathBuf {
    paths.config("containerd.toml")
}

pub(super) fn debians(paths: &Paths) -> Vec<String> {
    vec!["containerd".into(), config_flag(paths)]
}

/// The shim is looked for on PATH first, and Debian's is there.
pub(super) fn second(paths: &Paths) -> Vec<String> {
    let tools = repo::containerd_2_tools();
    let (path, binary) = (tools.display(), tools.join("containerd"));
    vec![
        "env".into(),
        format!("PATH={path}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        binary.display().to_string(),
        config_flag(paths),
    ]
}

fn config_flag(paths: &Paths) -> String {
    format!("--config={}", config_file(paths).display())
}

pub(super) fn binds(paths: &Paths) -> Vec<(PathBuf, PathBuf)> {
    vec![(paths.containerd_state(), PathBuf::from("/run/containerd"))]
}

/// Imports an archive, which has the image's name in it.
pub(super) fn import(paths: &Paths, archive: &Path) -> Result<()> {
    let mut ctr = ctr(paths);
    ctr.args(["images", "import", "--snapshotter", "native"]).arg(archive);
    command::output(&mut ctr).map(drop)
}

/// True once containerd serves its plugins.
pub(super) fn answers(paths: &Paths) -> bool {
    command::succeeds(ctr(paths).args(["--timeout", "2s", "version"]))
}

fn ctr(paths: &Paths) -> Command {
    let mut ctr = Command::new("ctr");
    ctr.arg("--address").arg(paths.containerd_socket()).args(["--namespace", "k8s.io"]);
    ctr
}

/// The configuration that containerd 1.6 and newer read.
pub(super) fn version_2(paths: &Paths) -> String {
    let (root, socket) = (paths.containerd_root(), paths.containerd_socket());
    let cni = paths.cni_config();
    format!(
        r#"version = 2
root = "{root}"
state = "/run/containerd"

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "local/pause:1"
  # Root may lack CAP_SYS_RESOURCE (a VM's or a container's root): no sandbox would start.
  restrict_oom_score_adj = true
  # A profile would be loaded into the machine's kernel and stay there.
  disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{cni}"

[plugins."io.containerd.grpc.v1.cri".containerd]
  # Works on every file system; the images are a few megabytes.
  snapshotter = "native"
  default_runtime_name = "runc"

{handlers}"#,
        root = root.display(),
        socket = socket.display(),
        cni = cni.display(),
        handlers = handlers("io.containerd.grpc.v1.cri", Path::new("crun"), &paths.hooked_runc()),
    )
}

/// The same for containerd 2, whose CRI plugin is two.
pub(super) fn version_3(paths: &Paths) -> String {
    let (root, socket) = (paths.containerd_root(), paths.containerd_socket());
    let (cni, crun) = (paths.cni_config(), oci_runtime::eased_crun(paths));
    format!(
        r#"version = 3
root = "{root}"
state = "/run/containerd"

[grpc]
  address = "{socket}"

# Each would make a folder or a socket on the machine.
[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"
[plugins."io.containerd.nri.v1.nri"]
  disable = true

[plugins."io.containerd.cri.v1.images"]
  # Works on every file system; the images are a few megabytes.
  snapshotter = "native"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "local/pause:1"

[plugins."io.containerd.cri.v1.runtime"]
  # Root may lack CAP_SYS_RESOURCE (a VM's or a container's root): no sandbox would start.
  restrict_oom_score_adj = true
  # A profile would be loaded into the machine's kernel and stay there.
  disable_apparmor = true
  enable_cdi = false

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "{cni}"

[plugins."io.containerd.cri.v1.runtime".containerd]
  default_runtime_name = "runc"

{handlers}"#,
        root = root.display(),
        socket = socket.display(),
        cni = cni.display(),
        handlers = handlers("io.containerd.cri.v1.runtime", &crun, &paths.hooked_runc()),
    )
}

/// What a RuntimeClass may name, and `runc`.
fn handlers(plugin: &str, crun: &Path, hooked: &Path) -> String {
    format!(
        r#"[plugins."{plugin}".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."{plugin}".containerd.runtimes.crun]
  runtime_type = "io.containerd.runc.v2"
[plugins."{plugin}".containerd.runtimes.crun.options]
  BinaryName = "{crun}"

[plugins."{plugin}".containerd.runtimes.hooked]
  runtime_type = "io.containerd.runc.v2"
[plugins."{plugin}".containerd.runtimes.hooked.options]
  BinaryName = "{hooked}"
"#,
        crun = crun.display(),
        hooked = hooked.display(),
    )
}
