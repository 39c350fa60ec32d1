//! The clock that every time of the kernel side is read from.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;

/// Nanoseconds of `CLOCK_BOOTTIME`.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper takes no argument; it is in 5.8 and later.
    unsafe { bpf_ktime_get_boot_ns() }
}
