//! What of the cluster runs, on disk: so that a later command, or the guard after a SIGKILL, finds
//! exactly these processes again.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::paths::Paths;
use super::process::ProcessId;
use super::runtime::Runtime;

/// The content of `processes.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Distinguishes one `up` from the next.
    pub(super) generation: String,
    /// The cluster outlives the process that started it.
    pub(super) kept: bool,
    /// What its kubelet runs containers with.
    #[serde(default)]
    pub(super) runtime: Runtime,
    /// The cluster came up; an `attach` makes sense.
    pub(super) ready: bool,
    /// Parent of all components, and holder of the mount namespace.
    pub(super) init: Option<ProcessId>,
    /// Takes the cluster down when its owner dies.
    pub(super) guard: Option<ProcessId>,
    /// The components by name.
    pub(super) components: BTreeMap<String, Component>,
    /// Mount points that the machine did not have, outermost first.
    pub(super) made_folders: Vec<PathBuf>,
    /// Its network, once it is made.
    pub(super) network: Option<Network>,
}

/// One component: how it is started, and the process it is now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Component {
    pub(super) command: Vec<String>,
    pub(super) process: Option<ProcessId>,
}

impl State {
    /// Reads the state; `None` where no cluster was left.
    pub(super) fn load(paths: &Paths) -> Result<Option<Self>> {
        let path = paths.state();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let state = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged: delete it", path.display()))?;
        Ok(Some(state))
    }

    /// Writes the state; a reader sees the old or the new one, never half.
    pub(super) fn save(&self, paths: &Paths) -> Result<()> {
        let (path, fresh) = (paths.state(), paths.state().with_extension("new"));
        fs::write(&fresh, serde_json::to_vec_pretty(self)?)
            .and_then(|()| fs::rename(&fresh, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}
