//! What the run was measured on, and with.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::Result;
use procfs::{Current, LoadAverage, Meminfo};
use xtask::cluster::Cluster;
use xtask::{command, repo};

use crate::report::Machine;

/// This machine, now.
///
/// # Errors
/// When /proc cannot be read.
pub fn describe() -> Result<Machine> {
    let cpus = procfs::CpuInfo::current()?;
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    Ok(Machine {
        taken_at: jiff::Timestamp::now().strftime("%F %H:%M UTC").to_string(),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        os: os_name(&os).unwrap_or("an unknown system").to_owned(),
        cpu: cpus.model_name(0).unwrap_or("unknown").to_owned(),
        cpus: cpus.num_cores(),
        memory_mib: Meminfo::current()?.mem_total / (1024 * 1024),
        load_before: LoadAverage::current()?.one,
    })
}

/// The versions of what took part, as each program itself prints it.
///
/// # Errors
/// When one of them cannot be asked.
pub fn versions(cluster: &Cluster) -> Result<BTreeMap<&'static str, String>> {
    let ask = |program: &mut Command| Ok::<_, anyhow::Error>(version(&command::output(program)?));
    Ok(BTreeMap::from([
        ("debugtrail", ask(Command::new(repo::debugtrail_binary()).arg("--version"))?),
        ("kubernetes", ask(cluster.kubectl().args(["get", "nodes", "-o", KUBELET_VERSION]))?),
        ("containerd", ask(Command::new("containerd").arg("--version"))?),
        ("runc", ask(Command::new("runc").arg("--version"))?),
        (
            "exitsnoop",
            ask(Command::new("dpkg-query").args(["-W", "-f=libbpf-tools ${Version}", "libbpf-tools"]))?,
        ),
        ("bpftrace", ask(Command::new("bpftrace").arg("--version"))?),
    ]))
}

const KUBELET_VERSION: &str = "jsonpath=Kubernetes {.items[0].status.nodeInfo.kubeletVersion}";

/// The first word with a digit in it, of the first line.
fn version(said: &str) -> String {
    let mut words = said.lines().next().unwrap_or_default().split_whitespace();
    words
        .find(|word| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or("unknown")
        .to_owned()
}

fn os_name(os_release: &str) -> Option<&str> {
    Some(os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::{os_name, version};

    #[test]
    fn versions_are_read_as_programs_print_them() {
        assert_eq!(version("debugtrail 0.1.0\n"), "0.1.0");
        assert_eq!(version("Kubernetes v1.35.4"), "v1.35.4");
        assert_eq!(
            version("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+b1"),
            "1.6.20~ds1"
        );
        assert_eq!(version("runc version 1.1.5+ds1\ncommit: 1"), "1.1.5+ds1");
        assert_eq!(version("bpftrace v0.17.0"), "v0.17.0");
        assert_eq!(version("libbpf-tools 0.26.0+ds-1"), "0.26.0+ds-1");
        assert_eq!(version(""), "unknown");
    }

    #[test]
    fn the_name_of_the_system() {
        assert_eq!(
            os_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            Some("Debian GNU/Linux 12 (bookworm)")
        );
        assert_eq!(os_name(""), None);
    }
}
