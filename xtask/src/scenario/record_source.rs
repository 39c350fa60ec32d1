//! Where the records of a scenario's sessions come from: a `debugtrail trace`, the DaemonSet's log, its
//! ledger on the node.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::trace::Trace;

/// Records as they come.
pub trait RecordSource {
    /// Waits until `found` finds all that it looks for among the records so far.
    ///
    /// # Errors
    /// When `timeout` passes before; the error names `what` was awaited.
    fn wait_until(
        &self,
        what: &str,
        timeout: Duration,
        found: &mut dyn FnMut(&[Value]) -> bool,
    ) -> Result<()>;

    /// All its records, once nothing more is to come.
    ///
    /// # Errors
    /// When it does not end as it should.
    fn finish(self) -> Result<Vec<Value>>;
}

impl RecordSource for Trace {
    fn wait_until(
        &self,
        what: &str,
        timeout: Duration,
        found: &mut dyn FnMut(&[Value]) -> bool,
    ) -> Result<()> {
        self.wait_for(what, timeout, |records| found(records).then_some(()))
    }

    fn finish(self) -> Result<Vec<Value>> {
        self.stop()
    }
}
