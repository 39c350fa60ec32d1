//! Kubernetes, built from its Go modules: one binary, called by the name of each component.

use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::go_module::Build;
use crate::repo;

/// What the binary says it is; the modules' version is in go.mod.
const VERSION: &str = "v1.35.4";

const COMPONENTS: [&str; 6] =
    ["kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"];

/// Builds the binary into `target/tools/kubernetes`, unless it is there and made of these sources.
///
/// # Errors
/// When Go is missing or the build fails.
pub fn build() -> Result<()> {
    let build = Build {
        title: &format!("Kubernetes {VERSION} (some 5 minutes the first time)"),
        source: "kubernetes",
        tools: repo::kubernetes_tools(),
        flags: &["-ldflags", &ldflags()],
        cgo: false,
        programs: &[(".", "kubernetes")],
        version: VERSION,
    };
    build.run(|build, _| COMPONENTS.iter().try_for_each(|component| link(&build.tools.join(component))))
}

fn ldflags() -> String {
    let base = "k8s.io/component-base/version";
    format!(
        "-s -w -X {base}.gitVersion={VERSION} -X {base}.gitMajor=1 -X {base}.gitMinor=35 \
         -X k8s.io/client-go/pkg/version.gitVersion={VERSION}"
    )
}

fn link(path: &PathBuf) -> Result<()> {
    match symlink("kubernetes", path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make {}", path.display()))
        }
        _ => Ok(()),
    }
}
