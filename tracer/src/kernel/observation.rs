//! What the kernel has seen of one cgroup so far, in userspace's terms. Pure.

use std::ops::Add;

use debugtrail_common::cgroup::{CgroupEntry, End, Usage};

use super::c_string::text;
use super::exe;
use super::killer::{Killer, killer};
use crate::ids::{BootNanos, CgroupId, Pid};
use crate::record::WaitStatus;

/// A cgroup and what has happened in it. It only ever grows: a later observation of the same
/// cgroup holds all that an earlier one did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Id of the cgroup.
    pub cgroup: CgroupId,
    /// Its path below the root of the v2 hierarchy.
    pub path: String,
    /// Its mkdir; the scan for one found running.
    pub created: BootNanos,
    /// Whether anything was ever in it.
    pub entered: bool,
    /// It was there before the programs were, with its main process already running.
    pub found_running: bool,
    /// The main process.
    pub main: Option<MainSeen>,
    /// Its end.
    pub end: Option<EndSeen>,
    /// Who sent the signal that ended it; `None` where none did or its sender is not known.
    pub killer: Option<Killer>,
    /// Who may have been the main process, while none was seen: only the runtime can say.
    pub last: Option<LastSeen>,
    /// The cgroup's rmdir.
    pub removed: Option<BootNanos>,
    /// How many other processes belong to it.
    pub members: Members,
    /// What the main process used, once it was freed.
    pub main_used: Option<Used>,
    /// What the members that were freed used; their memory is reported with each end.
    pub members_used: Used,
}

/// A process that had executed a program in a cgroup without a main process, and was freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSeen {
    /// In the initial pid namespace.
    pub pid: Pid,
    /// When it was forked.
    pub forked: BootNanos,
    /// When it was freed.
    pub freed: BootNanos,
    /// How it had ended.
    pub status: WaitStatus,
}

impl Observation {
    /// Adds the main process that no program saw begin, where the runtime's init process is the one that may
    /// have been it.
    #[must_use]
    pub fn by_the_runtime(self, init: Option<Pid>) -> Self {
        let Some(last) = self.last.filter(|last| self.main.is_none() && Some(last.pid) == init) else {
            return self;
        };
        let main = MainSeen {
            pid: last.pid,
            pid_in_container: None,
            forked: last.forked,
            execed: None,
            comm: String::new(),
            exe: None,
        };
        let end = EndSeen { at: last.freed, late: true, status: last.status, oom_victim: false };
        Self { main: Some(main), end: Some(end), ..self }
    }
}

/// How many processes of a cgroup, the main one left out, have done what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Became members after the main process began to run.
    pub all: u64,
    /// Of these, ended.
    pub ended: u64,
    /// Of these, came from outside.
    pub entered: u64,
    /// Went to another cgroup or mount namespace; the main process may be among them.
    pub left: u64,
    /// Were there before the main process began to run: the runtime's own.
    pub runtime: u64,
    /// Of how many processes and of how many cgroups made by them nothing is kept: over what one session may take.
    pub unkept: u64,
}

/// What processes used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// How many processes.
    pub processes: u64,
    /// Nanoseconds on a CPU.
    pub cpu_ns: u64,
    /// Page faults without input or output.
    pub minor_faults: u64,
    /// Page faults with.
    pub major_faults: u64,
    /// Largest resident memory of any, in pages; `None` where it is not kept here.
    pub max_rss_pages: Option<u64>,
}

impl Members {
    /// With what programs before these have counted of the same cgroup: those that had not ended then are among what
    /// these found.
    fn after(self, earlier: Self) -> Self {
        self + Self { all: earlier.ended, ..earlier }
    }
}

impl Add for Members {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            all: self.all + other.all,
            ended: self.ended + other.ended,
            entered: self.entered + other.entered,
            left: self.left + other.left,
            runtime: self.runtime + other.runtime,
            unkept: self.unkept + other.unkept,
        }
    }
}

impl Add for Used {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            processes: self.processes + other.processes,
            cpu_ns: self.cpu_ns + other.cpu_ns,
            minor_faults: self.minor_faults + other.minor_faults,
            major_faults: self.major_faults + other.major_faults,
            max_rss_pages: self.max_rss_pages.max(other.max_rss_pages),
        }
    }
}

/// The main process as the kernel saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainSeen {
    /// In the initial pid namespace.
    pub pid: Pid,
    /// In its own pid namespace; `None` where it could not be read.
    pub pid_in_container: Option<Pid>,
    /// When it was forked: with the pid, its identity.
    pub forked: BootNanos,
    /// Its first exec in the cgroup; `None` for one found running.
    pub execed: Option<BootNanos>,
    /// Name of the program, 15 bytes at most.
    pub comm: String,
    /// Path of its executable, without links, as it sees it; `None` where it could not be read, or for one found
    /// running.
    pub exe: Option<String>,
}

/// The main process's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndSeen {
    /// When.
    pub at: BootNanos,
    /// `at` was taken when the process was freed, some time after its end.
    pub late: bool,
    /// How, for the whole thread group.
    pub status: WaitStatus,
    /// The OOM killer chose the main process.
    pub oom_victim: bool,
}

impl Observation {
    /// With what programs before these have seen of the same cgroup. They saw it longer: of a main process that these
    /// only found running, they know the start.
    #[must_use]
    pub fn after(self, earlier: &Self) -> Self {
        let key = |main: &MainSeen| (main.pid, main.forked);
        let of_earlier = earlier.main.as_ref().is_some_and(|main| {
            let same = self.main.as_ref().is_none_or(|own| key(own) == key(main));
            same || main.execed.is_some()
        });
        let mut seen = Self {
            created: earlier.created.min(self.created),
            entered: self.entered || earlier.entered,
            found_running: self.found_running && earlier.found_running,
            removed: earlier.removed.or(self.removed),
            members: if self.found_running { self.members.after(earlier.members) } else { self.members },
            members_used: if self.found_running {
                self.members_used + earlier.members_used
            } else {
                self.members_used
            },
            main_used: self.main_used.or(earlier.main_used),
            ..self
        };
        if of_earlier {
            // What these programs were made to expect has no start of theirs.
            let other = seen.main.is_some() && seen.main.as_ref().map(key) != earlier.main.as_ref().map(key);
            seen.main.clone_from(&earlier.main);
            // While both were attached both saw it. Seen late, it has no time.
            if other || earlier.end.is_some_and(|end| !end.late || seen.end.is_none()) {
                (seen.end, seen.killer) = (earlier.end, earlier.killer.clone());
            }
        }
        seen
    }
}

/// What an entry says. The map's value is copied while the kernel may write it: `steps` must come
/// from a copy made before `fields` was, so that a step that is set has its fields in place.
/// `None` while the entry is being made.
///
/// # Errors
///
/// [`Torn`] where the copy caught an end in the making all the same, as a CPU that reorders writes lets it.
pub fn observe(
    cgroup: CgroupId,
    before: &CgroupEntry,
    fields: &CgroupEntry,
) -> Result<Option<Observation>, Torn> {
    let steps = before.steps;
    let seal = End::seal(fields.end.boot_ns, fields.end.wait_status);
    // Another version's programs may write none.
    if steps.main_ended != 0 && fields.end.seal != seal && fields.end.seal != 0 {
        return Err(Torn);
    }
    let end = (steps.main_ended != 0).then_some(EndSeen {
        at: BootNanos(fields.end.boot_ns),
        late: fields.steps.end_late != 0,
        status: WaitStatus(fields.end.wait_status),
        oom_victim: fields.steps.oom_victim != 0,
    });
    Ok((steps.created != 0).then(|| Observation {
        cgroup,
        path: text(&fields.path),
        created: BootNanos(fields.created_boot_ns),
        entered: steps.entered != 0,
        found_running: steps.main_scanned != 0,
        main: (steps.main_started != 0).then(|| main_seen(fields)),
        end,
        // Nothing is sent to it any more.
        killer: end.and_then(|end| killer(end.status, end.oom_victim, &fields.signals)),
        last: last(fields),
        removed: (steps.removed != 0).then_some(BootNanos(fields.removed_boot_ns)),
        members: members(fields),
        main_used: (steps.main_freed != 0).then(|| used(&fields.main_usage, Some(fields.main_max_rss_pages))),
        members_used: used(&fields.members_usage, None),
    }))
}

/// A copy of an entry that was made while its end was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn;

fn last(entry: &CgroupEntry) -> Option<LastSeen> {
    let last = &entry.last;
    let whole = last.end.seal == End::seal(last.end.boot_ns, last.end.wait_status);
    (last.tgid != 0 && whole && entry.steps.main_started == 0).then_some(LastSeen {
        pid: Pid(last.tgid),
        forked: BootNanos(last.start_boot_ns),
        freed: BootNanos(last.end.boot_ns),
        status: WaitStatus(last.end.wait_status),
    })
}

/// A process that comes and ends between the two copies is in the later one with both.
fn members(entry: &CgroupEntry) -> Members {
    let counts = &entry.counts;
    Members {
        all: counts.members,
        ended: counts.members_ended,
        entered: counts.entered,
        left: counts.left,
        runtime: counts.runtime,
        unkept: counts.unkept,
    }
}

fn used(usage: &Usage, max_rss_pages: Option<u64>) -> Used {
    let Usage { processes, cpu_ns, minor_faults, major_faults } = *usage;
    Used { processes, cpu_ns, minor_faults, major_faults, max_rss_pages }
}

fn main_seen(entry: &CgroupEntry) -> MainSeen {
    let main = &entry.main;
    MainSeen {
        pid: Pid(main.tgid),
        pid_in_container: (main.tgid_in_container != 0).then_some(Pid(main.tgid_in_container)),
        forked: BootNanos(main.start_boot_ns),
        execed: (main.exec_boot_ns != 0).then_some(BootNanos(main.exec_boot_ns)),
        comm: text(&main.comm),
        exe: main.exe.names.get(..main.exe.len as usize).and_then(|names| exe::path(names, main.exe.ending)),
    }
}

#[cfg(test)]
mod tests;
