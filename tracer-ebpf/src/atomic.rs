//! What several CPUs write at once.

use core::arch::asm;

/// Adds to a word that other CPUs add to as well. A full barrier on x86. LLVM's own has a result, which kernels
/// before 5.12 do not know.
#[inline(always)]
pub fn add(word: &mut u64, n: u64) {
    // SAFETY: an aligned word that the caller may write; the instruction touches nothing else.
    unsafe { asm!("lock *(u64 *)({word} + 0) += {n}", word = in(reg) &raw mut *word, n = in(reg) n) };
}

/// The same of a word that a pointer leads to.
///
/// # Safety
///
/// It must be aligned, and lie within memory that the program may write.
#[inline(always)]
pub unsafe fn add_at(word: *mut u64, n: u64) {
    // SAFETY: the caller's.
    unsafe { asm!("lock *(u64 *)({word} + 0) += {n}", word = in(reg) word, n = in(reg) n) };
}

/// The same of half a word; it wraps.
///
/// # Safety
///
/// As of [`add_at`].
#[inline(always)]
pub unsafe fn add_u32_at(word: *mut u32, n: u32) {
    // SAFETY: the caller's.
    unsafe { asm!("lock *(u32 *)({word} + 0) += {n}", word = in(reg) word, n = in(reg) u64::from(n)) };
}
