//! What the DaemonSet's container says.

use std::io::BufRead;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::PATIENCE;
use crate::scenario::feed::Feed;
use crate::scenario::record_source::RecordSource;

/// A running `kubectl logs --follow` and its records. Dropping it ends it.
#[derive(Debug)]
pub struct Logs(Feed<Value>);

impl Logs {
    /// Of a `kubectl logs --follow`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn follow(kubectl: Command) -> Result<Self> {
        let feed = Feed::start(kubectl, |stdout| {
            stdout.lines().map_while(Result::ok).filter_map(|line| record(&line))
        })?;
        Ok(Self(feed))
    }

    /// The records so far.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        self.0.look(<[Value]>::to_vec)
    }

    /// Waits until the container has ended; all its records.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn to_the_end(mut self) -> Result<Vec<Value>> {
        self.0.wait(PATIENCE)?;
        Ok(self.records())
    }
}

impl RecordSource for Logs {
    fn wait_until(
        &self,
        what: &str,
        timeout: Duration,
        found: &mut dyn FnMut(&[Value]) -> bool,
    ) -> Result<()> {
        self.0.wait_for(what, timeout, |records| found(records).then_some(()))
    }

    fn finish(self) -> Result<Vec<Value>> {
        Ok(self.records())
    }
}

/// A line of the container's log, which holds stdout and stderr alike: records are the lines of JSON.
pub(super) fn record(line: &str) -> Option<Value> {
    line.starts_with('{').then(|| serde_json::from_str(line).unwrap_or_else(|_| line.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::record;

    #[test]
    fn records_are_distinguished_from_log_lines() {
        assert_eq!(record("2026-11-24 INFO watching"), None);
        assert_eq!(record(r#"{"type":"gap"}"#), Some(json!({"type": "gap"})));
        assert_eq!(record(r#"{"type":"#), Some(json!(r#"{"type":"#)), "a broken record is not hidden");
    }
}
