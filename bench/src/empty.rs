//! The empty programs, loaded and attached beside debugtrail's.

use anyhow::{Context, Result};
use aya::programs::BtfTracePoint;
use aya::{Btf, Ebpf};
use xtask::repo;

use crate::programs::{self, Held};

/// Attached until dropped.
pub struct Empty {
    _ebpf: Ebpf,
}

impl Empty {
    /// Loads and attaches an empty program to each tracepoint that debugtrail has a hook on.
    ///
    /// # Errors
    /// When the object is not built, or the kernel refuses it.
    pub fn attach() -> Result<Self> {
        let object = repo::empty_bpf_object();
        let mut ebpf =
            Ebpf::load_file(&object).with_context(|| format!("cannot load {}", object.display()))?;
        let btf = Btf::from_sys_fs()?;
        for (name, program) in ebpf.programs_mut() {
            let name = name.to_owned();
            let program: &mut BtfTracePoint = program.try_into()?;
            program.load(&name, &btf).with_context(|| format!("cannot load the empty {name}"))?;
            program.attach().with_context(|| format!("cannot attach the empty {name}"))?;
        }
        Ok(Self { _ebpf: ebpf })
    }

    /// What the kernel counted of all of this process's so far.
    ///
    /// # Errors
    /// When /proc cannot be read.
    #[expect(clippy::unused_self, reason = "this process holds them only while it has some")]
    pub fn counts(&self) -> Result<Held> {
        programs::held_by(std::process::id())
    }
}
