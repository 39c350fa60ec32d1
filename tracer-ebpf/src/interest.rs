//! Whether a hook has anything to look up: the test that every process of the node pays for.
//!
//! With nothing of interest it is a look at one word. Else the task's cgroup is looked up in a table
//! beside it: two loads of kernel fields and no call, where the lookups behind it take some 150
//! instructions. A cgroup's place in the table comes from its address in the kernel, so that nothing
//! of the cgroup itself is read. The table may say "perhaps" where there is nothing, never "no" where
//! there is something, because
//!
//! 1. a cgroup is marked before its entry is made, and under `cgroup_mutex`, which mkdir holds:
//!    nothing is inside yet. One found running is marked by the scan that finds what is inside, and
//!    userspace has all hooks look at all tasks while it may have none inside;
//! 2. that mark counts as one for as long as the entry is there, which is longer than the address
//!    could be another cgroup's: it is taken back after the entry is removed, and with it alone. So
//!    it does not matter how many cgroups share a place, or that an address is given again;
//! 3. a cgroup in which a member sits without being that member's own is marked, too: on attach (under
//!    `cgroup_mutex`), on a birth elsewhere (CLONE_INTO_CGROUP) before the child runs, on an exec of
//!    one that entered by the mount namespace. What a member forks sits where it does. Such a mark
//!    stays until there is no entry at all, and with it no member;
//! 4. the marks of the third kind are cleared, and with them whatever a failure left behind, where a
//!    cgroup is made while there is no entry. None is being removed then: an entry stops to count
//!    last. Nor is one being added by another: the kernel's are added under `cgroup_mutex`, which is
//!    held, and those found running are marked an RCU period after they were added, when the
//!    clearing is over.
//!
//! Mount namespaces have a table of their own, kept by [`namespaces`](crate::namespaces).

use core::{arch::asm, ptr};

use debugtrail_common::{
    cgroup::CgroupEntry,
    fields::placed,
    interest::{CGROUPS, Interest, LOOK_AT_ALL, NAMESPACES, STAYS},
};

use crate::{
    atomic, maps,
    task::{self, Ptr},
};

/// The only thing in its section: userspace reads it there. It is small enough for the kernel to
/// allocate it in one page, which the processor finds sooner than several, or one that is mapped.
static mut INTEREST: Interest = Interest::NONE;

/// Bytes of [`Interest`] before a table.
const CGROUP_TABLE: usize = core::mem::offset_of!(Interest, cgroups);
const NAMESPACE_TABLE: usize = core::mem::offset_of!(Interest, namespaces);

/// Bits of an address that make a cgroup's place, in bytes: its structure takes 2 or 4 KiB.
const CGROUP_SHIFT: usize = 10;
const CGROUP_MASK: usize = (CGROUPS - 1) * size_of::<u32>();
/// The same of a mount namespace: its structure takes 192 or 256 bytes.
const NAMESPACE_SHIFT: usize = 6;
const NAMESPACE_MASK: usize = (NAMESPACES - 1) * size_of::<u32>();

/// How many entries there are. One is counted before it is added and until after it was removed.
#[derive(Clone, Copy)]
pub struct Entries(u64);

/// The number of entries now.
#[inline(always)]
pub fn entries() -> Entries {
    // SAFETY: an aligned word that lives as long as the program.
    Entries(unsafe { ptr::read_volatile(&raw const INTEREST.entries) })
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
        self.of_all() || cgroup_marks(css_set) != 0
    }

    /// Whether a task may belong to one of them, or be in the mount namespace of one.
    #[inline(always)]
    pub fn may_concern_by_namespace(self, task: Ptr) -> bool {
        self.of_all() || cgroup_marks(task::css_set(task)) | namespace_marks(task) != 0
    }

    #[inline(always)]
    fn of_all(self) -> bool {
        self.0 & LOOK_AT_ALL != 0
    }
}

/// Counts a change of the number of entries.
#[inline(always)]
pub fn count_entries(change: i64) {
    // SAFETY: an aligned word that lives as long as the program.
    unsafe { atomic::add_at(&raw mut INTEREST.entries, change as u64) };
}

/// Whether there may be cgroups below sessions' own.
#[inline(always)]
pub fn any_below() -> bool {
    // SAFETY: an aligned word that lives as long as the program.
    unsafe { ptr::read_volatile(&raw const INTEREST.below) != 0 }
}

/// Notes that there are.
#[inline(always)]
pub fn note_below() {
    // SAFETY: an aligned word that lives as long as the program.
    unsafe { ptr::write_volatile(&raw mut INTEREST.below, 1) };
}

/// Clears all marks where nothing is of interest; for the mkdir hook alone.
#[inline(always)]
pub fn begin_anew() {
    const TABLES: usize = CGROUP_TABLE / size_of::<u64>();
    const END: usize = size_of::<Interest>() / size_of::<u64>();
    if entries().any() {
        return;
    }
    // SAFETY: an aligned word that lives as long as the program.
    unsafe { ptr::write_volatile(&raw mut INTEREST.below, 0) };
    for at in TABLES..END {
        // SAFETY: aligned words of the tables.
        unsafe { ptr::write_volatile((&raw mut INTEREST).cast::<u64>().add(at), 0) };
    }
}

/// Marks a cgroup that gets an entry, and gives what the entry keeps of it.
#[inline(always)]
pub fn mark(cgroup: Ptr) -> u32 {
    let place = place_of(cgroup);
    add_to_cgroup(place, 1);
    place as u32 + 1
}

/// Takes back what [`mark`] gave.
#[inline(always)]
pub fn unmark(kept: u32) {
    if kept != 0 {
        add_to_cgroup((kept - 1) as usize & CGROUP_MASK, u32::MAX);
    }
}

/// Marks a cgroup of an entry that was found running.
#[inline(always)]
pub fn mark_found(cgroup: Ptr, entry: &mut CgroupEntry) {
    // Only the scan does, and it is one task after the other.
    if entry.mark == 0 {
        entry.mark = mark(cgroup);
    }
}

/// Marks the cgroup in which a member of the cgroup `cgroup_id` has come to sit.
#[inline(always)]
pub fn mark_seat(cgroup: Ptr, cgroup_id: u64) {
    let is_own = task::id_of(cgroup) == cgroup_id;
    if is_own && maps::entry(cgroup_id).is_some_and(|entry| entry.mark != 0) {
        return;
    }
    let place = place_of(cgroup);
    // SAFETY: an aligned word inside the table.
    if unsafe { ptr::read_volatile(cgroup_at(place)) } < STAYS {
        add_to_cgroup(place, STAYS);
    }
}

/// Marks a mount namespace of a main process, and gives what is kept of it.
#[inline(always)]
pub fn mark_namespace(namespace: Ptr) -> u32 {
    let place = distance(namespace) >> NAMESPACE_SHIFT & NAMESPACE_MASK;
    add_to_namespace(place, 1);
    place as u32
}

/// Takes back what [`mark_namespace`] gave.
#[inline(always)]
pub fn unmark_namespace(kept: u32) {
    add_to_namespace(kept as usize & NAMESPACE_MASK, u32::MAX);
}

/// The marks at the place of a structure that these loads lead to from `$from`.
///
/// Written out, since each instruction counts, and since the compiler would fold the difference of two
/// addresses into what the verifier refuses: it takes that for a number, and nothing else that is
/// made of the address of a kernel's structure.
macro_rules! marks_at {
    ($from:expr, [$($load:literal),+], {$($field:ident = $offset:expr),+}, $shift:expr, $mask:expr, $table:expr) => {{
        let marks: u64;
        // SAFETY: the verifier only accepts loads at a field of the pointer's BTF type, and inside the table.
        unsafe {
            asm!(
                $($load,)+
                "{at} -= {base}",
                "{at} >>= {shift}",
                "{at} &= {mask}",
                "{at} += {base}",
                "{at} = *(u32 *)({at} + {table})",
                at = out(reg) marks,
                from = in(reg) $from,
                base = in(reg) &raw const INTEREST,
                $($field = const $offset,)+
                shift = const $shift,
                mask = const $mask,
                table = const $table,
                options(readonly, nostack),
            );
        }
        marks as u32
    }};
}

/// The marks at the place of the default hierarchy's cgroup of a `css_set`.
#[inline(always)]
fn cgroup_marks(css_set: Ptr) -> u32 {
    marks_at!(
        css_set,
        ["{at} = *(u64 *)({from} + {dfl_cgrp})"],
        { dfl_cgrp = placed::CSS_SET_DFL_CGRP },
        CGROUP_SHIFT,
        CGROUP_MASK,
        CGROUP_TABLE
    )
}

/// The marks at the place of a task's mount namespace. A task that has given it up reads as any.
#[inline(always)]
fn namespace_marks(task: Ptr) -> u32 {
    marks_at!(
        task,
        ["{at} = *(u64 *)({from} + {nsproxy})", "{at} = *(u64 *)({at} + {mnt_ns})"],
        {nsproxy = placed::TASK_NSPROXY, mnt_ns = placed::NSPROXY_MNT_NS},
        NAMESPACE_SHIFT,
        NAMESPACE_MASK,
        NAMESPACE_TABLE
    )
}

/// Bytes of the table before a cgroup's mark.
#[inline(always)]
fn place_of(cgroup: Ptr) -> usize {
    distance(cgroup) >> CGROUP_SHIFT & CGROUP_MASK
}

/// From here to a structure of the kernel.
#[inline(always)]
fn distance(of: Ptr) -> usize {
    let mut distance = of as usize;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(
            "{distance} -= {base}",
            distance = inout(reg) distance,
            base = in(reg) &raw const INTEREST,
            options(pure, nomem, nostack),
        );
    }
    distance
}

#[inline(always)]
fn cgroup_at(place: usize) -> *mut u32 {
    // SAFETY: every caller's place is masked, so within the table.
    unsafe { (&raw mut INTEREST.cgroups).cast::<u32>().byte_add(place) }
}

#[inline(always)]
fn add_to_cgroup(place: usize, change: u32) {
    // SAFETY: an aligned word inside the table.
    unsafe { atomic::add_u32_at(cgroup_at(place), change) };
}

#[inline(always)]
fn add_to_namespace(place: usize, change: u32) {
    // SAFETY: every caller's place is masked, so it is an aligned word within the table.
    unsafe { atomic::add_u32_at((&raw mut INTEREST.namespaces).cast::<u32>().byte_add(place), change) };
}
