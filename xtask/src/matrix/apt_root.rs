//! A private apt root with the suites that Debian's kernels are in: the machine's own sources stay as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::progress::Step;
use crate::{command, repo};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Suites of the main archive and of the security archive.
const MAIN_SUITES: [&str; 2] = ["bookworm", "trixie-backports"];
const SECURITY_SUITES: [&str; 2] = ["bullseye-security", "bookworm-security"];

/// Its lists are there and fresh.
#[derive(Debug)]
pub(super) struct AptRoot(PathBuf);

impl AptRoot {
    /// Makes it and fetches the lists.
    pub(super) fn update() -> Result<Self> {
        let root = Self(repo::tools().join("matrix/apt"));
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(root.0.join(folder))?;
        }
        fs::write(root.0.join("sources.list"), sources(&configured()?)?)?;
        let step = Step::begin("package lists of Debian's kernels");
        command::run_quietly(root.apt("apt-get").arg("update"), &step)?;
        step.done();
        Ok(root)
    }

    /// Names of packages that match a regular expression.
    pub(super) fn names(&self, pattern: &str) -> Result<Vec<String>> {
        let found = command::output(self.apt("apt-cache").args(["search", "--names-only", pattern]))?;
        Ok(found.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// Unpacks packages into a folder, one over the other; nothing is installed.
    pub(super) fn unpack(&self, packages: &[String], folder: &Path, step: &Step) -> Result<()> {
        let archives = self.0.join("debs");
        let _from_before = fs::remove_dir_all(&archives);
        fs::create_dir_all(&archives)?;
        let mut download = self.apt("apt-get");
        download.current_dir(&archives).arg("download").args(packages);
        command::run_quietly(&mut download, step)?;
        for archive in fs::read_dir(&archives)? {
            let mut dpkg = Command::new("dpkg-deb");
            command::run_quietly(dpkg.arg("--extract").arg(archive?.path()).arg(folder), step)?;
        }
        fs::remove_dir_all(&archives).with_context(|| format!("cannot remove {}", archives.display()))
    }

    fn apt(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        for (option, place) in
            [("Dir::State", "state"), ("Dir::Cache", "cache"), ("Dir::Etc::sourcelist", "sources.list")]
        {
            apt.arg("-o").arg(format!("{option}={}", self.0.join(place).display()));
        }
        for option in [
            "Dir::Etc::sourceparts=-",
            "Dir::State::status=/var/lib/dpkg/status",
            "APT::Sandbox::User=root",
            "APT::Architecture=amd64",
            "Acquire::Languages=none",
        ] {
            apt.args(["-o", option]);
        }
        apt
    }
}

/// The machine's own sources: `URI RELEASE`, one a line.
fn configured() -> Result<String> {
    command::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE)",
        "Created-By: Packages",
    ]))
    .context("the kernels come from Debian by apt-get")
}

/// Debian's suites on the mirrors that the machine itself uses.
fn sources(configured: &str) -> Result<String> {
    let mirror = |folder: &str| {
        let uris = configured.lines().filter_map(|line| line.split_whitespace().next());
        uris.map(|uri| uri.trim_end_matches('/'))
            .find(|uri| uri.ends_with(folder))
            .with_context(|| format!("apt has no source that ends in {folder}: add Debian's own"))
    };
    let (main, security) = (mirror("/debian")?, mirror("/debian-security")?);
    let main = MAIN_SUITES.map(|suite| (main, suite));
    let security = SECURITY_SUITES.map(|suite| (security, suite));
    let lines = main.into_iter().chain(security);
    Ok(lines.map(|(uri, suite)| format!("deb [signed-by={KEYRING}] {uri} {suite} main\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_are_on_the_machines_own_mirrors() {
        let own = "http://mirror.test/tools/ stable\nhttp://mirror.test/debian/ bookworm\n\
                   http://mirror.test/debian-security/ bookworm-security\n";
        let sources = sources(own).unwrap();
        assert!(sources.contains("] http://mirror.test/debian trixie-backports main\n"), "{sources}");
        assert!(
            sources.contains("] http://mirror.test/debian-security bullseye-security main\n"),
            "{sources}"
        );
        assert_eq!(sources.lines().count(), 4);
    }

    #[test]
    fn a_machine_without_debians_archive_is_an_error() {
        let error = super::sources("http://mirror.test/ubuntu/ noble\n").unwrap_err().to_string();
        assert!(error.contains("/debian"), "{error}");
    }
}
