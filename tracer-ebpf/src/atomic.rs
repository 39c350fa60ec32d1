//! What several CPUs write at once.

use core::arch::asm;

/// Adds to a word that other CPUs add to as well. A full barrier on x86. LLVM's own has a result, which kernels
/// before 5.12 do not know.
#[inline(always)]
pub fn add(word: &mut u64, n: u64) {
    // SAFETY: an aligned word that the caller may write; the instruction touches nothing else.
    unsafe { asm!("lock *(u64 *)({word} + 0) += {n}", word = in(reg) &raw mut *word, n = in(reg) n) };
}
