//! `debugtrail doctor` where something is wrong: it says so, and says all the rest as well.

use serde_json::Value;

use super::machine::{UNMOUNT_CGROUP2, without};
use super::run::{BTF, Ended, Place, check, text};

const DOCTOR: [&str; 3] = ["doctor", "--output", "json"];

/// Every check that does not depend on what was asked for.
const CHECKS: [&str; 15] = [
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
];

/// Its report: with this exit code, whole, and with one line and a hint for everything that is not well.
#[track_caller]
fn report(ended: &Ended, code: i32) -> Value {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    let report = ended.report();
    assert_eq!(report["exit_code"], code);
    assert_eq!(report["can_witness"], false);
    for name in CHECKS {
        let found = check(&report, name);
        assert!(!found["what"].as_str().unwrap_or("\n").contains('\n'), "{found}");
        assert_eq!(found["hint"].is_null(), found["level"] == "ok", "{found}");
    }
    report
}

#[test]
fn an_unprivileged_user_gets_a_whole_report() {
    let place = Place::new();
    let kubeconfig = place.file("roots-own", "");
    let ended = Ended::of(place.as_nobody("", &[&DOCTOR[..], &["--kubeconfig", text(&kubeconfig)]].concat()));
    let report = report(&ended, 3);
    for name in ["privileges", "programs", "API server"] {
        assert_eq!(check(&report, name)["level"], "failing", "{report:#}");
    }
    assert!(
        check(&report, "API server")["what"].as_str().is_some_and(|what| what.contains("Permission denied"))
    );
    for name in ["kernel", "cgroups"] {
        assert_eq!(check(&report, name)["level"], "ok", "{report:#}");
    }
}

#[test]
fn no_btf() {
    let place = Place::new();
    let report = report(&Ended::of(place.after("mount -t tmpfs none /sys/kernel/btf", &DOCTOR)), 4);
    for name in ["kernel", "programs"] {
        let found = check(&report, name);
        assert_eq!(found["level"], "failing", "{found}");
        assert!(found["what"].as_str().is_some_and(|what| what.contains(BTF)), "{found}");
    }
    assert_eq!(check(&report, "privileges")["level"], "ok");
    assert_eq!(check(&report, "cgroups")["level"], "ok");
}

#[test]
fn each_thing_that_a_kernel_lacks_is_a_finding() {
    let place = Place::new();
    let older = place.file("btf", without(&["btf_trace_cgroup_mkdir", "btf_trace_mark_victim"]));
    let ended = Ended::of(place.after(&format!("mount --bind {} {BTF}", text(&older)), &DOCTOR));
    let report = report(&ended, 4);
    let kernel: Vec<&str> = report["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|found| found["check"] == "kernel")
        .filter_map(|found| found["what"].as_str())
        .collect();
    assert_eq!(kernel.len(), 2, "{report:#}");
    assert!(kernel[0].contains("tracepoint mark_victim, and it distinguishes an OOM kill"), "{kernel:?}");
    assert!(kernel[1].contains("tracepoint cgroup_mkdir, and it shows that a session begins"), "{kernel:?}");
}

#[test]
fn no_cgroup2_mount() {
    let place = Place::new();
    let report = report(&Ended::of(place.after(UNMOUNT_CGROUP2, &DOCTOR)), 4);
    assert_eq!(check(&report, "cgroups")["level"], "failing");
    // Loading needs no mount.
    assert_eq!(check(&report, "programs")["level"], "ok");
}

#[test]
fn a_server_that_is_away() {
    let place = Place::new();
    let report = report(&Ended::of(place.debugtrail(&DOCTOR)), 5);
    assert_eq!(check(&report, "API server")["level"], "failing");
    assert_eq!(check(&report, "programs")["level"], "ok", "{report:#}");
    assert_eq!(check(&report, "node")["level"], "warning");
}

#[test]
fn a_ledger_that_cannot_be_kept() {
    let place = Place::new();
    let no_folder = place.file("file", "");
    let ended = Ended::of(place.debugtrail(&[&DOCTOR[..], &["--ledger", text(&no_folder)]].concat()));
    let report = report(&ended, 6);
    let found = check(&report, "ledger");
    assert_eq!(found["level"], "failing");
    assert!(found["hint"].as_str().is_some_and(|hint| hint.contains("--ledger")), "{found}");
}

#[test]
fn for_people_it_is_a_table_without_colours_in_a_pipe() {
    let ended = Ended::of(Place::new().debugtrail(&["doctor"]));
    assert_eq!(ended.code, Some(5));
    assert!(ended.stdout.lines().any(|line| line.starts_with("failing  API server ")), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\u{1b}'));
    assert!(ended.stdout.contains("\nThis node cannot record debug sessions: 1 failing"), "{}", ended.stdout);
}
