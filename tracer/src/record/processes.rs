//! `session_processes` and `session_closed`: what was done in a session, and what it took.

use serde::{Deserialize, Serialize};

use super::{Evidence, Head, Identity, RecordType, SessionId};
use crate::clock::{ClockState, SessionTimes, WallTime};
use crate::ids::{BootNanos, Pid};

/// Processes that ended in a session, the main one left out. A session has any number of these, each of at most 32
/// processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProcessesRecord {
    /// Schema, type and ids.
    #[serde(flatten)]
    pub head: Head,
    /// Whose they were.
    #[serde(flatten)]
    pub identity: Identity,
    /// Which of the session's records of processes this is, 0 the first.
    pub chunk: u64,
    /// In the order in which their ends were heard.
    pub processes: Vec<ProcessEnd>,
    /// The node's clock when the record was made.
    pub clock: ClockState,
}

impl ProcessesRecord {
    /// The `chunk`-th of a session.
    #[must_use]
    pub fn new(
        session_id: SessionId,
        identity: Identity,
        chunk: u64,
        processes: Vec<ProcessEnd>,
        clock: ClockState,
    ) -> Self {
        let head = Head::of_part(RecordType::SessionProcesses, session_id, chunk);
        Self { head, identity, chunk, processes, clock }
    }
}

/// A process that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProcessEnd {
    /// Pid in the initial pid namespace.
    pub pid: Pid,
    /// Pid in the innermost pid namespace of the process.
    pub pid_in_container: Option<Pid>,
    /// Its parent's pid, in the initial pid namespace, when it came to the session.
    pub parent_pid: Pid,
    /// The kernel's 15-byte name at its end.
    pub comm: String,
    /// Path of the program that it executed last, without links, as it saw it; null for one that executed none in the
    /// session and so ran its parent's, and where it was lost (a `gap`) or dropped (`programs_dropped`).
    pub exe: Option<String>,
    /// That program's arguments; null where they were not asked for.
    pub argv: Option<Vec<String>>,
    /// Whether arguments are missing at the end of `argv`; null where there are none.
    pub argv_truncated: Option<bool>,
    /// The code that it gave to exit; null where a signal ended it.
    pub exit_code: Option<u8>,
    /// The signal that ended it.
    pub signal: Option<u8>,
    /// The signal's name.
    pub signal_name: Option<String>,
    /// Whether a core was dumped.
    pub core_dumped: Option<bool>,
    /// When it was forked and when it ended.
    #[serde(flatten)]
    pub times: SessionTimes,
    /// How it came in from outside; null for one that the session's own processes forked.
    pub entered: Option<Entered>,
    /// Where it went; empty for one that stayed.
    pub left: Vec<LeftTo>,
    /// Its largest resident memory.
    pub max_rss_bytes: Option<u64>,
}

/// How a process came into a session from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Entered {
    /// By which way.
    pub by: EnteredBy,
    /// When.
    pub at: WallTime,
    /// The same by the boot clock.
    pub boot_ns: BootNanos,
}

/// The way by which a process came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EnteredBy {
    /// It was moved into the session's cgroup, as `kubectl exec` does.
    Attach,
    /// It was born in the session's cgroup of a parent outside (`CLONE_INTO_CGROUP`).
    CloneIntoCgroup,
    /// It executed a program in the mount namespace of the session's main process, as nsenter does, and stayed in its
    /// own cgroup.
    MountNamespace,
    /// It was there already when the witness began, or its coming was not heard.
    Found,
}

/// Where a process went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LeftTo {
    /// To a cgroup outside the session.
    Cgroup,
    /// To another mount namespace than the main process's, in which it executed a program.
    MountNamespace,
}

/// The last process of a session ended. Told once a session, some seconds after that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClosedRecord {
    /// Schema, type and ids.
    #[serde(flatten)]
    pub head: Head,
    /// Which session.
    #[serde(flatten)]
    pub identity: Identity,
    /// When its last process ended, as far as ends were recorded.
    pub closed_at: Option<WallTime>,
    /// The same by the boot clock.
    pub closed_boot_ns: Option<BootNanos>,
    /// Processes that it had, the main one left out, as the kernel counted them: all, or where the session was found
    /// running (`evidence.kernel`: `exit_only`), those that were there then or came after.
    pub processes: u64,
    /// How many of them stand in `session_processes`.
    pub recorded: u64,
    /// Whether any do not: they were lost, or there were more than are recorded or kept of one session.
    pub truncated: bool,
    /// How many were lost: the kernel counted them, and their ends were never heard.
    pub lost: u64,
    /// Programs whose path and arguments were dropped, as there was no room to keep them until their process ended.
    #[serde(default)]
    pub programs_dropped: u64,
    /// Processes that the runtime had in its cgroup before the main process began; not among `processes`.
    pub runtime_processes: u64,
    /// How many of `processes` came in from outside.
    pub entered: u64,
    /// How many went to another cgroup or mount namespace, the main process included.
    pub escaped: u64,
    /// What it took.
    pub usage: SessionUsage,
    /// What vouches for the record.
    pub evidence: Evidence,
    /// The node's clock when the record was made.
    pub clock: ClockState,
}

impl ClosedRecord {
    /// The type and ids of a session's.
    #[must_use]
    pub fn head(session_id: SessionId) -> Head {
        Head::of_session(RecordType::SessionClosed, session_id)
    }
}

/// What a session took. A process's usage is that of all its threads and none of its children, as getrusage(2) counts it
/// for `RUSAGE_SELF`, and is complete once the process is reaped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionUsage {
    /// The main process.
    pub main: Option<Usage>,
    /// The main process and all others that were reaped by then: `processes` says how many.
    pub session: Option<Usage>,
}

/// What processes used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Usage {
    /// How many processes.
    pub processes: u64,
    /// Nanoseconds on a CPU, in user and kernel mode; a string in JSON.
    #[serde(with = "crate::text")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub cpu_ns: u64,
    /// Page faults that needed no input or output.
    pub minor_faults: u64,
    /// Page faults that did.
    pub major_faults: u64,
    /// Largest resident memory of any one of them whose end was recorded.
    pub max_rss_bytes: Option<u64>,
}
