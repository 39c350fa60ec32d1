//! Maps, and the counting of what does not fit.

use aya_ebpf::{
    bindings::BPF_RB_FORCE_WAKEUP,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use debugtrail_common::{
    cgroup::CgroupEntry,
    event::{CgroupChanged, EventKind, Executed},
    interest::Namespace,
    kept::{self, Kept},
    layout,
    loss::Loss,
    process::{Member, ProcessKey},
};

use crate::exe::Walk;

/// A node runs some hundred containers and forgets all but the debug sessions within a second;
/// what is left is room for a storm of cgroups while userspace is away.
const CGROUP_ENTRIES: u32 = 4096;
/// Processes of sessions and of the newest candidates.
const MEMBER_ENTRIES: u32 = 65_536;
/// Of these, what one session's may take while they are not freed: no fork bomb takes another's room.
pub const MEMBERS_AT_MOST: u64 = (MEMBER_ENTRIES / 4) as u64;
/// Entries of cgroups that the processes of one session make, wherever: all other room is for containers.
pub const MADE_AT_MOST: u64 = 128;
/// Userspace may choose another size.
const RING_BYTES: u32 = 1 << 20;

/// What the exec hook puts together.
#[repr(C)]
pub struct Collected {
    /// Where the executable's path has come to.
    pub walk: Walk,
    /// The event that userspace gets.
    pub event: Executed,
}

#[map]
pub static CGROUPS: HashMap<u64, CgroupEntry> = HashMap::with_max_entries(CGROUP_ENTRIES, 0);
#[map]
pub static TRACKED: HashMap<u64, u64> = HashMap::with_max_entries(CGROUP_ENTRIES, 0);
/// Own cgroups of containers that are no session, while they are there: nothing is kept of what is made
/// below. The kernel gives up the one that was not looked up for longest.
#[map]
pub static SETTLED: LruHashMap<u64, u32> = LruHashMap::with_max_entries(CGROUP_ENTRIES, 0);
/// Apart from `MEMBERS`, so that a fork bomb in one session cannot push out another's main process.
#[map]
pub static MAINS: HashMap<ProcessKey, u64> = HashMap::with_max_entries(CGROUP_ENTRIES, 0);
#[map]
pub static MEMBERS: HashMap<ProcessKey, Member> = HashMap::with_max_entries(MEMBER_ENTRIES, 0);
/// Id of a mount namespace -> session whose main process lives in it.
#[map]
pub static NAMESPACES: HashMap<u64, Namespace> = HashMap::with_max_entries(CGROUP_ENTRIES, 0);
/// Processes whose last exit was seen, where two threads that race may both take theirs for the last.
#[map]
pub static ENDED: LruHashMap<ProcessKey, u32> = LruHashMap::with_max_entries(4096, 0);
/// tgid that the OOM killer chose -> nanoseconds of `CLOCK_BOOTTIME` at which it did.
#[map]
pub static OOM_VICTIMS: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1024, 0);
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
pub static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(Loss::ALL.len() as u32, 0);
/// Where the exec hook puts its event together: it is too large for a program's stack, and the kernel does not let
/// one program run inside itself on a CPU.
#[map]
pub static EXECUTED: PerCpuArray<Collected> = PerCpuArray::with_max_entries(1, 0);
/// One entry that nothing ever writes: what a new cgroup's entry starts as. It is too large for a
/// program's stack.
#[map]
pub static EMPTY: Array<CgroupEntry> = Array::with_max_entries(1, 0);

/// Nothing here uses it: it is pinned with the others.
#[map]
pub static KEPT: Array<Kept> = Array::with_max_entries(kept::place::COUNT, 0);
/// Pinned as well, for whoever reads the others.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.layout")]
static LAYOUT: [u8; layout::LEN] = layout::TEXT;

/// Counts one loss.
#[inline(always)]
pub fn lost(kind: Loss) {
    if let Some(count) = LOST.get_ptr_mut(kind as u32) {
        // SAFETY: a slot of this CPU in a per-CPU array.
        unsafe { *count += 1 };
    }
}

/// The entry of a cgroup, to be changed in place.
#[inline(always)]
pub fn entry<'a>(cgroup_id: u64) -> Option<&'a mut CgroupEntry> {
    // SAFETY: the kernel keeps a looked-up value alive until the program returns (RCU).
    CGROUPS.get_ptr_mut(cgroup_id).map(|entry| unsafe { &mut *entry })
}

/// Makes userspace look at a cgroup's entry now.
#[inline(always)]
pub fn wake(kind: EventKind, cgroup_id: u64) {
    let Some(mut slot) = EVENTS.reserve::<CgroupChanged>(0) else {
        lost(Loss::Wakeup);
        return;
    };
    slot.write(CgroupChanged { kind: kind as u32, reserved: 0, cgroup_id });
    slot.submit(u64::from(BPF_RB_FORCE_WAKEUP));
}
