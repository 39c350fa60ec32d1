//! Whether the ring has a reader.

use core::ptr;

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RB_RING_SIZE};

use crate::{
    clock::now,
    maps::{EVENTS, TRACKED},
};

/// Nanoseconds of `CLOCK_BOOTTIME` until which userspace reads; only it writes it. For ever, unless it says otherwise.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.reader")]
static mut READ_UNTIL: u64 = u64::MAX;

/// The cgroup under whose id a member is reported to userspace; `None` where it is not: the cgroup is not
/// claimed, and there is no reader to claim it.
#[inline(always)]
pub fn addressee(cgroup_id: u64) -> Option<u64> {
    // SAFETY: the value is copied at once.
    if let Some(root) = unsafe { TRACKED.get(cgroup_id) }.copied() {
        return Some(root);
    }
    // SAFETY: an aligned word that lives as long as the program.
    let read_until = unsafe { ptr::read_volatile(&raw const READ_UNTIL) };
    (now() <= read_until).then_some(cgroup_id)
}

/// Flags for an event that is in no hurry. Waking the reader costs more than all the rest: its timer drains these, if
/// the ring does not fill up before.
#[inline(always)]
pub fn wakeup() -> u64 {
    let (held, size) =
        (EVENTS.query(u64::from(BPF_RB_AVAIL_DATA)), EVENTS.query(u64::from(BPF_RB_RING_SIZE)));
    u64::from(if held > size / 2 { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}
