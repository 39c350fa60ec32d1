//! What of BPF is loaded in this kernel.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use aya::maps::loaded_maps;
use aya::programs::{loaded_links, loaded_programs};

/// Every program, link and map in the kernel, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelObjects(BTreeSet<String>);

impl KernelObjects {
    /// What is loaded now.
    ///
    /// # Errors
    /// When the kernel does not let us list them.
    pub fn now() -> Result<Self> {
        let mut objects = BTreeSet::new();
        for program in loaded_programs() {
            let program = program.context("cannot list BPF programs")?;
            objects.insert(format!("program {} {}", program.id(), program.name_as_str().unwrap_or_default()));
        }
        for map in loaded_maps() {
            let map = map.context("cannot list BPF maps")?;
            objects.insert(format!("map {} {}", map.id(), map.name_as_str().unwrap_or_default()));
        }
        for link in loaded_links() {
            objects.insert(format!("link {}", link.context("cannot list BPF links")?.id()));
        }
        Ok(Self(objects))
    }

    /// What is here and was not in `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}
