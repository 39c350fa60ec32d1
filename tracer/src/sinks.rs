//! Where records go.

pub mod stdout;
