//! Kubernetes, built from its Go modules: one binary, called by the name of each component.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::progress::Step;
use crate::{command, repo};

/// What the binary says it is; the modules' version is in go.mod.
const VERSION: &str = "v1.35.4";
const MAJOR: &str = "1";
const MINOR: &str = "35";
/// As go.mod says.
const GO: (u32, u32) = (1, 25);

const COMPONENTS: [&str; 6] =
    ["kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"];

/// Builds the binary into `target/tools/kubernetes`, unless it is there and made of these sources.
///
/// # Errors
/// When Go is missing or the build fails.
pub fn build() -> Result<()> {
    let (folder, source) = (repo::kubernetes_tools(), repo::root().join("xtask/kubernetes"));
    fs::create_dir_all(&folder)?;
    let wanted = stamp(&source)?;
    let stamp_file = folder.join("stamp");
    if fs::read_to_string(&stamp_file).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    check_go()?;
    compile(&source, &folder.join("kubernetes"))?;
    for component in COMPONENTS {
        link(&folder.join(component))?;
    }
    fs::write(stamp_file, wanted).context("cannot write the stamp of the Kubernetes build")
}

/// What the binary depends on.
fn stamp(source: &Path) -> Result<String> {
    let mut sums = Command::new("sha256sum");
    let sums = command::output(sums.current_dir(source).args(["main.go", "go.mod", "go.sum"]))?;
    Ok(format!("{VERSION}\n{sums}"))
}

fn compile(source: &Path, binary: &Path) -> Result<()> {
    let step = Step::begin(&format!("building Kubernetes {VERSION} (some 5 minutes the first time)"));
    let caches = repo::target().join("go");
    let fresh = binary.with_extension("new");
    let mut go = Command::new("go");
    go.current_dir(source)
        .env("CGO_ENABLED", "0")
        // Writable, so that `rm -r target` works.
        .env("GOFLAGS", "-modcacherw -buildvcs=false")
        .env("GOMODCACHE", caches.join("mod"))
        .env("GOCACHE", caches.join("build"))
        .args(["build", "-v", "-trimpath", "-ldflags", &ldflags(), "-o"])
        .arg(&fresh)
        .arg(".");
    command::run_quietly(&mut go, &step)?;
    // By name, as the old one may be running.
    fs::rename(&fresh, binary)?;
    step.done();
    Ok(())
}

fn ldflags() -> String {
    let base = "k8s.io/component-base/version";
    format!(
        "-s -w -X {base}.gitVersion={VERSION} -X {base}.gitMajor={MAJOR} -X {base}.gitMinor={MINOR} \
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

fn check_go() -> Result<()> {
    let (major, minor) = GO;
    let Ok(text) = command::output(Command::new("go").arg("version")) else {
        bail!("Go {major}.{minor} or newer is missing: https://go.dev/doc/install");
    };
    let there = parse_go_version(&text).with_context(|| format!("cannot read `{}`", text.trim()))?;
    ensure!(
        there >= GO,
        "Go {major}.{minor} or newer is needed, this is {}.{}: https://go.dev/doc/install",
        there.0,
        there.1
    );
    Ok(())
}

/// From `go version go1.25.3 linux/amd64`.
fn parse_go_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split_whitespace().nth(2)?.strip_prefix("go")?.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some((major, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_compare() {
        assert_eq!(parse_go_version("go version go1.25.3 linux/amd64\n"), Some((1, 25)));
        assert_eq!(parse_go_version("go version go1.26rc1 linux/arm64"), Some((1, 26)));
        assert_eq!(parse_go_version("go: unknown command"), None);
    }
}
