//! Why a pod is being ended, as the API tells it. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1 as api;
use serde::{Deserialize, Serialize};

use crate::clock::WallTime;
use crate::record::PodEvidence;

/// The condition by which whoever ends a pod says so: API server, scheduler, controllers, kubelet.
const DISRUPTION: &str = "DisruptionTarget";

/// `status.reason` of a pod that had `activeDeadlineSeconds` to run; it comes without any condition.
const DEADLINE: &str = "DeadlineExceeded";

/// `spec.terminationGracePeriodSeconds` where nobody wrote one (k8s.io/api/core/v1,
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
    pub fn of(pod: &api::Pod) -> Option<Self> {
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let disruption = conditions.iter().find(|found| found.type_ == DISRUPTION && found.status == "True");
        // A pod that has ended by itself (phase Failed) has no reason.
        let reason = status.and_then(|status| status.reason.clone());
        let deleted = deletion_requested(pod);
        if disruption.is_none() && reason.is_none() && deleted.is_none() {
            return None;
        }
        let condition = |of: fn(&api::PodCondition) -> Option<String>| disruption.and_then(of);
        let message = status.and_then(|status| status.message.clone()).filter(|_| reason.is_some());
        let told = disruption
            .and_then(|found| found.last_transition_time.as_ref())
            .map(|at| at.0)
            .or(deleted)
            .or_else(|| deadline(pod).filter(|_| reason.as_deref() == Some(DEADLINE)));
        let last_end = last_end(pod).filter(|_| told.is_none() && reason.is_some());
        Some(Self {
            since: told.or(last_end),
            not_before: last_end.and_then(|end| end.checked_sub(grace(pod)).ok()),
            reason: reason.or_else(|| condition(|found| found.reason.clone())),
            message: message.or_else(|| condition(|found| found.message.clone())),
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
fn last_end(pod: &api::Pod) -> Option<Timestamp> {
    let statuses = pod.status.as_ref()?.container_statuses.as_deref().unwrap_or_default();
    let ends =
        statuses.iter().filter_map(|status| status.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    ends.map(|at| at.0).max()
}

/// A container that does not heed the kubelet's SIGTERM ends this long after one that does, and no longer.
fn grace(pod: &api::Pod) -> SignedDuration {
    let told = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    SignedDuration::from_secs(told.unwrap_or(DEFAULT_GRACE))
}

/// When its time is over.
fn deadline(pod: &api::Pod) -> Option<Timestamp> {
    let seconds = pod.spec.as_ref()?.active_deadline_seconds?;
    pod.status.as_ref()?.start_time.as_ref()?.0.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// The API server writes when the grace period will be over, and how long that is.
fn deletion_requested(pod: &api::Pod) -> Option<Timestamp> {
    let until = pod.metadata.deletion_timestamp.as_ref()?.0;
    let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or_default());
    until.checked_sub(grace).ok()
}

#[cfg(test)]
mod tests;
