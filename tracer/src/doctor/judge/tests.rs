use std::path::PathBuf;

use rustix::thread::CapabilitySet;

use super::*;
use crate::clock::ClockState;
use crate::doctor::facts::{CgroupFacts, ClusterFacts, LedgerFacts, NodeFound, Others, RuntimeClassFound};
use crate::ids::{BootId, Pid};
use crate::kernel::{Lack, Privileges};

/// A node where all is well.
fn good() -> Facts {
    Facts {
        privileges: Ok(Privileges {
            root: true,
            effective: CapabilitySet::all(),
            initial_user_namespace: true,
            memlock: Some(8 << 20),
            filtered: false,
            locked_down: false,
        }),
        initial_pid_namespace: true,
        init_root: Ok(()),
        release: "6.18.0".into(),
        lacks: Ok(Vec::new()),
        programs: Ok(()),
        cgroups: Ok(CgroupFacts { mount: "/sys/fs/cgroup".into(), root: "/".into(), hybrid: false }),
        bpffs: true,
        bundles: vec!["/run/containerd/io.containerd.runtime.v2.task/k8s.io".into()],
        others: Ok(Others::default()),
        clock: ClockState { boot_id: BootId::new("b"), synchronized: Some(true), max_error_us: Some(1200) },
        ledger: None,
        cluster: ClusterFacts {
            client: Some(Ok(())),
            version: Some(Ok("v1.35.4".into())),
            node: Some(Ok(NodeFound {
                name: "node1".into(),
                runtime: "containerd://1.6.20".into(),
                unchecked: None,
            })),
            list_pods: Some(Ok(())),
            watch_pods: Some(Ok(())),
            runtime_classes: Some(Ok(Vec::new())),
        },
    }
}

fn of<'a>(check: &str, findings: &'a [Finding]) -> Vec<&'a Finding> {
    findings.iter().filter(|finding| finding.check == check).collect()
}

/// The one finding of a check, where the facts are bad in one respect.
fn one(check: &str, change: impl FnOnce(&mut Facts)) -> Finding {
    let mut facts = good();
    change(&mut facts);
    let findings = findings(&facts);
    let found = of(check, &findings);
    assert_eq!(found.len(), 1, "{check}: {findings:#?}");
    let elsewhere = findings.iter().filter(|finding| finding.check != check && finding.level != Level::Ok);
    assert_eq!(elsewhere.count(), 0, "only {check} is bad: {findings:#?}");
    found[0].clone()
}

fn problem(failure: Failure) -> Problem {
    Problem { failure, text: "it is broken; repair it".into() }
}

#[test]
fn a_good_node_has_only_ok_findings_without_hints() {
    let findings = findings(&good());
    assert!(
        findings.iter().all(|finding| finding.level == Level::Ok && finding.hint.is_none()),
        "{findings:#?}"
    );
    assert_eq!(failure(&findings), None);
    let checks: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(
        checks,
        [
            "privileges",
            "pid namespace",
            "kernel",
            "programs",
            "locked memory",
            "cgroups",
            "bpffs",
            "runtime",
            "other debugtrails",
            "clock",
            "API server",
            "node",
            "right to list pods",
            "right to watch pods",
            "sandboxed runtimes",
        ]
    );
}

#[test]
fn a_missing_capability_is_failing_and_named() {
    let finding = one("privileges", |facts| {
        facts.privileges.as_mut().unwrap().effective = CapabilitySet::all() - CapabilitySet::SYS_PTRACE;
    });
    assert_eq!(finding.level, Level::Failing(Failure::NotPermitted));
    assert_eq!(finding.what, "CAP_SYS_PTRACE is missing");
    assert!(finding.hint.unwrap().starts_with("run as root with all capabilities, or add it"));
}

#[test]
fn each_thing_that_the_kernel_lacks_is_a_finding() {
    let mut facts = good();
    let lack = |what: &str| Lack { what: what.into(), purpose: "it shows something", needed: true };
    facts.release = "4.19.0".into();
    facts.lacks = Ok(vec![lack("tracepoint cgroup_mkdir"), lack("field kernfs_node.id")]);
    let findings = findings(&facts);
    let what: Vec<&str> = of("kernel", &findings).iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "4.19.0 has no tracepoint cgroup_mkdir, and it shows something",
            "4.19.0 has no field kernfs_node.id, and it shows something",
        ]
    );
    assert_eq!(failure(&findings), Some(Failure::Machine));
}

#[test]
fn a_fact_that_the_kernel_does_not_show_is_a_warning() {
    let lack = Lack { what: "arguments".into(), purpose: "records have null there", needed: false };
    let finding = one("kernel", |facts| facts.lacks = Ok(vec![lack]));
    assert_eq!(finding.level, Level::Warning);
    assert!(finding.what.ends_with("does not show arguments: records have null there"), "{}", finding.what);
}

#[test]
fn an_error_is_split_into_what_and_hint() {
    let finding = one("kernel", |facts| facts.lacks = Err(problem(Failure::Machine)));
    assert_eq!((finding.what.as_str(), finding.hint.as_deref()), ("it is broken", Some("repair it")));
    assert_eq!(finding.level, Level::Failing(Failure::Machine));
}

#[test]
fn the_first_failing_check_gives_the_exit_code() {
    let mut facts = good();
    facts.cluster.client = Some(Err(problem(Failure::Cluster)));
    facts.programs = Err(problem(Failure::Machine));
    facts.clock.synchronized = Some(false);
    assert_eq!(failure(&findings(&facts)), Some(Failure::Machine));
    facts.programs = Ok(());
    assert_eq!(failure(&findings(&facts)), Some(Failure::Cluster));
}

#[test]
fn a_memory_limit_warns_only_where_programs_do_not_load() {
    let mut facts = good();
    facts.programs = Err(problem(Failure::NotPermitted));
    let limited = findings(&facts);
    assert_eq!(of("locked memory", &limited)[0].level, Level::Warning);
    facts.privileges.as_mut().unwrap().memlock = None;
    assert_eq!(of("locked memory", &findings(&facts))[0].level, Level::Ok);
}

#[test]
fn only_a_mount_of_a_part_of_the_hierarchy_is_a_warning() {
    let with_root = |root: &str| {
        let mut facts = good();
        let mount = PathBuf::from("/sys/fs/cgroup");
        facts.cgroups = Ok(CgroupFacts { mount, root: root.into(), hybrid: true });
        of("cgroups", &findings(&facts))[0].clone()
    };
    assert_eq!(with_root("/").what, "cgroup v2 at /sys/fs/cgroup, hybrid");
    assert_eq!(with_root("/../../..").level, Level::Ok);
    assert_eq!(with_root("/kubepods").level, Level::Warning);
}

#[test]
fn a_limit_that_prevents_nothing_is_a_warning() {
    for (check, change) in [
        ("pid namespace", (|facts| facts.initial_pid_namespace = false) as fn(&mut Facts)),
        ("bpffs", |facts| facts.bpffs = false),
        ("runtime", |facts| facts.bundles.clear()),
        ("clock", |facts| facts.clock.synchronized = Some(false)),
        ("clock", |facts| facts.clock.synchronized = None),
        ("other debugtrails", |facts| facts.others = Err("not allowed".into())),
        ("other debugtrails", |facts| facts.others = Ok(Others { count: 2, pids: vec![Pid(7)] })),
    ] {
        let finding = one(check, change);
        assert_eq!(finding.level, Level::Warning, "{finding:?}");
        assert!(finding.hint.is_some(), "{finding:?}");
    }
}

#[test]
fn one_other_debugtrail_is_ok() {
    let finding =
        one("other debugtrails", |facts| facts.others = Ok(Others { count: 1, pids: vec![Pid(7)] }));
    assert_eq!((finding.level, finding.what.as_str()), (Level::Ok, "one runs here (pid 7)"));
}

#[test]
fn a_ledger_needs_a_folder_that_takes_it_and_room() {
    let with = |written: Result<(), &str>, free: u64| {
        one("ledger", |facts| {
            let written = written.map_err(str::to_owned);
            facts.ledger = Some(LedgerFacts { folder: "/var/lib/d".into(), written, free_bytes: Some(free) });
        })
    };
    assert_eq!(with(Ok(()), 1 << 40).level, Level::Ok);
    assert_eq!(with(Ok(()), 100 << 20).what, "/var/lib/d can be written, but has only 100 MiB left");
    let refused = with(Err("Read-only file system (os error 30)"), 1 << 40);
    assert_eq!(refused.level, Level::Failing(Failure::Output));
    assert_eq!(refused.what, "cannot write in /var/lib/d: Read-only file system (os error 30)");
}

#[test]
fn without_the_api_its_checks_are_unknown() {
    let mut facts = good();
    facts.cluster = ClusterFacts { client: Some(Err(problem(Failure::Cluster))), ..ClusterFacts::default() };
    let findings = findings(&facts);
    assert_eq!(failure(&findings), Some(Failure::Cluster));
    for check in ["node", "right to list pods", "right to watch pods", "sandboxed runtimes"] {
        assert_eq!(of(check, &findings)[0].level, Level::Warning, "{check}");
    }
}

#[test]
fn an_unchecked_node_name_is_a_warning() {
    let finding = one("node", |facts| {
        let unchecked = Some("forbids get on nodes; grant it".into());
        let node = NodeFound { name: "n".into(), runtime: String::new(), unchecked };
        facts.cluster.node = Some(Ok(node));
    });
    assert_eq!(finding.level, Level::Warning);
    assert_eq!(finding.what, "taken to be n, unchecked: forbids get on nodes");
    assert_eq!(finding.hint.as_deref(), Some("grant it"));
}

#[test]
fn a_runtime_without_readable_bundles_is_a_warning() {
    let with_runtime = |runtime: &str| {
        let mut facts = good();
        let node = NodeFound { name: "n".into(), runtime: runtime.into(), unchecked: None };
        facts.cluster.node = Some(Ok(node));
        of("node", &findings(&facts))[0].clone()
    };
    assert_eq!(with_runtime("docker://27.1").level, Level::Warning);
    assert_eq!(with_runtime("cri-o://1.33").level, Level::Ok);
    assert_eq!(with_runtime("").what, "this machine is node n");
}

#[test]
fn sandboxes_are_a_blind_spot_and_other_classes_are_not() {
    let class = |name: &str, handler: &str| RuntimeClassFound { name: name.into(), handler: handler.into() };
    let with = |classes: Vec<RuntimeClassFound>| {
        let mut facts = good();
        facts.cluster.runtime_classes = Some(Ok(classes));
        of("sandboxed runtimes", &findings(&facts))[0].clone()
    };
    assert_eq!(with(vec![class("nvidia", "nvidia"), class("crun", "crun")]).level, Level::Ok);
    let hidden = with(vec![class("safe", "runsc"), class("crun", "crun"), class("vm", "kata-qemu")]);
    assert_eq!(hidden.level, Level::Warning);
    assert!(hidden.what.starts_with("pods of RuntimeClass safe, vm are a blind spot"), "{}", hidden.what);
}

#[test]
fn a_forbidden_sandbox_check_is_no_failure() {
    let refused = one("sandboxed runtimes", |facts| {
        facts.cluster.runtime_classes = Some(Err(problem(Failure::Cluster)));
    });
    assert_eq!(refused.level, Level::Warning);
}

#[test]
fn with_the_hosts_pids_there_is_no_hint_to_use_them() {
    let mut facts = good();
    facts.bundles.clear();
    let runtime = |facts: &Facts| of("runtime", &findings(facts))[0].clone();
    assert!(!runtime(&facts).hint.unwrap().contains("pids"));
    facts.init_root = Err("Permission denied (os error 13)".into());
    let found = runtime(&facts);
    assert!(found.what.contains("/proc/1/root: Permission denied"), "{found:?}");
    assert!(!found.hint.unwrap().contains("pids"));
    facts.initial_pid_namespace = false;
    assert!(runtime(&facts).hint.unwrap().contains("run with the host's pids"));
}

#[test]
fn a_kernel_that_is_locked_down_is_named() {
    let finding = one("privileges", |facts| facts.privileges.as_mut().unwrap().locked_down = true);
    assert_eq!(finding.level, Level::Failing(Failure::NotPermitted));
    assert!(finding.what.contains("confidentiality"), "{finding:?}");
    assert!(finding.hint.unwrap().contains("lockdown=integrity"));
}
