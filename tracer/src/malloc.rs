//! Memory that was needed for a moment only.

/// Gives what is free back to the system. glibc keeps it, in case it is wanted again: after the kernel's types and the
/// list of pods were read that is most of the process.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer, and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
