//! Why a pod is being ended, as the API says. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::object::Fields;
use crate::clock::WallTime;
use crate::record::PodEvidence;

/// The condition by which whoever ends a pod says so: API server, scheduler, controllers, kubelet.
const DISRUPTION: &str = "DisruptionTarget";

/// `status.reason` of a pod that had `activeDeadlineSeconds` to run; it comes without any condition.
const DEADLINE: &str = "DeadlineExceeded";

/// `spec.terminationGracePeriodSeconds` where none is written (k8s.io/api/core/v1,
/// `DefaultTerminationGracePeriodSeconds`).
const DEFAULT_GRACE: i64 = 30;

/// What the API says of a pod that is being ended or is gone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PodEnding {
    /// When it was asked for, or at the latest; whole seconds by the clock of whoever wrote it.
    pub since: Option<Timestamp>,
    /// Where `since` is only the latest that it can have been: the earliest.
    pub not_before: Option<Timestamp>,
    /// `status.reason` (the kubelet's), else that of the condition `DisruptionTarget`.
    pub reason: Option<String>,
    /// In words.
    pub message: Option<String>,
}

impl PodEnding {
    /// Of a pod; `None` for one that goes on.
    #[must_use]
    pub(super) fn of(pod: &Fields<'_>) -> Option<Self> {
        let status = pod.object("status");
        let disrupts = |found: &Fields<'_>| {
            found.text("type") == Some(DISRUPTION) && found.text("status") == Some("True")
        };
        let disruption = status.each("conditions").find(disrupts);
        // A pod that has ended by itself (phase Failed) has no reason.
        let reason = status.text("reason");
        let deleted = deletion_requested(&pod.object("metadata"));
        if disruption.is_none() && reason.is_none() && deleted.is_none() {
            return None;
        }
        let message = status.words("message").filter(|_| reason.is_some());
        let stated = disruption
            .as_ref()
            .and_then(|found| found.time("lastTransitionTime"))
            .or(deleted)
            .or_else(|| deadline(pod).filter(|_| reason == Some(DEADLINE)));
        let last_end = last_end(&status).filter(|_| stated.is_none() && reason.is_some());
        Some(Self {
            since: stated.or(last_end),
            not_before: last_end.and_then(|end| end.checked_sub(grace(&pod.object("spec"))).ok()),
            reason: reason.or_else(|| disruption.as_ref()?.text("reason")).map(str::to_owned),
            message: message.or_else(|| disruption.as_ref()?.words("message")),
        })
    }

    /// What a record calls it.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self.reason.as_deref() {
            // The Eviction API; a kubelet short of something, or of a pod above its limits; a taint.
            Some("EvictionByEvictionAPI" | "Evicted" | "DeletionByTaintManager" | "TerminationByKubelet") => {
                "evicted"
            }
            Some("PreemptionByScheduler" | "Preempting") => "preempted",
            Some(DEADLINE) => "deadline_exceeded",
            Some("Terminated" | "NodeShutdown" | "Shutdown") => "node_shutdown",
            _ => "deleted",
        }
    }

    /// The same as a record's evidence.
    #[must_use]
    pub fn evidence(&self) -> PodEvidence {
        PodEvidence {
            ending_since: self.since.map(WallTime),
            reason: self.reason.clone(),
            message: self.message.clone(),
        }
    }
}

/// The kubelet gives its reason once all has ended, and not always a time: it was before the last of them.
fn last_end(status: &Fields<'_>) -> Option<Timestamp> {
    let end = |status: Fields<'_>| status.object("state").object("terminated").time("finishedAt");
    status.each("containerStatuses").filter_map(end).max()
}

/// A container that does not heed the kubelet's SIGTERM ends this long after one that does, and no longer.
fn grace(spec: &Fields<'_>) -> SignedDuration {
    SignedDuration::from_secs(spec.integer("terminationGracePeriodSeconds").unwrap_or(DEFAULT_GRACE))
}

/// When its time is over.
fn deadline(pod: &Fields<'_>) -> Option<Timestamp> {
    let seconds = pod.object("spec").integer("activeDeadlineSeconds")?;
    pod.object("status").time("startTime")?.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// The API server writes when the grace period will be over, and how long that is.
fn deletion_requested(meta: &Fields<'_>) -> Option<Timestamp> {
    let until = meta.time("deletionTimestamp")?;
    let grace = SignedDuration::from_secs(meta.integer("deletionGracePeriodSeconds").unwrap_or_default());
    until.checked_sub(grace).ok()
}

#[cfg(test)]
mod tests;
