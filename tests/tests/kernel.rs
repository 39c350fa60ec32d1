//! The kernel tier: the programs on this machine's kernel, against cgroups and processes made by hand.
//!
//! No runtime and no Kubernetes: what a container's main process looks like to the kernel is a child in a
//! cgroup and a mount namespace of its own.

#[path = "kernel/support.rs"]
mod support;

#[path = "kernel/crowds.rs"]
mod crowds;

#[path = "kernel/ends.rs"]
mod ends;

#[path = "kernel/interest.rs"]
mod interest;

#[path = "kernel/killers.rs"]
mod killers;

#[path = "kernel/main_process.rs"]
mod main_process;

#[path = "kernel/members.rs"]
mod members;

#[path = "kernel/keeping.rs"]
mod keeping;

#[path = "kernel/pins.rs"]
mod pins;
#[path = "kernel/storms.rs"]
mod storms;

#[path = "kernel/bad_places.rs"]
mod bad_places;
