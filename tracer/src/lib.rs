//! debugtrail: how every Kubernetes debug session ended, as the kernel saw it.

pub mod cgroup;
pub mod cli;
pub mod clock;
pub mod doctor;
pub mod ids;
pub mod kernel;
pub mod ledger;
mod malloc;
pub mod oom;
mod pid_namespace;
pub mod pipeline;
pub mod pods;
pub mod record;
pub mod runtime;
pub mod serve;
pub mod session;
pub mod sinks;
mod text;
pub mod visible;
