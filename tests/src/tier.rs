//! One embedded cluster for a whole tier: started by the first test that needs it, taken down after the last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use xtask::cluster::{Cluster, Options};
use xtask::deploy::DaemonSet;
use xtask::scenario::access::Access;

/// A handle on the tier's cluster.
#[derive(Debug, Clone, Default)]
pub struct Tier(Arc<Mutex<Held>>);

impl From<Options> for Tier {
    /// Of a cluster that is started so.
    fn from(options: Options) -> Self {
        Self(Arc::new(Mutex::new(Held { options, ..Held::default() })))
    }
}

#[derive(Debug, Default)]
struct Held {
    options: Options,
    cluster: Option<Arc<Cluster>>,
    daemon_set: Option<DaemonSet>,
}

impl Tier {
    /// The cluster; the first call starts it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn cluster(&self) -> Result<Arc<Cluster>> {
        let mut held = self.held();
        if let Some(cluster) = &held.cluster {
            return Ok(Arc::clone(cluster));
        }
        let cluster = Arc::new(Cluster::up(&held.options)?);
        held.cluster = Some(Arc::clone(&cluster));
        Ok(cluster)
    }

    /// The DaemonSet; the first call deploys it, and it goes with the cluster, unless a test deletes it
    /// before.
    ///
    /// # Errors
    /// When it does not get Ready.
    pub fn daemon_set(&self) -> Result<DaemonSet> {
        let cluster = self.cluster()?;
        let mut held = self.held();
        if held.daemon_set.is_none() {
            held.daemon_set = Some(DaemonSet::deploy(&cluster)?);
        }
        held.daemon_set.clone().context("it was deployed")
    }

    /// How tests reach it.
    ///
    /// # Errors
    /// As [`Tier::cluster`].
    pub fn access(&self) -> Result<Access> {
        Ok(Access::embedded(&*self.cluster()?))
    }

    /// The DaemonSet has been deleted: the next one to ask for it gets a new one.
    pub fn forget_daemon_set(&self) {
        self.held().daemon_set = None;
    }

    /// Takes the cluster down, if any test needed it.
    ///
    /// # Errors
    /// When something of it is left; the error lists it.
    pub fn down(&self) -> Result<()> {
        let cluster = self.held().cluster.take();
        cluster.and_then(Arc::into_inner).map_or(Ok(()), Cluster::down)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
