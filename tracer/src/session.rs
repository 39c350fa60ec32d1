//! From what kernel, runtime and API say of cgroups to what is reported of sessions. Pure: values and the
//! time in, [`Action`]s out.

mod agreement;
mod attempts;
mod away;
mod cause;
mod container;
mod killed;
mod naming;
mod own;
mod processes;
mod reconcile;
pub mod report;
#[cfg(test)]
pub(crate) mod samples;
mod tracker;

pub use away::{Away, UnseenEnd};
pub use container::{Container, Remembered};
pub use killed::DAEMONS;
pub use naming::{FOREIGN_AFTER, Naming, Policy, UNRESOLVED_AFTER, Verdict, decide};
pub use processes::{Chunk, EndedProcess, RECORDED, Reported, Totals};
pub use reconcile::{KEPT, Reconciler};
pub use tracker::{Action, ReportedEnd, Tracker};
