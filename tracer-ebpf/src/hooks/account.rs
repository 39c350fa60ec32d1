//! What userspace has changed of what is of interest. In one program, so that an entry and what is counted of it change
//! together even where userspace is killed meanwhile.

use core::ffi::c_void;

use debugtrail_common::interest::accounted;

use crate::{
    interest,
    maps::{CGROUPS, entry},
    namespaces,
};

/// Attached nowhere: userspace runs it, see `debugtrail_common::interest::ACCOUNT`.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/account")]
extern "C" fn account(ctx: *mut c_void) -> u32 {
    let arguments = ctx.cast::<u64>();
    // SAFETY: the kernel passes at least what userspace gave, and demands that it is as much as is read here.
    let (cgroup_id, change) = unsafe { (arguments.read_volatile(), arguments.add(1).read_volatile()) };
    if cgroup_id != 0 {
        return forget(cgroup_id);
    }
    interest::count_entries(change as i64);
    accounted::DONE
}

#[inline(always)]
fn forget(cgroup_id: u64) -> u32 {
    let Some(entry) = entry(cgroup_id) else { return accounted::ABSENT };
    // The kernel keeps the value for another entry's use, which may be now: nothing is read of it after its removal.
    let mark = entry.mark;
    namespaces::forget(entry, cgroup_id);
    if CGROUPS.remove(cgroup_id).is_err() {
        return accounted::BUSY;
    }
    interest::unmark(mark);
    interest::count_entries(-1);
    accounted::DONE
}
