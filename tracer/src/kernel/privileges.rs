//! What this process may do, and what it lacks to load the programs. Pure but for [`Privileges::now`] and
//! [`raise_memlock`].

use std::fmt;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::CapabilitySet;
use thiserror::Error;

use super::lockdown;

/// Inode of the initial user namespace: `PROC_USER_INIT_INO` of include/linux/proc_ns.h.
const INITIAL_USER_NAMESPACE: &str = "user:[4026531837]";

/// What `/proc/PID/status` says of a process under a filter: proc(5).
const SECCOMP_MODE_FILTER: u32 = 2;

/// A capability that debugtrail needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// To load programs.
    Bpf,
    /// To attach them to tracepoints.
    Perfmon,
    /// To look at other users' processes: executables, shims.
    SysPtrace,
    /// To read the runtimes' folders without being their owner, root.
    DacReadSearch,
}

impl Capability {
    const ALL: [Self; 4] = [Self::Bpf, Self::Perfmon, Self::SysPtrace, Self::DacReadSearch];

    /// Itself, and what includes it.
    fn any_of(self) -> CapabilitySet {
        match self {
            Self::Bpf => CapabilitySet::BPF | CapabilitySet::SYS_ADMIN,
            Self::Perfmon => CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN,
            Self::SysPtrace => CapabilitySet::SYS_PTRACE,
            Self::DacReadSearch => CapabilitySet::DAC_READ_SEARCH | CapabilitySet::DAC_OVERRIDE,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bpf => "CAP_BPF",
            Self::Perfmon => "CAP_PERFMON",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
        })
    }
}

/// What is not permitted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PrivilegeError {
    /// Not root, and no capability instead.
    #[error(
        "debugtrail needs root to load its programs into the kernel; run it with sudo, or give it {}",
        list(&Capability::ALL)
    )]
    NoRoot,
    /// Some capabilities are there.
    #[error(
        "{} {} missing; run as root with all capabilities, or add {} to the container's \
         securityContext.capabilities",
        list(.0), if .0.len() == 1 { "is" } else { "are" }, if .0.len() == 1 { "it" } else { "them" }
    )]
    Missing(Vec<Capability>),
    /// Root of a user namespace has no rights to BPF.
    #[error(
        "this is a user namespace, such as a rootless container's, from where the kernel takes no BPF \
         programs; run it on the node itself or in a privileged pod of the host's user namespace"
    )]
    UserNamespace,
    /// Before 5.11, BPF maps count as locked memory.
    #[error(
        "this kernel counts BPF maps as locked memory, of which {limit_kib} KiB are allowed; run \
         `ulimit -l unlimited` before, set LimitMEMLOCK=infinity in the (runtime's) unit, or add CAP_SYS_RESOURCE"
    )]
    Memlock {
        /// `RLIMIT_MEMLOCK`.
        limit_kib: u64,
    },
    /// No program may read the kernel's memory.
    #[error(
        "the kernel is locked down (/sys/kernel/security/lockdown: confidentiality), so no BPF program may read its \
         memory; boot it with lockdown=integrity or without lockdown"
    )]
    LockedDown,
    /// Nothing that this process lacks, but something filters its system calls.
    #[error(
        "bpf(2) is refused although no capability is missing, and a seccomp filter is in force; set \
         seccompProfile to Unconfined (deploy/overlays/least-privilege-cri-o), or to a profile that allows it to CAP_BPF"
    )]
    Filtered,
    /// Nothing that this process lacks.
    #[error(
        "the kernel forbids BPF although no capability is missing; see what a security module wrote to the kernel's log, \
         and whether /sys/kernel/security/lockdown says confidentiality"
    )]
    Forbidden,
}

/// What this process may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// Whether its effective user is root.
    pub root: bool,
    /// Its effective capabilities.
    pub effective: CapabilitySet,
    /// Whether these count for the whole machine.
    pub initial_user_namespace: bool,
    /// `RLIMIT_MEMLOCK` in bytes; `None` for unlimited.
    pub memlock: Option<u64>,
    /// Whether a seccomp filter says which system calls it may make.
    pub filtered: bool,
    /// Whether the kernel says that no program may read its memory.
    pub locked_down: bool,
}

impl Privileges {
    /// Of this process, now.
    ///
    /// # Errors
    ///
    /// Where the kernel does not show its capabilities.
    pub fn now() -> io::Result<Self> {
        let namespace = std::fs::read_link("/proc/self/ns/user");
        Ok(Self {
            root: rustix::process::geteuid().is_root(),
            effective: rustix::thread::capabilities(None)?.effective,
            // Without /proc the kernel decides.
            initial_user_namespace: namespace.map_or(true, |link| link.as_os_str() == INITIAL_USER_NAMESPACE),
            memlock: getrlimit(Resource::Memlock).current,
            filtered: procfs::process::Process::myself()
                .and_then(|own| own.status())
                .is_ok_and(|status| status.seccomp == Some(SECCOMP_MODE_FILTER)),
            locked_down: lockdown::forbids_reading(),
        })
    }

    /// What is missing. Root owns the runtimes' folders, so it may read them without a capability.
    #[must_use]
    pub fn missing(&self) -> Vec<Capability> {
        let has = |wanted: Capability| {
            self.effective.intersects(wanted.any_of()) || (self.root && wanted == Capability::DacReadSearch)
        };
        Capability::ALL.into_iter().filter(|wanted| !has(*wanted)).collect()
    }

    /// Whether it may load the programs, as far as it can know before it tries.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub fn check(&self) -> Result<(), PrivilegeError> {
        let missing = self.missing();
        match missing.len() {
            0 if !self.initial_user_namespace => Err(PrivilegeError::UserNamespace),
            0 if self.locked_down => Err(PrivilegeError::LockedDown),
            0 => Ok(()),
            _ if !self.root && missing == Capability::ALL => Err(PrivilegeError::NoRoot),
            _ => Err(PrivilegeError::Missing(missing)),
        }
    }

    /// Why the kernel said EPERM. `charged`: whether it counts maps as locked memory.
    #[must_use]
    pub fn why_refused(&self, charged: bool) -> PrivilegeError {
        match (self.check(), self.memlock) {
            (Err(error), _) => error,
            (Ok(()), Some(limit)) if charged => PrivilegeError::Memlock { limit_kib: limit / 1024 },
            (Ok(()), _) if self.filtered => PrivilegeError::Filtered,
            (Ok(()), _) => PrivilegeError::Forbidden,
        }
    }
}

/// Fails where this process may not load the programs: before anything is begun.
///
/// # Errors
///
/// What is missing.
pub fn check_privileges() -> anyhow::Result<()> {
    Ok(Privileges::now()?.check()?)
}

/// Lifts the limit on locked memory as far as this process may.
pub(super) fn raise_memlock() {
    let unlimited = Rlimit { current: None, maximum: None };
    if setrlimit(Resource::Memlock, unlimited).is_err() {
        let maximum = getrlimit(Resource::Memlock).maximum;
        // What cannot be raised may suffice; else the load says so.
        let _ = setrlimit(Resource::Memlock, Rlimit { current: maximum, maximum });
    }
}

/// `A, B and C`.
fn list(capabilities: &[Capability]) -> String {
    let names: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: CapabilitySet = CapabilitySet::BPF
        .union(CapabilitySet::PERFMON)
        .union(CapabilitySet::SYS_PTRACE)
        .union(CapabilitySet::DAC_READ_SEARCH);

    fn with(root: bool, effective: CapabilitySet) -> Privileges {
        Privileges {
            root,
            effective,
            initial_user_namespace: true,
            memlock: Some(8 << 20),
            filtered: false,
            locked_down: false,
        }
    }

    #[test]
    fn the_four_suffice_without_root() {
        assert_eq!(with(false, NEEDED).check(), Ok(()));
    }

    #[test]
    fn each_missing_one_is_named_alone() {
        for (missing, name) in [
            (CapabilitySet::BPF, "CAP_BPF"),
            (CapabilitySet::PERFMON, "CAP_PERFMON"),
            (CapabilitySet::SYS_PTRACE, "CAP_SYS_PTRACE"),
            (CapabilitySet::DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"),
        ] {
            let error = with(false, NEEDED - missing).check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} is missing; ")), "{error}");
        }
    }

    #[test]
    fn a_capability_that_includes_another_counts_for_it() {
        let admin = CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_OVERRIDE;
        assert_eq!(with(false, admin).missing(), []);
        // But not for looking at others' processes.
        assert_eq!(with(true, CapabilitySet::SYS_ADMIN).missing(), [Capability::SysPtrace]);
    }

    #[test]
    fn without_root_the_error_names_root_and_capabilities() {
        let error = with(false, CapabilitySet::empty()).check().unwrap_err();
        assert_eq!(error, PrivilegeError::NoRoot);
        assert!(error.to_string().ends_with("CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"));
    }

    #[test]
    fn several_missing_capabilities_are_named_at_once() {
        let error = with(true, CapabilitySet::SYS_PTRACE).check().unwrap_err().to_string();
        assert!(error.starts_with("CAP_BPF and CAP_PERFMON are missing; "), "{error}");
    }

    #[test]
    fn a_refusal_is_explained_by_what_is_there() {
        let root = with(true, CapabilitySet::all());
        assert_eq!(root.why_refused(false), PrivilegeError::Forbidden);
        assert_eq!(root.why_refused(true), PrivilegeError::Memlock { limit_kib: 8192 });
        assert_eq!(Privileges { memlock: None, ..root }.why_refused(true), PrivilegeError::Forbidden);
        let confined = Privileges { filtered: true, ..root };
        assert_eq!(confined.why_refused(false), PrivilegeError::Filtered);
        assert_eq!(confined.why_refused(true), PrivilegeError::Memlock { limit_kib: 8192 });
        let rootless = Privileges { initial_user_namespace: false, ..root };
        assert_eq!(rootless.why_refused(true), PrivilegeError::UserNamespace);
        let locked_down = Privileges { locked_down: true, ..root };
        assert_eq!(locked_down.why_refused(true), PrivilegeError::LockedDown);
        let lacking = with(true, CapabilitySet::all() - CapabilitySet::SYS_PTRACE);
        assert_eq!(lacking.why_refused(true), PrivilegeError::Missing(vec![Capability::SysPtrace]));
    }
}
