//! From the kernel's wait status to the fields of a record. Pure.

use serde::{Deserialize, Serialize};

use super::signal;

/// A process's status as wait(2) gives it: signal in the low 7 bits, core flag in bit 7, exit code in the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WaitStatus(pub i32);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// It called exit with this code.
    Exited(u8),
    /// A signal ended it.
    Signaled {
        /// The signal's number.
        signal: u8,
        /// Whether a core was dumped.
        core: bool,
    },
}

impl WaitStatus {
    /// Takes the status apart; `None` where it is not that of an end (stopped, continued, bits beyond).
    #[must_use]
    pub fn end(self) -> Option<End> {
        let [low, code, 0, 0] = self.0.to_le_bytes() else {
            return None;
        };
        match (low & 0x7f, code) {
            (0, code) if low == 0 => Some(End::Exited(code)),
            (0 | 0x7f, _) => None,
            (signal, 0) => Some(End::Signaled { signal, core: low & 0x80 != 0 }),
            _ => None,
        }
    }
}

/// How a session ended, for filters and counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExitClass {
    /// Exit code 0.
    Clean,
    /// Any other exit code.
    Error,
    /// Ended by SIGTERM.
    #[serde(rename = "SIGTERM")]
    Sigterm,
    /// Ended by SIGKILL that is not the OOM killer's.
    #[serde(rename = "SIGKILL")]
    Sigkill,
    /// Ended by another signal.
    Signal,
    /// Ended by the OOM killer.
    Oom,
    /// The main process never came to run.
    StartError,
    /// No end was witnessed.
    Unknown,
}

/// The exit fields of a record; all null (the default) in `session_started`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exit {
    /// The code that the main process gave to exit; null where a signal ended it.
    pub exit_code: Option<u8>,
    /// The signal that ended the main process.
    pub signal: Option<u8>,
    /// The signal's name; null also for a signal that has none.
    pub signal_name: Option<String>,
    /// Whether a core was dumped.
    pub core_dumped: Option<bool>,
    /// What a shell or Kubernetes would show: the code, or 128 + signal.
    pub container_exit_code: Option<u8>,
    /// The class.
    pub exit_class: Option<ExitClass>,
}

impl Exit {
    /// Of an observed end. `oom_victim`: whether the OOM killer marked the main process itself.
    #[must_use]
    pub fn observed(status: WaitStatus, oom_victim: bool) -> Self {
        match status.end() {
            Some(End::Exited(code)) => Self::exited(code),
            Some(End::Signaled { signal, core }) => Self::signaled(signal, core, oom_victim),
            None => Self::unknown(),
        }
    }

    /// Of a session whose main process never came to run.
    #[must_use]
    pub fn start_error() -> Self {
        Self::unobserved(ExitClass::StartError)
    }

    /// Of a session whose end was not seen.
    #[must_use]
    pub fn unknown() -> Self {
        Self::unobserved(ExitClass::Unknown)
    }

    fn unobserved(class: ExitClass) -> Self {
        Self { exit_class: Some(class), ..Self::default() }
    }

    fn exited(code: u8) -> Self {
        let class = if code == 0 { ExitClass::Clean } else { ExitClass::Error };
        Self {
            exit_code: Some(code),
            core_dumped: Some(false),
            container_exit_code: Some(code),
            exit_class: Some(class),
            ..Self::default()
        }
    }

    fn signaled(signal: u8, core: bool, oom_victim: bool) -> Self {
        Self {
            exit_code: None,
            signal: Some(signal),
            signal_name: signal::name(signal).map(Into::into),
            core_dumped: Some(core),
            container_exit_code: signal.checked_add(128),
            exit_class: Some(class_of_signal(signal, oom_victim)),
        }
    }
}

fn class_of_signal(signal: u8, oom_victim: bool) -> ExitClass {
    match i32::from(signal) {
        libc::SIGKILL if oom_victim => ExitClass::Oom,
        libc::SIGKILL => ExitClass::Sigkill,
        libc::SIGTERM => ExitClass::Sigterm,
        _ => ExitClass::Signal,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(exit: &Exit) -> String {
        serde_json::to_string(exit).unwrap()
    }

    #[test]
    fn exit_42() {
        assert_eq!(
            json(&Exit::observed(WaitStatus(10752), false)),
            r#"{"exit_code":42,"signal":null,"signal_name":null,"core_dumped":false,"container_exit_code":42,"exit_class":"ERROR"}"#
        );
    }

    #[test]
    fn exit_137_and_sigkill_never_look_alike() {
        assert_eq!(
            json(&Exit::observed(WaitStatus(137 << 8), false)),
            r#"{"exit_code":137,"signal":null,"signal_name":null,"core_dumped":false,"container_exit_code":137,"exit_class":"ERROR"}"#
        );
        assert_eq!(
            json(&Exit::observed(WaitStatus(9), false)),
            r#"{"exit_code":null,"signal":9,"signal_name":"SIGKILL","core_dumped":false,"container_exit_code":137,"exit_class":"SIGKILL"}"#
        );
    }

    #[test]
    fn a_core_dump_is_reported() {
        let exit = Exit::observed(WaitStatus(0x8b), false);
        assert_eq!((exit.signal, exit.core_dumped), (Some(11), Some(true)));
        assert_eq!(exit.exit_class, Some(ExitClass::Signal));
    }

    #[test]
    fn every_exit_code() {
        for code in 0..=255u8 {
            let exit = Exit::observed(WaitStatus(i32::from(code) << 8), false);
            assert_eq!((exit.exit_code, exit.container_exit_code), (Some(code), Some(code)));
            assert_eq!((exit.signal, exit.signal_name, exit.core_dumped), (None, None, Some(false)));
            assert_eq!(exit.exit_class, Some(if code == 0 { ExitClass::Clean } else { ExitClass::Error }));
        }
    }

    #[test]
    fn every_signal_with_and_without_a_core() {
        for signal in 1..=64u8 {
            for (bit, core) in [(0, false), (0x80, true)] {
                let exit = Exit::observed(WaitStatus(i32::from(signal) | bit), false);
                assert_eq!((exit.exit_code, exit.signal), (None, Some(signal)));
                assert_eq!((exit.core_dumped, exit.container_exit_code), (Some(core), Some(128 + signal)));
                let class = match signal {
                    9 => ExitClass::Sigkill,
                    15 => ExitClass::Sigterm,
                    _ => ExitClass::Signal,
                };
                assert_eq!(exit.exit_class, Some(class));
                assert_eq!(exit.signal_name.is_none(), matches!(signal, 32 | 33));
            }
        }
    }

    #[test]
    fn oom_takes_the_mark_and_the_sigkill() {
        let class = |status, victim| Exit::observed(WaitStatus(status), victim).exit_class;
        assert_eq!(class(9, true), Some(ExitClass::Oom));
        assert_eq!(class(9, false), Some(ExitClass::Sigkill));
        // Marked, but it exited by itself first.
        assert_eq!(class(0, true), Some(ExitClass::Clean));
        assert_eq!(class(5 << 8, true), Some(ExitClass::Error));
        assert_eq!(class(15, true), Some(ExitClass::Sigterm));
    }

    #[test]
    fn a_status_of_no_end_is_unknown() {
        for status in [0x137f, 0xffff, 0x80, 0x0109, 1 << 16, -1] {
            assert_eq!(Exit::observed(WaitStatus(status), true), Exit::unknown());
        }
    }

    #[test]
    fn a_start_error_claims_no_code() {
        assert_eq!(
            json(&Exit::start_error()),
            r#"{"exit_code":null,"signal":null,"signal_name":null,"core_dumped":null,"container_exit_code":null,"exit_class":"START_ERROR"}"#
        );
    }

    proptest! {
        #[test]
        fn at_most_one_of_code_and_signal(status: i32, victim: bool) {
            let exit = Exit::observed(WaitStatus(status), victim);
            prop_assert!(exit.exit_code.is_none() || exit.signal.is_none());
            prop_assert!(exit.exit_class.is_some());
        }

        #[test]
        fn agrees_with_the_c_library(code in 0..=255i32, signal in 1..=64i32, core: bool) {
            let exited = Exit::observed(WaitStatus(code << 8), false);
            prop_assert_eq!(exited.exit_code.map(i32::from), Some(libc::WEXITSTATUS(code << 8)));
            let status = signal | if core { 0x80 } else { 0 };
            let signaled = Exit::observed(WaitStatus(status), false);
            prop_assert_eq!(signaled.signal.map(i32::from), Some(libc::WTERMSIG(status)));
            prop_assert_eq!(signaled.core_dumped, Some(libc::WCOREDUMP(status)));
        }
    }
}
