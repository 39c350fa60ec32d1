//! What the machine's facts mean.

use crate::cli::exit_code::Failure;
use crate::clock::ClockState;
use crate::kernel::{Lack, Privileges};

use super::super::facts::{CgroupFacts, Facts, LedgerFacts, Others, Problem};
use super::Finding;

/// Less than this is gone before a person looks: some 200,000 records.
const LITTLE_SPACE: u64 = 256 << 20;

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![privileges(&facts.privileges), pids(facts.initial_pid_namespace)];
    findings.extend(kernel(&facts.release, &facts.lacks));
    findings.push(programs(&facts.programs));
    findings.push(memlock(&facts.privileges, &facts.programs));
    findings.push(cgroups(&facts.cgroups));
    findings.push(bpffs(facts.bpffs));
    findings.push(runtimes(facts));
    findings.push(others(&facts.others));
    findings.push(clock(&facts.clock));
    findings.extend(facts.ledger.as_ref().map(ledger));
    findings
}

fn privileges(found: &Result<Privileges, String>) -> Finding {
    const CHECK: &str = "privileges";
    let own = match found {
        Ok(own) => own,
        Err(error) => {
            let what = format!("the kernel does not show this process's capabilities: {error}");
            return Finding::warning(CHECK, what, "allow capget in the seccomp profile");
        }
    };
    match own.check() {
        Ok(()) if own.root => Finding::ok(CHECK, "root, and no capability is missing"),
        Ok(()) => Finding::ok(CHECK, "not root, but no capability is missing"),
        Err(error) => {
            Finding::problem(CHECK, &Problem { failure: Failure::NotPermitted, text: error.to_string() })
        }
    }
}

fn pids(initial: bool) -> Finding {
    const CHECK: &str = "pid namespace";
    if initial {
        return Finding::ok(CHECK, "the host's");
    }
    let what = "not the host's: processes cannot be found by the kernel's pids; sessions are recorded, and \
                `evidence.runtime` has no pid";
    let hint = "set hostPID: true in the pod's spec, or give the container --pid=host; the node of a kind or k3d \
                cluster has no other pids";
    Finding::warning(CHECK, what, hint)
}

/// One finding, or one for each thing that the kernel lacks.
fn kernel(release: &str, lacks: &Result<Vec<Lack>, Problem>) -> Vec<Finding> {
    const CHECK: &str = "kernel";
    match lacks {
        Err(problem) => vec![Finding::problem(CHECK, problem)],
        Ok(lacks) if lacks.is_empty() => {
            vec![Finding::ok(CHECK, format!("{release}, its BTF has every field and tracepoint needed"))]
        }
        Ok(lacks) if lacks.iter().all(|lack| !lack.needed) => {
            lacks.iter().map(|lack| missing_fact(CHECK, release, lack)).collect()
        }
        Ok(lacks) => {
            lacks.iter().filter(|lack| lack.needed).map(|lack| lacking(CHECK, release, lack)).collect()
        }
    }
}

fn missing_fact(check: &'static str, release: &str, lack: &Lack) -> Finding {
    let what = format!("{release} does not show {}: {}", lack.what, lack.purpose);
    Finding::warning(
        check,
        what,
        "nothing, unless that is needed: then a kernel that has these fields in its BTF",
    )
}

fn lacking(check: &'static str, release: &str, lack: &Lack) -> Finding {
    let what = format!("{release} has no {}, and {}", lack.what, lack.purpose);
    Finding::failing(check, Failure::Machine, what, "run a kernel of 5.10 or later that has it")
}

fn programs(loaded: &Result<(), Problem>) -> Finding {
    const CHECK: &str = "programs";
    match loaded {
        Ok(()) => Finding::ok(CHECK, "loaded, attached and removed again"),
        Err(problem) => Finding::problem(CHECK, problem),
    }
}

/// What counts is whether the programs load.
fn memlock(found: &Result<Privileges, String>, loaded: &Result<(), Problem>) -> Finding {
    const CHECK: &str = "locked memory";
    let limit = found.as_ref().map_or(Some(0), |own| own.memlock);
    match (limit, loaded) {
        (None, _) => Finding::ok(CHECK, "unlimited"),
        (Some(limit), Ok(())) => Finding::ok(CHECK, format!("{} KiB, and the maps fit", limit / 1024)),
        (Some(limit), Err(_)) => Finding::warning(
            CHECK,
            format!("{} KiB, which kernels before 5.11 count BPF maps against", limit / 1024),
            "if the programs do not load because of it: `ulimit -l unlimited`, LimitMEMLOCK=infinity in the (runtime's) \
             unit, or CAP_SYS_RESOURCE",
        ),
    }
}

fn cgroups(found: &Result<CgroupFacts, Problem>) -> Finding {
    const CHECK: &str = "cgroups";
    let found = match found {
        Ok(found) => found,
        Err(problem) => return Finding::problem(CHECK, problem),
    };
    let mode = if found.hybrid { "hybrid" } else { "pure v2" };
    let what = format!("cgroup v2 at {}, {mode}", found.mount.display());
    if found.root.split('/').all(|step| step.is_empty() || step == "..") {
        return Finding::ok(CHECK, what);
    }
    let what = format!("{what}, but only from {} on: what runs elsewhere is not found", found.root);
    Finding::warning(CHECK, what, "mount the host's whole /sys/fs/cgroup into this container")
}

fn bpffs(mounted: bool) -> Finding {
    const CHECK: &str = "bpffs";
    if mounted {
        return Finding::ok(CHECK, "mounted at /sys/fs/bpf");
    }
    let what = "none at /sys/fs/bpf: nothing is recorded while no `agent` runs (`trace` does not need it)";
    Finding::warning(
        CHECK,
        what,
        "run `mount -t bpf bpf /sys/fs/bpf`, or mount the host's into this container",
    )
}

fn runtimes(facts: &Facts) -> Finding {
    const CHECK: &str = "runtime";
    if facts.bundles.is_empty() {
        return no_runtime(CHECK, facts);
    }
    let folders: Vec<String> = facts.bundles.iter().map(|folder| folder.display().to_string()).collect();
    Finding::ok(CHECK, format!("bundles in {}", folders.join(", ")))
}

fn no_runtime(check: &'static str, facts: &Facts) -> Finding {
    let what = "no state folder of containerd, k3s, MicroK8s or CRI-O: short sessions stay without a name";
    let mount = "mount the runtime's state folder (such as /run/containerd) into this container";
    match &facts.init_root {
        _ if !facts.initial_pid_namespace => {
            Finding::warning(check, what, format!("{mount}, or run with the host's pids"))
        }
        Ok(()) => Finding::warning(check, what, format!("{mount}, or name it with --runtime-state")),
        Err(why) => Finding::warning(
            check,
            format!("{what}; the node's folders cannot be seen through /proc/1/root: {why}"),
            format!(
                "{mount}, or let it look at the node's init (CAP_SYS_PTRACE, the security module's profile)"
            ),
        ),
    }
}

fn others(found: &Result<Others, String>) -> Finding {
    const CHECK: &str = "other debugtrails";
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let what = format!("cannot look for the programs of others: {error}");
            return Finding::warning(CHECK, what, "run as root");
        }
    };
    let pids: Vec<String> = found.pids.iter().map(ToString::to_string).collect();
    let who =
        if pids.is_empty() { "pinned, no agent runs".into() } else { format!("pid {}", pids.join(", ")) };
    match found.count {
        0 => Finding::ok(CHECK, "none"),
        1 => Finding::ok(CHECK, format!("one runs here ({who})")),
        count => Finding::warning(
            CHECK,
            format!("{count} run here ({who}): each costs, and each reports every session"),
            "end those that are not wanted; `debugtrail agent --unpin` removes what is pinned and no agent holds",
        ),
    }
}

fn clock(clock: &ClockState) -> Finding {
    const CHECK: &str = "clock";
    match (clock.synchronized, clock.max_error_us) {
        (Some(true), Some(error)) => {
            Finding::ok(CHECK, format!("synchronised, off by {} ms at most", error.div_ceil(1000)))
        }
        (Some(true), None) => Finding::ok(CHECK, "synchronised"),
        (Some(false), _) => Finding::warning(
            CHECK,
            "not synchronised: durations are exact, times of day are only as good as the clock",
            "run chrony or systemd-timesyncd",
        ),
        (None, _) => Finding::warning(
            CHECK,
            "the kernel does not say whether it is synchronised",
            "allow adjtimex in the seccomp profile",
        ),
    }
}

fn ledger(found: &LedgerFacts) -> Finding {
    const CHECK: &str = "ledger";
    let folder = found.folder.display();
    if let Err(error) = &found.written {
        let what = format!("cannot write in {folder}: {error}");
        let hint = "give a --ledger on a file system that can be written and has room";
        return Finding::failing(CHECK, Failure::Output, what, hint);
    }
    match found.free_bytes {
        Some(free) if free < LITTLE_SPACE => Finding::warning(
            CHECK,
            format!("{folder} can be written, but has only {} MiB left", free >> 20),
            "make room: when it is full, nothing more is recorded",
        ),
        Some(free) => Finding::ok(CHECK, format!("{folder} can be written, {} MiB left", free >> 20)),
        None => Finding::ok(CHECK, format!("{folder} can be written")),
    }
}
