//! Boot time, wall time, and what lies between them.
//!
//! Durations come from `CLOCK_BOOTTIME` alone. A wall time is a boot time plus the offset that was in force
//! then; [`OffsetHistory`] (pure) keeps the offsets, [`ClockWatch`] (I/O) measures them.

mod history;
mod kernel;
mod times;
mod watch;

pub use history::{ClockStep, OffsetHistory, OffsetSample, STEP_THRESHOLD_NS};
pub use kernel::{boot_id, state};
pub use times::{SessionTimes, WallTime};
pub use watch::{ClockWatch, boot_now, sample};

use serde::{Deserialize, Serialize};

use crate::ids::BootId;

/// What a record says of the node's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClockState {
    /// The boot that the record's `*_boot_ns` belong to.
    pub boot_id: BootId,
    /// Whether the kernel believes its clock to be synchronised (`adjtimex(2)`, no `STA_UNSYNC`).
    pub synchronized: Option<bool>,
    /// The kernel's own bound on the clock's error, in microseconds (`adjtimex(2)`, `maxerror`).
    pub max_error_us: Option<u64>,
}
