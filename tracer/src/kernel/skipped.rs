//! How often the kernel skipped one of the programs.

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sum over all programs. A BTF program is skipped when it would run inside itself on the same CPU, and on
/// 7.3 also under parallel load; only the program's fdinfo shows it (bpf_prog_show_fdinfo in
/// kernel/bpf/syscall.c, from 5.12). 0 where the kernel does not count.
pub(super) fn count<'a>(programs: impl Iterator<Item = BorrowedFd<'a>>) -> u64 {
    let misses = |program: BorrowedFd<'_>| {
        let fd = program.as_raw_fd();
        misses_in(&fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?)
    };
    programs.filter_map(misses).sum()
}

fn misses_in(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::misses_in;

    #[test]
    fn reads_the_kernels_count() {
        assert_eq!(misses_in("prog_type:\t26\nrun_cnt:\t3\nrecursion_misses:\t17\n"), Some(17));
        assert_eq!(misses_in("prog_type:\t26\n"), None);
    }
}
