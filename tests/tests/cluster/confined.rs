//! What the DaemonSet's process may do by each overlay. Every other test of the DaemonSet runs by `least-privilege`:
//! what it lacked there would fail all of them, while `privileged` needs no more than to be seen to work.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use debugtrail_tests::debug::Patient;
use debugtrail_tests::tier::Tier;
use procfs::process::{MountInfo, MountOptFields, Process, Status};
use rustix::thread::CapabilitySet;
use serde_json::{Value, json};
use xtask::deploy::{DaemonPod, DaemonSet};

use crate::api_server::one_end;
use crate::daemonset::{EXIT_CODE, sessions, wait_for_end};

/// The base's capabilities and no other, no way to more, the runtime's seccomp profile, nothing to write on but the
/// ledger and the BPF file system.
pub fn it_may_do_what_the_overlay_says_and_no_more(tier: &Tier) -> Result<()> {
    let agent = tier.daemon_set()?;
    let pod = agent.wait_until_ready(None)?;
    let process = process(&agent, &pod)?;
    let status = process.status()?;
    let named = CapabilitySet::BPF
        | CapabilitySet::PERFMON
        | CapabilitySet::SYS_PTRACE
        | CapabilitySet::DAC_READ_SEARCH;
    for (set, held) in
        [("effective", status.capeff), ("permitted", status.capprm), ("bounding", bounding(&status))]
    {
        ensure!(held == named.bits(), "its {set} capabilities are {held:#x}");
    }
    ensure!(status.seccomp == Some(2), "no seccomp filter: {:?}", status.seccomp);
    ensure!(status.nonewprivs == Some(1), "it may gain privileges: {:?}", status.nonewprivs);
    let writable = process.mountinfo()?.into_iter().filter(|mount| mount.mount_options.contains_key("rw"));
    let unexpected: Vec<_> =
        writable.filter(|mount| !is_expected(mount)).map(|mount| mount.mount_point).collect();
    ensure!(unexpected.is_empty(), "it may write on {unexpected:?}");
    Ok(())
}

/// What it is meant to write on; what every container has; and what a runtime that knows no recursively read-only
/// mounts (containerd before 2.0) leaves of a hybrid setup.
fn is_expected(mount: &MountInfo) -> bool {
    const OWN: [&str; 4] = ["/var/lib/debugtrail", "/sys/fs/bpf", "/etc/hosts", "/dev/termination-log"];
    ["proc", "tmpfs", "devpts", "mqueue"].contains(&mount.fs_type.as_str())
        || OWN.iter().any(|own| mount.mount_point.as_path() == Path::new(own))
        || mount.mount_point.starts_with("/host/sys/fs/cgroup")
            && mount.mount_point != Path::new("/host/sys/fs/cgroup")
}

/// The node is one without systemd: nothing below /sys is shared. And its API server wants a quota for the agent's
/// priority class, as GKE's does. The agent is there nevertheless, and pins.
pub fn it_runs_on_a_node_whose_sys_is_private(tier: &Tier) -> Result<()> {
    let (agent, cluster) = (tier.daemon_set()?, tier.cluster()?);
    let pod = agent.wait_until_ready(None)?;
    let node = Process::new(cluster.component_pid("kubelet")?.context("no kubelet runs")?)?;
    let bound = ["/sys/fs/cgroup", "/sys/fs/bpf"].map(Path::new);
    let of_node = node.mountinfo()?.into_iter().filter(|mount| bound.contains(&mount.mount_point.as_path()));
    let shared: Vec<_> = of_node.filter(is_shared).map(|mount| mount.mount_point).collect();
    ensure!(shared.is_empty(), "shared on the node: {shared:?}");
    let unquoted = [
        "run",
        "critical",
        "--image=local/pause:1",
        "--restart=Never",
        r#"--overrides={"spec":{"priorityClassName":"system-node-critical"}}"#,
    ];
    let mut kubectl = tier.access()?.kubectl();
    let refused = kubectl.args(unquoted).args(["-n", "default", "--dry-run=server"]).output()?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && said.contains("quota"), "no quota is asked for: {said}");
    let own = process(&agent, &pod)?.mountinfo()?;
    let pins = own.into_iter().find(|mount| mount.mount_point == Path::new("/sys/fs/bpf"));
    ensure!(pins.is_some_and(|mount| mount.fs_type == "bpf"), "no BPF file system in the agent's pod");
    Ok(())
}

fn is_shared(mount: &MountInfo) -> bool {
    mount.opt_fields.iter().any(|field| matches!(field, MountOptFields::Shared(_)))
}

/// It is asked where it is to answer, and finds nothing wrong that root does not find on the node itself.
pub fn doctor_in_its_pod_finds_nothing_to_fix(tier: &Tier) -> Result<()> {
    let (agent, access) = (tier.daemon_set()?, tier.access()?);
    let pod = agent.wait_until_ready(None)?;
    let doctor = ["doctor", "--output", "json", "--ledger", "/var/lib/debugtrail"];
    let inside = agent.exec(&pod, &[&["debugtrail"], &doctor[..]].concat())?;
    ensure!(inside.status.success(), "it ended with {}: {inside:?}", inside.status);
    let outside = access.debugtrail_with(&doctor[..3]).output().context("cannot start debugtrail")?;
    let (inside, outside) = (checks(&inside.stdout)?, checks(&outside.stdout)?);
    let also_there = |wrong: &Value| {
        outside.iter().any(|check| check["check"] == wrong["check"] && check["what"] == wrong["what"])
    };
    let wrong: Vec<_> = inside.iter().filter(|check| check["level"] != "ok" && !also_there(check)).collect();
    ensure!(wrong.is_empty(), "{wrong:#?}");
    let found = |name: &str| inside.iter().find(|check| check["check"] == name).map(|check| &check["what"]);
    let others = found("other debugtrails").context("no check of others")?;
    let pid = agent.pid(&pod)?.to_string();
    ensure!(others.as_str().is_some_and(|what| what.contains(&pid)), "pid {pid}: {others}");
    ensure!(found("ledger").is_some(), "the ledger was not looked at");
    Ok(())
}

fn checks(report: &[u8]) -> Result<Vec<Value>> {
    let report: Value = serde_json::from_slice(report).context("no report")?;
    report["checks"].as_array().cloned().context("no checks")
}

/// An update of the DaemonSet from one overlay to the other: privileged, it records as well.
pub fn the_privileged_overlay_takes_over(tier: &Tier) -> Result<()> {
    let agent = tier.daemon_set()?;
    let pod = agent.wait_until_ready(None)?;
    agent.apply("overlays/privileged")?;
    let updated = agent.wait_until_ready(Some(&pod))?;
    let status = process(&agent, &updated)?.status()?;
    ensure!(
        status.capeff & CapabilitySet::SYS_ADMIN.bits() != 0,
        "its capabilities are {:#x}",
        status.capeff
    );
    ensure!(status.seccomp == Some(0), "a seccomp filter: {:?}", status.seccomp);
    let patient = Patient::admit(tier.access()?)?;
    let [session] = sessions(&patient, &agent, ["dbg"])?;
    session.end()?;
    wait_for_end(&agent, &session)?;
    let expected = json!({"exit_code": EXIT_CODE, "evidence": {"kernel": "full", "named_by": "runtime"}});
    one_end(&session, &expected, &agent.ledger()?)
}

fn process(agent: &DaemonSet, pod: &DaemonPod) -> Result<Process> {
    Ok(Process::new(i32::try_from(agent.pid(pod)?)?)?)
}

fn bounding(status: &Status) -> u64 {
    status.capbnd.unwrap_or(u64::MAX)
}
