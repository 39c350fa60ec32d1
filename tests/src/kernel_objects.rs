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
            let Some(program) = unless_gone(program).context("cannot list BPF programs")? else { continue };
            objects.insert(format!("program {} {}", program.id(), program.name_as_str().unwrap_or_default()));
        }
        for map in loaded_maps() {
            let Some(map) = unless_gone(map).context("cannot list BPF maps")? else { continue };
            objects.insert(format!("map {} {}", map.id(), map.name_as_str().unwrap_or_default()));
        }
        for link in loaded_links() {
            let Some(link) = unless_gone(link).context("cannot list BPF links")? else { continue };
            objects.insert(format!("link {}", link.id()));
        }
        Ok(Self(objects))
    }

    /// What is here and was not in `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// `None` for an object that was freed between its being listed and its being looked at.
fn unless_gone<T, E: std::error::Error + Send + Sync + 'static>(listed: Result<T, E>) -> Result<Option<T>> {
    let error = match listed {
        Ok(object) => return Ok(Some(object)),
        Err(error) => anyhow::Error::new(error),
    };
    let is_gone = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::NotFound)
    };
    if error.chain().any(is_gone) { Ok(None) } else { Err(error) }
}
