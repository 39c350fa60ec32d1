//! Processes that take all memory.

use crate::Way;

pub fn way(name: &str) -> Option<Way> {
    (name == "take-memory").then_some(take_memory)
}

/// Touches memory until there is none.
fn take_memory(_: &str) -> ! {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(vec![1; 1 << 20]);
        std::hint::black_box(&taken);
    }
}
