//! Attacks from inside a session, and odd things on the node and in the cluster: each with a session beside it whose
//! records stay whole. The scripts are in `tests/hostile`; docs/security.md says what is found and what is not.

use crate::Test;

/// Every case; `cargo xtask test hostile` runs these alone.
pub const TESTS: &[(&str, Test)] = &[];
