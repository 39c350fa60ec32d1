//! Cgroups as names: what a path says ([`path`], pure) and where the v2 hierarchy is ([`hierarchy`], I/O).

pub mod hierarchy;
pub mod path;

pub use hierarchy::{Cgroup, Hierarchy, HierarchyError};
pub use path::{Own, Place};
