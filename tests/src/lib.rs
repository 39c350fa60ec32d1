//! Shared by the tiers.

pub mod agent;
pub mod attack;
pub mod balancer;
pub mod bpf_fs;
pub mod clone;
pub mod debug;
pub mod http;
pub mod kernel_objects;
pub mod proxy;
pub mod scenarios;
pub mod small_disk;
pub mod tier;
pub mod tiny;
