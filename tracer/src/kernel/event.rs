//! Events of the ring, from bytes. Pure.

use bytes::Buf;
use debugtrail_common::{
    event::EventKind,
    process::{COMM_LEN, left, origin},
};

use super::c_string::text;
use super::exe;
use crate::ids::{BootNanos, CgroupId, Pid};
use crate::record::WaitStatus;

/// An event of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A cgroup's entry changed: read it.
    CgroupChanged(CgroupId),
    /// A process of a session other than the main one ended.
    MemberEnded(MemberEnded),
    /// A process of a session executed a program.
    Executed(Executed),
}

/// A process for as long as the machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// In the initial pid namespace.
    pub pid: Pid,
    /// When it was forked.
    pub forked: BootNanos,
}

/// How a process came to belong to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A member forked it.
    Forked,
    /// It was moved into the cgroup.
    Attached,
    /// It was born in the cgroup of a parent outside.
    ClonedInto,
    /// It was there already.
    Found,
    /// It executed a program in the main process's mount namespace.
    Namespace,
}

/// Where a process went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// To a cgroup outside the session.
    pub cgroup: bool,
    /// To another mount namespace than the main process's.
    pub mount_namespace: bool,
}

/// A process of a session other than the main one ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEnded {
    /// The cgroup that it belonged to, or the one at the root of its session.
    pub cgroup: CgroupId,
    /// Who it was.
    pub process: Process,
    /// In its own pid namespace; `None` where it could not be read.
    pub pid_in_container: Option<Pid>,
    /// Its parent when it became a member.
    pub parent: Pid,
    /// When that was.
    pub since: BootNanos,
    /// How.
    pub origin: Origin,
    /// Where it went.
    pub left: Left,
    /// When it ended.
    pub ended: BootNanos,
    /// `ended` was taken when the process was freed, some time after its end.
    pub late: bool,
    /// How it ended.
    pub status: WaitStatus,
    /// Its largest resident memory, in pages; `None` where the kernel does not show it.
    pub max_rss_pages: Option<u64>,
    /// Its name at its end, 15 bytes at most.
    pub comm: String,
}

/// A process of a session executed a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// The cgroup that it belongs to, or the one at the root of its session.
    pub cgroup: CgroupId,
    /// Who.
    pub process: Process,
    /// When.
    pub at: BootNanos,
    /// Path of the executable, without links, as the process sees it; `None` where it could not be read.
    pub exe: Option<String>,
    /// The arguments; `None` where they were not asked for or could not be read.
    pub args: Option<Args>,
}

/// Arguments of a program, as the kernel keeps them. They are split where a record shows them: a thousand empty ones are
/// a thousand bytes here and 24 times as many as strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    /// The first ones, with a NUL between two.
    bytes: Box<[u8]>,
    /// There were more, or the last one was longer.
    pub truncated: bool,
}

impl Args {
    /// Of bytes in which each argument has a NUL behind it, the first of `full_len`; `None` where there are none.
    #[must_use]
    pub fn new(bytes: &[u8], full_len: usize) -> Option<Self> {
        let kept = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        (!bytes.is_empty()).then(|| Self { bytes: kept.into(), truncated: full_len > kept.len() + 1 })
    }

    /// Each as text.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.bytes.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
    }

    /// Bytes that they take.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// Reads one event; `None` where the bytes are none (a ring of another version).
#[must_use]
pub fn parse(mut bytes: &[u8]) -> Option<Event> {
    const CHANGED: [u32; 4] = [
        EventKind::CgroupCreated as u32,
        EventKind::MainStarted as u32,
        EventKind::MainEnded as u32,
        EventKind::CgroupRemoved as u32,
    ];
    const MEMBER_ENDED: u32 = EventKind::MemberEnded as u32;
    const EXECUTED: u32 = EventKind::Executed as u32;
    match bytes.try_get_u32_ne().ok()? {
        kind if CHANGED.contains(&kind) => {
            bytes.try_get_u32_ne().ok()?;
            Some(Event::CgroupChanged(CgroupId(bytes.try_get_u64_ne().ok()?)))
        }
        MEMBER_ENDED => member_ended(bytes).map(Event::MemberEnded),
        EXECUTED => executed(bytes).map(Event::Executed),
        _ => None,
    }
}

fn member_ended(mut bytes: &[u8]) -> Option<MemberEnded> {
    let pid = Pid(bytes.try_get_u32_ne().ok()?);
    let cgroup = CgroupId(bytes.try_get_u64_ne().ok()?);
    let forked = BootNanos(bytes.try_get_u64_ne().ok()?);
    let ended = BootNanos(bytes.try_get_u64_ne().ok()?);
    let status = WaitStatus(bytes.try_get_i32_ne().ok()?);
    let in_container = bytes.try_get_u32_ne().ok()?;
    let since = BootNanos(bytes.try_get_u64_ne().ok()?);
    let parent = Pid(bytes.try_get_u32_ne().ok()?);
    let origin = origin_of(bytes.try_get_u8().ok()?)?;
    let left_to = bytes.try_get_u8().ok()?;
    let late = bytes.try_get_u8().ok()? != 0;
    bytes.try_get_u8().ok()?;
    let rss = bytes.try_get_u64_ne().ok()?;
    Some(MemberEnded {
        cgroup,
        process: Process { pid, forked },
        pid_in_container: (in_container != 0).then_some(Pid(in_container)),
        parent,
        since,
        origin,
        left: Left {
            cgroup: left_to & left::CGROUP != 0,
            mount_namespace: left_to & left::MOUNT_NAMESPACE != 0,
        },
        ended,
        late,
        status,
        max_rss_pages: (rss != 0).then_some(rss),
        comm: text(bytes.get(..COMM_LEN)?),
    })
}

fn origin_of(byte: u8) -> Option<Origin> {
    Some(match byte {
        origin::FORKED => Origin::Forked,
        origin::ATTACHED => Origin::Attached,
        origin::CLONED_INTO => Origin::ClonedInto,
        origin::FOUND => Origin::Found,
        origin::NAMESPACE => Origin::Namespace,
        _ => return None,
    })
}

fn executed(mut bytes: &[u8]) -> Option<Executed> {
    let pid = Pid(bytes.try_get_u32_ne().ok()?);
    let cgroup = CgroupId(bytes.try_get_u64_ne().ok()?);
    let forked = BootNanos(bytes.try_get_u64_ne().ok()?);
    let at = BootNanos(bytes.try_get_u64_ne().ok()?);
    let names_len = bytes.try_get_u32_ne().ok()? as usize;
    let ending = bytes.try_get_u32_ne().ok()?;
    let args_len = bytes.try_get_u32_ne().ok()? as usize;
    let args_full_len = bytes.try_get_u32_ne().ok()? as usize;
    let (names, rest) = bytes.split_at_checked(names_len)?;
    Some(Executed {
        cgroup,
        process: Process { pid, forked },
        at,
        exe: exe::path(names, ending),
        args: Args::new(rest.get(..args_len)?, args_full_len),
    })
}

#[cfg(test)]
mod tests;
