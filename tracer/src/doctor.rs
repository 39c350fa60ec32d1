//! What this node and cluster can and cannot witness, with the hint for each.
//!
//! [`gather`] looks (I/O), [`judge`] says what that means (pure), [`report`] shows it (pure).

pub mod facts;
pub mod gather;
pub mod judge;
pub mod report;

pub use facts::Facts;
pub use judge::{Finding, Level};
pub use report::Report;
