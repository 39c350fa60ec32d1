//! What a command's exit code says: one place for all kinds of failure.

use std::error::Error;
use std::process::ExitCode;

use super::convention::BadInput;
use super::log::filter::BadFilter;
use crate::cgroup::HierarchyError;
use crate::kernel::{KernelError, PinsError, PrivilegeError};
use crate::ledger::LedgerError;
use crate::pods::connect::ConnectError;
use crate::serve::ListenError;
use crate::sinks::OutputError;

/// For `--help`; the numbers are those of [`Failure`].
pub(super) const HELP: &str = "\
Exit codes:
  0  done, also when ended by SIGINT, SIGTERM or the reader of the output
  1  something failed
  2  wrong usage, or an input file or DEBUGTRAIL_LOG that is not what it should be
  3  not permitted: no root, a capability or the memlock limit
  4  this machine lacks something: BTF, a newer kernel, a cgroup2 mount, a BPF file system
  5  the cluster: unusable kubeconfig, unreachable, refused, another cluster, unknown node
  6  output, ledger or pins cannot be written, or the address not listened on
All but 0 come with one line that says what to do: on stderr, of `doctor` on stdout.";

/// Why a command ended without having done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Failure {
    /// Nothing of the below.
    Other = 1,
    /// A wrong command line or input file. clap ends with this code, too.
    Usage = 2,
    /// No root, a missing capability, a limit on locked memory.
    NotPermitted = 3,
    /// No BTF, a kernel too old, no cgroup2 mount.
    Machine = 4,
    /// No way to the cluster, or not to this one.
    Cluster = 5,
    /// Output or ledger cannot be written, or the address not listened on.
    Output = 6,
}

impl Failure {
    /// By the types in the error's chain.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(kind).unwrap_or(Self::Other)
    }

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        failure.code().into()
    }
}

impl From<&KernelError> for Failure {
    fn from(error: &KernelError) -> Self {
        match error {
            KernelError::NotAllowed(_) => Self::NotPermitted,
            KernelError::NoBtf(_)
            | KernelError::Kernel(_)
            | KernelError::TooOld { .. }
            | KernelError::Refused(_) => Self::Machine,
            KernelError::Pins(error) => error.into(),
            KernelError::Foreign(_)
            | KernelError::Map(_)
            | KernelError::Account(_)
            | KernelError::Scan(_) => Self::Other,
        }
    }
}

impl From<&PinsError> for Failure {
    fn from(error: &PinsError) -> Self {
        match error {
            PinsError::NoBpfFs { .. } => Self::Machine,
            PinsError::Unusable { .. } | PinsError::Held { .. } => Self::Output,
        }
    }
}

fn kind(cause: &(dyn Error + 'static)) -> Option<Failure> {
    if let Some(error) = cause.downcast_ref::<PinsError>() {
        return Some(error.into());
    }
    if let Some(error) = cause.downcast_ref::<KernelError>() {
        return Some(error.into());
    }
    let kinds = [
        (cause.is::<BadInput>() || cause.is::<BadFilter>(), Failure::Usage),
        (cause.is::<PrivilegeError>(), Failure::NotPermitted),
        (cause.is::<HierarchyError>(), Failure::Machine),
        (cause.is::<ConnectError>(), Failure::Cluster),
        (cause.is::<OutputError>() || cause.is::<LedgerError>(), Failure::Output),
        (cause.is::<ListenError>(), Failure::Output),
    ];
    kinds.into_iter().find_map(|(is, failure)| is.then_some(failure))
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context;

    use super::*;

    fn code(error: impl Error + Send + Sync + 'static) -> u8 {
        let plain = anyhow::Error::new(error);
        let code = Failure::of(&plain).code();
        let wrapped = Err::<(), _>(plain).context("while at it").unwrap_err();
        assert_eq!(Failure::of(&wrapped).code(), code, "a context changes nothing");
        code
    }

    #[test]
    fn every_kind_of_error_has_its_code() {
        let io = || io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(code(io()), 1);
        assert_eq!(code(KernelError::Scan(io())), 1);
        assert_eq!(code(BadInput::Unreadable { path: "f".into(), why: "gone".into() }), 2);
        assert_eq!(code("loud".parse::<crate::cli::log::filter::Filter>().unwrap_err()), 2);
        assert_eq!(code(KernelError::NotAllowed(PrivilegeError::Forbidden)), 3);
        assert_eq!(code(PrivilegeError::UserNamespace), 3);
        assert_eq!(code(KernelError::NoBtf(io())), 4);
        assert_eq!(code(HierarchyError::NotMounted), 4);
        assert_eq!(code(PinsError::NoBpfFs { path: "p".into() }), 4);
        assert_eq!(code(KernelError::Pins(PinsError::Held { path: "p".into() })), 6);
        assert_eq!(code(ConnectError::NoSuchNode("n".into())), 5);
        assert_eq!(code(OutputError(io())), 6);
        assert_eq!(code(LedgerError::Held { path: "l".into(), holder: None }), 6);
    }

    #[test]
    fn the_help_names_every_code() {
        for failure in [
            Failure::Other,
            Failure::Usage,
            Failure::NotPermitted,
            Failure::Machine,
            Failure::Cluster,
            Failure::Output,
        ] {
            assert!(HELP.contains(&format!("\n  {}  ", failure.code())), "{failure:?}");
        }
    }
}
