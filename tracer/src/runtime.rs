//! What the container runtime says of a container: the annotations of its OCI bundle.

pub mod bundle;
pub mod bundles;
mod file;
pub mod lookups;
mod shims;

pub use bundle::{ContainerKind, ContainerMeta};
pub use bundles::{Bundles, RuntimeFacts};
pub use lookups::Lookups;
