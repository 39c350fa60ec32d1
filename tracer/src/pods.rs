//! The API's pods of this node: an index that answers questions (pure), fed by a watch (I/O).

pub mod access;
mod answer;
pub mod connect;
pub mod debug;
pub mod ending;
pub mod facts;
pub mod index;
mod object;
pub mod read;
pub mod split;
pub mod watch;

pub use debug::DebugPod;
pub use ending::PodEnding;
pub use facts::{ContainerFacts, ContainerState, ContainerStatus, EphemeralFacts, PodFacts, Terminated};
pub use index::{PodIndex, Role};
pub use read::{PodRead, Unread};
pub use watch::PodEvent;
