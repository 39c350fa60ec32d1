//! The chores as a library: the tests and the demo start the same embedded cluster and run the
//! same scenarios as a person does with `cargo xtask`.

pub mod bench;
pub mod build;
pub mod cluster;
pub mod command;
pub mod demo;
pub mod deploy;
pub mod family;
pub mod fuzz;
pub mod image;
pub mod interrupt;
pub mod lint;
pub mod matrix;
pub mod picture;
pub mod poll;
pub mod progress;
pub mod repo;
pub mod scenario;
pub mod setup;
pub mod tiers;
pub mod times;
