//! Which process belongs to which cgroup of ours. Membership sticks to the process: it is
//! inherited by fork and outlives a move to another cgroup.

use aya_ebpf::bindings::BPF_NOEXIST;
use debugtrail_common::{
    cgroup::CgroupEntry,
    loss::Loss,
    process::{Member, ProcessKey, left, origin, role, state},
};

use crate::{
    atomic,
    clock::now,
    interest, lineage,
    maps::{MADE_AT_MOST, MEMBERS, MEMBERS_AT_MOST, TRACKED, entry, lost},
    namespaces,
    task::{self, Ptr, TASK_REAL_PARENT},
};

/// `EEXIST` of include/uapi/asm-generic/errno-base.h, as a helper gives it.
const EXISTS: i32 = -17;

/// What is kept of a process, to be changed in place.
#[inline(always)]
pub fn of<'a>(key: &ProcessKey) -> Option<&'a mut Member> {
    // SAFETY: the kernel keeps a looked-up value alive until the program returns (RCU).
    MEMBERS.get_ptr_mut(key).map(|member| unsafe { &mut *member })
}

/// How a process becomes a member.
#[derive(Clone, Copy)]
pub struct Coming {
    /// One of [`origin`].
    pub origin: u8,
    /// Bits of [`role`].
    pub role: u8,
    /// Bits of [`state`].
    pub state: u8,
    /// `tgid` of its parent.
    pub parent_tgid: u32,
}

impl Coming {
    /// Of a process that no process inside forked.
    #[inline(always)]
    pub fn from_outside(task: Ptr, origin: u8) -> Self {
        Self { origin, role: 0, state: 0, parent_tgid: task::tgid(task::read(task, &TASK_REAL_PARENT)) }
    }
}

/// The cgroup that a process belongs to.
#[inline(always)]
pub fn cgroup_of(key: &ProcessKey) -> Option<u64> {
    of(key).map(|member| member.cgroup_id)
}

/// The cgroup that a process belongs to which executes a program: also of one whose entering was not seen, or
/// that has just entered by the mount namespace alone.
#[inline(always)]
pub fn of_executing(task: Ptr, key: &ProcessKey) -> Option<u64> {
    if let Some(cgroup_id) = cgroup_of(key) {
        return Some(cgroup_id);
    }
    let home = lineage::home(task::cgroup_of(task));
    let entered = if let Some(home) = home {
        enter(key, home, Coming::from_outside(task, origin::FOUND)).then_some(home)?
    } else {
        let session = namespaces::session_of(task)?;
        enter(key, session, Coming::from_outside(task, origin::NAMESPACE)).then_some(session)?
    };
    interest::mark_seat(task::cgroup_of(task), entered);
    Some(entered)
}

/// What is kept of a process that ends inside without being a member: its birth was not seen, where the
/// fork's program was skipped, or there was no room for it then, which has been counted.
#[inline(always)]
pub fn of_unseen<'a>(task: Ptr, key: &ProcessKey) -> Option<&'a mut Member> {
    let cgroup_id = lineage::home(task::cgroup_of(task))?;
    let entry = entry(cgroup_id)?;
    let is_main = entry.main.tgid == key.tgid && entry.main.start_boot_ns == key.start_boot_ns;
    if is_main || !entry.steps.has_main() {
        return None;
    }
    let _counted_at_its_birth = add(key, cgroup_id, entry, Coming::from_outside(task, origin::FOUND));
    of(key)
}

/// Makes a process a member, if the cgroup still is one of ours; whether it is. The caller marks the
/// cgroup that the process sits in.
#[inline(always)]
pub fn enter(key: &ProcessKey, cgroup_id: u64, coming: Coming) -> bool {
    let Some(entry) = entry(cgroup_id) else { return false };
    if add(key, cgroup_id, entry, coming).is_err() {
        lost(Loss::Membership);
    }
    true
}

/// An error where there is no room.
#[inline(always)]
fn add(key: &ProcessKey, cgroup_id: u64, entry: &mut CgroupEntry, coming: Coming) -> Result<(), i32> {
    entry.steps.entered = 1;
    let before_main = !entry.steps.has_main();
    let Coming { origin, role, state, parent_tgid } = coming;
    let role = if before_main { role | role::RUNTIME } else { role };
    if role == 0 && unfreed(entry) >= MEMBERS_AT_MOST {
        // Whoever has a place is recorded; who has none costs its own session a fact, and no other.
        if MEMBERS.get_ptr(key).is_none() {
            atomic::add(&mut entry.counts.unkept, 1);
        }
        return Ok(());
    }
    let member = Member {
        cgroup_id,
        since_boot_ns: now(),
        parent_tgid,
        origin,
        left: 0,
        role,
        state,
        leader_exits: 0,
    };
    match MEMBERS.insert(key, member, u64::from(BPF_NOEXIST)) {
        Ok(()) => count(entry, &member),
        Err(EXISTS) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// How many of a session's processes have a place.
#[inline(always)]
fn unfreed(entry: &CgroupEntry) -> u64 {
    let freed =
        if task::HAS_USAGE.load() != 0 { entry.members_usage.processes } else { entry.counts.members_ended };
    entry.counts.members.saturating_sub(freed)
}

/// Whether an entry is made of a cgroup that the current process makes: of any that is no session's, else of so many.
#[inline(always)]
pub fn may_make() -> bool {
    let Some(maker) = of(&task::current_key()) else { return true };
    if maker.role & role::RUNTIME != 0 {
        return true;
    }
    let Some(entry) = entry(maker.cgroup_id) else { return true };
    if entry.counts.made >= MADE_AT_MOST {
        atomic::add(&mut entry.counts.unkept, 1);
        return false;
    }
    atomic::add(&mut entry.counts.made, 1);
    true
}

#[inline(always)]
fn count(entry: &mut CgroupEntry, member: &Member) {
    if member.role & role::RUNTIME != 0 {
        atomic::add(&mut entry.counts.runtime, 1);
    } else if member.role == 0 {
        atomic::add(&mut entry.counts.members, 1);
        if member.origin != origin::FORKED && member.origin != origin::FOUND {
            atomic::add(&mut entry.counts.entered, 1);
        }
    }
}

/// Makes a process the main one of its cgroup.
#[inline(always)]
pub fn becomes_main(key: &ProcessKey, entry: &mut CgroupEntry) {
    let Some(member) = of(key) else { return };
    if member.role & role::RUNTIME != 0 {
        atomic::add(&mut entry.counts.runtime, u64::MAX);
    }
    member.role = role::MAIN;
}

/// Notes in which mount namespace a member executes a program: in another one than the main process's, if it was in
/// that before, it has left.
#[inline(always)]
pub fn executes_in(member: &mut Member, entry: &mut CgroupEntry, namespace: u64) {
    let main = entry.main.mount_namespace;
    if namespace == 0 || main == 0 {
        return;
    }
    if namespace == main {
        member.state |= state::IN_NAMESPACE;
    } else if member.state & state::IN_NAMESPACE != 0 {
        leaves(member, entry, left::MOUNT_NAMESPACE);
    }
}

/// Notes where a member went.
#[inline(always)]
pub fn leaves(member: &mut Member, entry: &mut CgroupEntry, to: u8) {
    if member.role & role::RUNTIME != 0 || member.left & to != 0 {
        return;
    }
    if member.left == 0 {
        atomic::add(&mut entry.counts.left, 1);
    }
    member.left |= to;
}

/// Notes that a member was moved to a cgroup, which may be outside its session.
#[inline(always)]
pub fn moves(member: &mut Member, cgroup: Ptr) {
    let own = root(member.cgroup_id);
    // Who entered by the namespace alone never was in the session's cgroup.
    if member.origin == origin::NAMESPACE
        || root(task::id_of(cgroup)) == own
        || lineage::is_below(cgroup, own)
    {
        return;
    }
    if let Some(entry) = entry(member.cgroup_id) {
        leaves(member, entry, left::CGROUP);
    }
}

/// The session's own cgroup, as far as userspace has said which it is.
#[inline(always)]
fn root(cgroup_id: u64) -> u64 {
    // SAFETY: the value is copied at once.
    unsafe { TRACKED.get(cgroup_id) }.copied().unwrap_or(cgroup_id)
}

/// Whether a task is inside a cgroup: as a member, or by where it is now.
#[inline(always)]
pub fn is_inside(task: Ptr, cgroup_id: u64) -> bool {
    cgroup_of(&task::key(task)) == Some(cgroup_id) || task::cgroup_id(task) == cgroup_id
}

/// The runtime's child execs the main process from outside the cgroup into a mount namespace of its
/// own. A runtime's helper is still on the host's namespace, an OCI hook has its parent inside.
#[inline(always)]
pub fn is_main(task: Ptr, cgroup_id: u64) -> bool {
    let parent: Ptr = task::read(task, &TASK_REAL_PARENT);
    !is_inside(parent, cgroup_id) && task::mount_namespace(task) != task::mount_namespace(parent)
}
