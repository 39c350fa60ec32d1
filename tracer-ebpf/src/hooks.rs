//! One file per subject; each hook is an entry of a few lines that returns at once while nothing
//! is of interest, and a slow path in a function of its own, so that the entry saves no registers.

mod account;
mod cgroup;
mod exec;
mod exit;
mod fork;
mod oom;
mod scan;
mod signal;
