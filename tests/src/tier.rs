//! One embedded cluster for a whole tier: started by the first test that needs it, taken down after the last.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use xtask::cluster::{Cluster, Options};
use xtask::scenario::access::Access;

/// A handle on the tier's cluster.
#[derive(Debug, Clone, Default)]
pub struct Tier(Arc<Mutex<Option<Arc<Cluster>>>>);

impl Tier {
    /// The cluster; the first call starts it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn cluster(&self) -> Result<Arc<Cluster>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = &*held {
            return Ok(Arc::clone(cluster));
        }
        let cluster = Arc::new(Cluster::up(&Options::default())?);
        *held = Some(Arc::clone(&cluster));
        Ok(cluster)
    }

    /// How tests reach it.
    ///
    /// # Errors
    /// As [`Tier::cluster`].
    pub fn access(&self) -> Result<Access> {
        Ok(Access::embedded(&*self.cluster()?))
    }

    /// Takes the cluster down, if any test needed it.
    ///
    /// # Errors
    /// When something of it is left; the error lists it.
    pub fn down(&self) -> Result<()> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        held.and_then(Arc::into_inner).map_or(Ok(()), Cluster::down)
    }
}
