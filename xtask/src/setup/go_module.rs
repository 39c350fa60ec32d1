//! Programs built from Go modules: no prebuilt binary is downloaded, and nothing is changed in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::progress::Step;
use crate::{command, repo};

/// What the programs of one module are built of.
#[derive(Debug)]
pub(super) struct Build<'a> {
    /// Name and version, and how long it takes the first time.
    pub(super) title: &'a str,
    /// The folder below xtask/ that has go.mod and go.sum.
    pub(super) source: &'static str,
    /// Where the programs go.
    pub(super) tools: PathBuf,
    /// What goes into `go build` before the package.
    pub(super) flags: &'a [&'a str],
    /// Whether C is linked.
    pub(super) cgo: bool,
    /// Each program's package and its name in `tools`.
    pub(super) programs: &'a [(&'a str, &'a str)],
    /// What the result depends on besides go.mod and what lies beside it.
    pub(super) version: &'a str,
}

impl Build<'_> {
    /// Builds the programs, unless they are there and made of these sources. `then` makes what else belongs to them.
    pub(super) fn run(&self, then: impl FnOnce(&Self, &Step) -> Result<()>) -> Result<()> {
        fs::create_dir_all(&self.tools)?;
        let (wanted, stamp) = (self.stamp()?, self.tools.join("stamp"));
        if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
            return Ok(());
        }
        check_go(&self.folder())?;
        let step = Step::begin(&format!("building {}", self.title));
        for (package, program) in self.programs {
            self.compile(package, &self.tools.join(program), &step)?;
        }
        then(self, &step)?;
        step.done();
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }

    /// `go` in the module's folder, with caches of its own.
    pub(super) fn go(&self) -> Command {
        let caches = repo::target().join("go");
        let mut go = Command::new("go");
        go.current_dir(self.folder())
            .env("CGO_ENABLED", if self.cgo { "1" } else { "0" })
            // Writable, so that `rm -r target` works.
            .env("GOFLAGS", "-modcacherw -buildvcs=false")
            .env("GOMODCACHE", caches.join("mod"))
            .env("GOCACHE", caches.join("build"));
        go
    }

    fn folder(&self) -> PathBuf {
        repo::root().join("xtask").join(self.source)
    }

    fn compile(&self, package: &str, binary: &Path, step: &Step) -> Result<()> {
        let fresh = binary.with_extension("new");
        let mut go = self.go();
        go.args(["build", "-v", "-trimpath"]).args(self.flags).arg("-o").arg(&fresh).arg(package);
        command::run_quietly(&mut go, step)?;
        // By name, as the old one may be running.
        fs::rename(&fresh, binary).with_context(|| format!("cannot put {} in place", binary.display()))
    }

    fn stamp(&self) -> Result<String> {
        let folder = self.folder();
        let files = ["main.go", "go.mod", "go.sum"].into_iter().filter(|file| folder.join(file).exists());
        let mut sums = Command::new("sha256sum");
        let sums = command::output(sums.current_dir(&folder).args(files))?;
        Ok(format!("{}\n{sums}", self.version))
    }
}

/// A Go that is too old fails late and in words of its own.
fn check_go(module: &Path) -> Result<()> {
    let path = module.join("go.mod");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (major, minor) = wanted_go(&text).with_context(|| format!("no go line in {}", path.display()))?;
    let Ok(text) = command::output(Command::new("go").arg("version")) else {
        bail!("Go {major}.{minor} or newer is missing: https://go.dev/doc/install");
    };
    let there = parse_go_version(&text).with_context(|| format!("cannot read `{}`", text.trim()))?;
    ensure!(
        there >= (major, minor),
        "Go {major}.{minor} or newer is needed, this is {}.{}: https://go.dev/doc/install",
        there.0,
        there.1
    );
    Ok(())
}

/// From a go.mod's line `go 1.26.8`.
fn wanted_go(module: &str) -> Option<(u32, u32)> {
    version(module.lines().find_map(|line| line.strip_prefix("go "))?)
}

/// From `go version go1.25.3 linux/amd64`.
fn parse_go_version(text: &str) -> Option<(u32, u32)> {
    version(text.split_whitespace().nth(2)?.strip_prefix("go")?)
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
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
        assert_eq!(wanted_go("module x\n\ngo 1.26.8\n\nrequire y v1.0.0\n"), Some((1, 26)));
        assert_eq!(wanted_go("module x\n"), None);
    }
}
