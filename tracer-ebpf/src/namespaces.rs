//! Mount namespaces of main processes: who executes a program in one without belonging to the session has entered it,
//! whatever its cgroup.

use core::ptr;

use aya_ebpf::Global;
use debugtrail_common::loss::Loss;

use crate::{
    interest,
    maps::{NAMESPACES, lost},
    task::{self, HAS_NAMESPACE_NUMBER, MNT_NS_NUMBER, Ptr},
};

/// A power of two. The kernel gives the lowest numbers that are free, so that those of a node share no place.
const PLACES: usize = 1 << 12;
/// Epoch of [`interest`] in which a main process was last seen in a namespace, by its number.
#[unsafe(link_section = ".bss.namespaces")]
static mut MARKS: [u32; PLACES] = [0; PLACES];

/// Whether a task may be in the mount namespace of a session. It may say "perhaps" where it is not, never "no" where
/// it is.
#[inline(always)]
pub fn may_be_in_one(task: Ptr) -> bool {
    known(&HAS_NAMESPACE_NUMBER)
        && interest::counts(
            // SAFETY: an aligned word inside the table.
            unsafe { ptr::read_volatile(place(number_of(task))) },
        )
}

/// The cgroup of the session in whose mount namespace a task is.
#[inline(always)]
pub fn session_of(task: Ptr) -> Option<u64> {
    if !known(&HAS_NAMESPACE_NUMBER) {
        return None;
    }
    // SAFETY: the value is copied at once.
    unsafe { NAMESPACES.get(number_of(task)) }.copied()
}

/// Notes the namespace of a main process, and gives its number; 0 where the kernel does not tell.
#[inline(always)]
pub fn note(main: Ptr, cgroup_id: u64) -> u32 {
    if !known(&HAS_NAMESPACE_NUMBER) {
        return 0;
    }
    let number = number_of(main);
    if NAMESPACES.insert(number, cgroup_id, 0).is_err() {
        lost(Loss::Membership);
    }
    let epoch = interest::epoch();
    // SAFETY: an aligned word inside the table.
    unsafe { ptr::write_volatile(place(number), epoch.wrapping_add(1)) };
    // The epoch may have ended, if userspace forgot this entry meanwhile; an old mark must not stand over a new one.
    let now = interest::epoch();
    if now != epoch {
        // SAFETY: as before.
        unsafe { ptr::write_volatile(place(number), now.wrapping_add(1)) };
    }
    number
}

/// Number of a task's mount namespace; 0 where it has none any more, or the kernel does not tell.
#[inline(always)]
pub fn number(task: Ptr) -> u32 {
    if known(&HAS_NAMESPACE_NUMBER) { number_of(task) } else { 0 }
}

#[inline(always)]
fn known(fields: &Global<u32>) -> bool {
    fields.load() != 0
}

#[inline(always)]
fn number_of(task: Ptr) -> u32 {
    task::read(task::mount_namespace(task), &MNT_NS_NUMBER)
}

#[inline(always)]
fn place(number: u32) -> *mut u32 {
    // SAFETY: masked, so within the table.
    unsafe { (&raw mut MARKS).cast::<u32>().add(number as usize & (PLACES - 1)) }
}
