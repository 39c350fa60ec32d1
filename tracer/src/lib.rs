//! debugtrail: how every Kubernetes debug session ended, witnessed by the kernel.

pub mod clock;
pub mod ids;
pub mod kernel;
pub mod record;
