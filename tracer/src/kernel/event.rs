//! Events of the ring, from bytes. Pure.

use bytes::Buf;
use debugtrail_common::event::EventKind;

use crate::ids::{BootNanos, CgroupId, Pid};
use crate::record::WaitStatus;

/// What the ring said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A cgroup's entry changed: read it.
    CgroupChanged(CgroupId),
    /// A process of a tracked cgroup other than the main one ended.
    MemberEnded(MemberEnded),
}

/// A process of a session other than the main one ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEnded {
    /// The cgroup at the root of the session.
    pub cgroup: CgroupId,
    /// Who it was.
    pub pid: Pid,
    /// When it was forked.
    pub started: BootNanos,
    /// When it ended.
    pub ended: BootNanos,
    /// How it ended.
    pub status: WaitStatus,
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
    let kind = bytes.try_get_u32_ne().ok()?;
    if CHANGED.contains(&kind) {
        bytes.try_get_u32_ne().ok()?;
        return Some(Event::CgroupChanged(CgroupId(bytes.try_get_u64_ne().ok()?)));
    }
    if kind != MEMBER_ENDED {
        return None;
    }
    let pid = Pid(bytes.try_get_u32_ne().ok()?);
    Some(Event::MemberEnded(MemberEnded {
        cgroup: CgroupId(bytes.try_get_u64_ne().ok()?),
        pid,
        started: BootNanos(bytes.try_get_u64_ne().ok()?),
        ended: BootNanos(bytes.try_get_u64_ne().ok()?),
        status: WaitStatus(bytes.try_get_i32_ne().ok()?),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn a_change_names_its_cgroup() {
        for kind in 1..=4 {
            let event = parse(&words(&[kind, 0, 77, 1]));
            assert_eq!(event, Some(Event::CgroupChanged(CgroupId(77 + (1 << 32)))), "kind {kind}");
        }
    }

    #[test]
    fn a_members_end_carries_pid_times_and_status() {
        let event = parse(&words(&[5, 4242, 77, 0, 1000, 0, 3000, 0, 42 << 8, 0, 0, 0, 0, 0]));
        assert_eq!(
            event,
            Some(Event::MemberEnded(MemberEnded {
                cgroup: CgroupId(77),
                pid: Pid(4242),
                started: BootNanos(1000),
                ended: BootNanos(3000),
                status: WaitStatus(42 << 8),
            }))
        );
    }

    #[test]
    fn what_is_short_or_unknown_is_none() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&words(&[9, 0, 0, 0])), None);
        assert_eq!(parse(&words(&[5, 4242, 77])), None);
        assert_eq!(parse(&words(&[1, 0, 77])), None);
    }
}
