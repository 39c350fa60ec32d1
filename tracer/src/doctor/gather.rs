//! Looks at everything, changes nothing. Each look stands alone: what fails is a fact like any other.

mod cluster;
mod ledger;
mod machine;
mod others;

use std::path::PathBuf;

use super::facts::{Facts, Problem};
use crate::clock;
use crate::ids::BootId;
use crate::kernel::{self, Privileges};
use crate::runtime::Bundles;

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `--kubeconfig`
    pub kubeconfig: Option<PathBuf>,
    /// `--node`
    pub node: Option<String>,
    /// `--ledger`
    pub ledger: Option<PathBuf>,
}

/// Looks at everything. Takes some seconds at most, also where nothing answers.
#[must_use]
pub fn facts(asked: &Asked) -> Facts {
    let boot_id = clock::boot_id().unwrap_or_else(|_| BootId::new("unknown"));
    // The API is asked meanwhile.
    let cluster = cluster::begin(asked, &boot_id);
    // Before our own programs are there.
    let others = others::look();
    Facts {
        privileges: Privileges::now().map_err(|error| error.to_string()),
        initial_pid_namespace: machine::initial_pid_namespace(),
        init_root: machine::init_root(),
        release: machine::release(),
        lacks: kernel::lacks().map_err(|error| machine::problem(&error)),
        programs: machine::try_programs(),
        cgroups: machine::cgroups(),
        bpffs: machine::has_bpffs(),
        bundles: Bundles::new().folders(),
        others,
        clock: clock::state(boot_id),
        ledger: asked.ledger.as_deref().map(ledger::look),
        cluster: cluster.end(),
    }
}

impl Problem {
    fn of<E: std::fmt::Display>(failure: crate::cli::exit_code::Failure, error: &E) -> Self {
        Self { failure, text: error.to_string() }
    }
}
