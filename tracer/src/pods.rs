//! The API's pods of this node: an index that answers questions (pure), fed by a watch (I/O).

pub mod access;
pub mod connect;
pub mod debug;
pub mod ending;
pub mod facts;
pub mod index;
pub mod watch;

pub use debug::DebugPod;
pub use ending::PodEnding;
pub use facts::{ContainerFacts, ContainerState, ContainerStatus, EphemeralFacts, PodFacts, Terminated};
pub use index::{PodIndex, Role};
pub use watch::PodEvent;
