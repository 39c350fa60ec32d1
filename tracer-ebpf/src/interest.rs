//! Whether a hook has anything to look up: the test that every process of the node pays for.
//!
//! With nothing of interest it is a comparison of two words. Else it is one of the task's cgroup
//! with a table: three loads and no call, where the lookups behind it take some 150 instructions.
//! It may say "perhaps" where there is nothing, never "no" where there is something, because
//!
//! 1. a cgroup's place in the table is marked before its entry is made, and under `cgroup_mutex`,
//!    which mkdir holds: nothing is inside yet. One found running is marked by the scan that finds
//!    what is inside, and userspace has all hooks look at all tasks while it may have none inside;
//! 2. any other cgroup is marked when a member comes to sit in it: on attach (under `cgroup_mutex`
//!    too), on a birth elsewhere (CLONE_INTO_CGROUP) before the child runs. What a member forks
//!    sits where it does;
//! 3. what is marked stays so while any entry exists.
//!
//! Marks are not taken back one by one: two cgroups may share a place. They are compared with an
//! epoch, which ends when a cgroup is made while there is no entry at all.

use core::ptr;

use debugtrail_common::maps::LOOK_AT_ALL;

use crate::task::{self, Ptr};

/// What the kernel side counts for itself. One structure, so that userspace finds the entries at its
/// beginning: after an end without a goodbye it counts them anew.
#[repr(C)]
struct Own {
    /// Entries that the kernel added to `CGROUPS` less those it removed. Only the mkdir and rmdir hooks
    /// write it, and the kernel calls both under `cgroup_mutex`.
    entries: u64,
    /// Marks above it count. Only the mkdir hook writes it.
    epoch: u32,
    reserved: u32,
}
static mut OWN: Own = Own { entries: 0, epoch: 0, reserved: 0 };
/// The same of userspace, in a section of its own so that writing it touches nothing else.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.user")]
static mut USER_ENTRIES: u64 = 0;

/// A power of two. Cgroups are numbered one after another, so that those of a node share no place
/// before this many were made.
const PLACES: usize = 1 << 16;
/// Epoch in which a cgroup was last marked, by its number.
/// In a section of its own: the words above then lie in one that is small, and allocated so that
/// the processor finds it sooner.
#[unsafe(link_section = ".bss.marks")]
static mut MARKS: [u32; PLACES] = [0; PLACES];
/// A mark of all epochs.
const FOR_GOOD: u32 = u32::MAX;

/// How many entries there are. Each side counts one before it adds it and after it removes it, so
/// that the sum is never below the truth.
#[derive(Clone, Copy)]
pub struct Entries(u64);

/// The number of entries now.
#[inline(always)]
pub fn entries() -> Entries {
    // SAFETY: both are aligned words that live as long as the program.
    unsafe {
        Entries(
            ptr::read_volatile(&raw const OWN.entries)
                .wrapping_add(ptr::read_volatile(&raw const USER_ENTRIES)),
        )
    }
}

impl Entries {
    /// Whether any cgroup is of interest.
    #[inline(always)]
    pub fn any(self) -> bool {
        self.0 != 0
    }

    /// Whether a task may belong to one of them, where there are [`any`](Self::any).
    #[inline(always)]
    pub fn may_concern(self, task: Ptr) -> bool {
        self.may_concern_any_in(task::css_set(task))
    }

    /// The same of all tasks of a `css_set`.
    #[inline(always)]
    pub fn may_concern_any_in(self, css_set: Ptr) -> bool {
        self.0 & LOOK_AT_ALL != 0 || is_marked(task::cgroup_in(css_set))
    }
}

/// Counts a change of the number of entries; for the mkdir and rmdir hooks alone.
#[inline(always)]
pub fn count_entries(change: i64) {
    // SAFETY: `cgroup_mutex` is held by the only two callers.
    unsafe {
        let entries = ptr::read_volatile(&raw const OWN.entries);
        ptr::write_volatile(&raw mut OWN.entries, entries.wrapping_add_signed(change));
    }
}

/// Ends the epoch where nothing is of interest, so that no mark is; for the mkdir hook alone.
/// Whatever userspace adds meanwhile it marks after an RCU period, when this hook is over.
#[inline(always)]
pub fn begin_anew() {
    if !entries().any() {
        // SAFETY: an aligned word; `cgroup_mutex` is held by the only caller.
        unsafe { ptr::write_volatile(&raw mut OWN.epoch, epoch().wrapping_add(1)) };
    }
}

/// Marks a cgroup for this epoch. The epoch must not end meanwhile: under `cgroup_mutex`, or in the
/// scan, whose entries nobody removes before it is over.
#[inline(always)]
pub fn mark(cgroup: Ptr) {
    set(cgroup, epoch().wrapping_add(1));
}

/// Marks a cgroup where the epoch may end meanwhile. A mark of the old one, written late, could
/// undo another cgroup's of the new; this one can't. It is never taken back, but hardly ever needed:
/// a member has to be born in a cgroup that no member was in before.
#[inline(always)]
pub fn mark_for_good(cgroup: Ptr) {
    set(cgroup, FOR_GOOD);
}

#[inline(always)]
fn set(cgroup: Ptr, mark: u32) {
    if !is_marked(cgroup) {
        // SAFETY: an aligned word inside the table.
        unsafe { ptr::write_volatile(place(cgroup), mark) };
    }
}

#[inline(always)]
fn is_marked(cgroup: Ptr) -> bool {
    // SAFETY: an aligned word inside the table.
    counts(unsafe { ptr::read_volatile(place(cgroup)) })
}

/// Whether a mark is of this epoch.
#[inline(always)]
pub fn counts(mark: u32) -> bool {
    // Most places were never marked: no need to know the epoch.
    mark != 0 && mark > epoch()
}

/// The epoch: a mark above it counts.
#[inline(always)]
pub fn epoch() -> u32 {
    // SAFETY: an aligned word that lives as long as the program.
    unsafe { ptr::read_volatile(&raw const OWN.epoch) }
}

#[inline(always)]
fn place(cgroup: Ptr) -> *mut u32 {
    let place = task::number_of(cgroup) as usize & (PLACES - 1);
    // SAFETY: masked, so within the table.
    unsafe { (&raw mut MARKS).cast::<u32>().add(place) }
}
