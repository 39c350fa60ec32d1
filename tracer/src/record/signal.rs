//! Names of signals.

use std::borrow::Cow;

/// Names of the signals 1 to 31, as signal(7) has them for x86 and Arm.
const STANDARD: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// The name of a signal. `SIGRTMIN` is 34 as glibc and `kill -l` count it: the kernel's first two real-time signals
/// are the C library's own. Real-time ones are `SIGRTMIN+n`. `None` for what has no name: 0, 32, 33 and above 64.
#[must_use]
pub fn name(signal: u8) -> Option<Cow<'static, str>> {
    match signal {
        1..=31 => Some(STANDARD[usize::from(signal) - 1].into()),
        34 => Some("SIGRTMIN".into()),
        35..=64 => Some(format!("SIGRTMIN+{}", signal - 34).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_names_are_those_of_the_c_library() {
        for (number, expected) in [
            (libc::SIGHUP, "SIGHUP"),
            (libc::SIGABRT, "SIGABRT"),
            (libc::SIGKILL, "SIGKILL"),
            (libc::SIGSEGV, "SIGSEGV"),
            (libc::SIGTERM, "SIGTERM"),
            (libc::SIGSTKFLT, "SIGSTKFLT"),
            (libc::SIGSTOP, "SIGSTOP"),
            (libc::SIGIO, "SIGIO"),
            (libc::SIGSYS, "SIGSYS"),
        ] {
            assert_eq!(name(number.try_into().unwrap()).as_deref(), Some(expected));
        }
    }

    #[test]
    fn real_time_signals_count_from_the_c_librarys_minimum() {
        assert_eq!(34, libc::SIGRTMIN());
        assert_eq!(64, libc::SIGRTMAX());
        assert_eq!(name(34).as_deref(), Some("SIGRTMIN"));
        assert_eq!(name(35).as_deref(), Some("SIGRTMIN+1"));
        assert_eq!(name(64).as_deref(), Some("SIGRTMIN+30"));
    }

    #[test]
    fn a_number_of_no_signal_has_no_name() {
        for signal in [0, 32, 33, 65, 127, 255] {
            assert_eq!(name(signal), None);
        }
    }
}
