//! Whether this node and cluster can record debug sessions, with a hint for each problem.
//!
//! [`gather`] looks (I/O), [`judge`] says what that means (pure), [`report`] shows it (pure).

pub mod facts;
pub mod gather;
pub mod judge;
pub mod report;

pub use facts::Facts;
pub use judge::{Finding, Level};
pub use report::Report;
