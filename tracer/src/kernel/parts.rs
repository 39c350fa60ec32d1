//! Maps by their names: out of a loaded object, or out of a folder of pins.

use aya::Ebpf;
use aya::maps::Map;

use super::load::KernelError;

/// Where maps are taken from, each once.
pub(super) trait Parts {
    /// The map of this name.
    fn map(&mut self, name: &str) -> Result<Map, KernelError>;
}

impl Parts for Ebpf {
    fn map(&mut self, name: &str) -> Result<Map, KernelError> {
        self.take_map(name)
            .ok_or_else(|| KernelError::Refused(anyhow::anyhow!("the object has no map {name}")))
    }
}
