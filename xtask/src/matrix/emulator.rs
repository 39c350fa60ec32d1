//! What qemu emulates CPUs with, and a fault of old versions of it.

use std::process::Command;

use anyhow::{Context, Result};

use super::guest::{Machine, Ran, Threads};
use crate::command;

/// Before it, qemu does not lock a page of code while it translates it. Where another thread runs the CPU that changes the
/// page at that time, the old code stays (fixed by qemu's commit deba78709a, "Always lock pages before translation").
const LOCKS_PAGES: (u32, u32) = (8, 1);

/// What a kernel says that hits a breakpoint which it set itself, to change its own code, and has taken away again: each
/// tracepoint that is attached and each cgroup with cpusets has it do so.
const OLD_BREAKPOINT: &str = "int3: 0000 [#";

/// qemu's options for it.
pub(super) const fn options(machine: Machine) -> &'static [&'static str] {
    if machine.counts_instructions {
        return &["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"];
    }
    // Not KVM: in a virtual machine /dev/kvm may be there, let a guest begin and then fail it.
    match machine.threads {
        Threads::OnePerCpu => &["-accel", "tcg,thread=multi"],
        Threads::One => &["-accel", "tcg,thread=single"],
    }
}

/// Whether the guest's own kernel ended by that fault, which one thread for all CPUs does not have. A test that failed is none.
///
/// # Errors
/// When qemu does not say its version.
pub(super) fn ended_by_old_code(ran: &Ran, machine: Machine) -> Result<bool> {
    if !is_old_breakpoint(ran) || machine.threads == Threads::One {
        return Ok(false);
    }
    let said = command::output(Command::new("qemu-system-x86_64").arg("--version"))?;
    let version = version(&said).with_context(|| format!("cannot read qemu's version: {}", said.trim()))?;
    Ok(version < LOCKS_PAGES)
}

fn is_old_breakpoint(ran: &Ran) -> bool {
    ran.status.is_none() && ran.console.contains(OLD_BREAKPOINT)
}

/// From `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.split_once(" version ")?.1.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ran(status: Option<i32>, console: &str) -> Ran {
        Ran { said: String::new(), console: console.to_owned(), status, took: Duration::ZERO }
    }

    #[test]
    fn only_a_kernel_with_a_stale_breakpoint_is_run_again() {
        let of_6_12 = "[   90.1] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI\n[   90.1] RIP: get_page_from_freelist+0x1d4\n";
        let of_6_1 = "[   90.1] int3: 0000 [#1] PREEMPT SMP NOPTI\n";
        assert!(is_old_breakpoint(&ran(None, of_6_12)));
        assert!(is_old_breakpoint(&ran(None, of_6_1)));
        assert!(!is_old_breakpoint(&ran(Some(101), of_6_12)), "its tests came to their end");
        assert!(!is_old_breakpoint(&ran(None, "Oops: general protection fault: 0000 [#1] PREEMPT SMP\n")));
        assert!(!is_old_breakpoint(&ran(None, "")));
    }

    #[test]
    fn qemus_version_is_read() {
        let said = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003-2022\n";
        assert_eq!(version(said), Some((7, 2)));
        assert!(version(said) < Some(LOCKS_PAGES));
        assert_eq!(version("QEMU emulator version 10.0.2\n"), Some((10, 0)));
        assert_eq!(version("qemu: not found\n"), None);
    }
}
