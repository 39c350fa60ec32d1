//! Maps and programs by their names: out of a loaded object, or out of a folder of pins.

use std::os::fd::{AsFd, OwnedFd};

use aya::Ebpf;
use aya::maps::{Array, Map, MapData};
use debugtrail_common::layout;

use super::layout::Layout;
use super::load::{self, KernelError};

/// The text of a description.
type Text = [u8; layout::LEN];

/// Where maps are taken from, each once.
pub(super) trait Parts {
    /// The map of this name.
    fn map(&mut self, name: &str) -> Result<Map, KernelError>;

    /// The program of this name, which was loaded.
    fn program(&mut self, name: &str) -> Result<OwnedFd, KernelError>;
}

impl Parts for Ebpf {
    fn map(&mut self, name: &str) -> Result<Map, KernelError> {
        self.take_map(name)
            .ok_or_else(|| KernelError::Refused(anyhow::anyhow!("the object has no map {name}")))
    }

    fn program(&mut self, name: &str) -> Result<OwnedFd, KernelError> {
        let program = Ebpf::program(self, name);
        let program = program
            .ok_or_else(|| KernelError::Refused(anyhow::anyhow!("the object has no program {name}")))?;
        program.fd().map_err(load::refused)?.as_fd().try_clone_to_owned().map_err(load::refused)
    }
}

/// What the description among these maps says.
pub(super) fn layout_in(parts: &mut impl Parts) -> Result<Layout, KernelError> {
    let map: Array<MapData, Text> = Array::try_from(parts.map(layout::MAP)?)?;
    Layout::parse(&map.get(&0, 0)?).map_err(KernelError::Foreign)
}
