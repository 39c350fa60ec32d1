//! What the kernel says of its clock and its boot.

use std::io;
use std::mem::MaybeUninit;

use super::ClockState;
use crate::ids::BootId;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// This boot's id.
///
/// # Errors
/// Where `/proc` is not mounted.
pub fn boot_id() -> io::Result<BootId> {
    let text = std::fs::read_to_string(BOOT_ID).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot read {BOOT_ID}: {error}; mount /proc"))
    })?;
    Ok(BootId::new(text.trim()))
}

/// The clock's state now; synchronisation unknown where the kernel does not say (a seccomp filter).
#[must_use]
pub fn state(boot_id: BootId) -> ClockState {
    let (synchronized, max_error_us) = adjtimex().map_or((None, None), |timex| {
        let synchronized = timex.status & libc::STA_UNSYNC == 0;
        (Some(synchronized), u64::try_from(timex.maxerror).ok())
    });
    ClockState { boot_id, synchronized, max_error_us }
}

/// Reads the clock's discipline; changes nothing, so needs no privilege.
fn adjtimex() -> Option<libc::timex> {
    let mut timex = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: the pointer is valid for writes of a whole timex for the call; all zeroes is a valid timex, whose
    // `modes` of 0 asks the kernel to change nothing.
    let result = unsafe { libc::adjtimex(timex.as_mut_ptr()) };
    // SAFETY: zeroed, so initialised, whatever the kernel wrote over it.
    (result != -1).then(|| unsafe { timex.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_id_is_a_uuid() {
        let id = boot_id().unwrap();
        let groups: Vec<usize> = id.as_str().split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn this_kernel_shows_its_clocks_state() {
        let state = state(BootId::new("b"));
        assert!(state.synchronized.is_some() && state.max_error_us.is_some());
    }
}
