//! What became known of a session after its end was recorded: the API's status, or its name. Pure.
//!
//! A record is never rewritten; what comes later is a `session_reconciled` of its own, one a session.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cause::{self, late_cause};
use super::naming::{Policy, kind_of};
use crate::ids::{BootNanos, ContainerId, PodRef};
use crate::pods::{ContainerStatus, PodFacts, PodIndex, Terminated, index::role_in};
use crate::record::{KindBy, NamedBy, SessionId, SessionKind, SessionRecord};

/// How long an end waits for the API's status. A kubelet that was away reports late, one that is gone never.
pub const WAITS: Duration = Duration::from_secs(3600);

/// How long a name or a cause that came late waits for the API's status of the end, so that both come in one
/// record.
pub const NAME_WAITS: Duration = Duration::from_secs(10);

/// How many ends wait at most; the oldest is given up for a newer one.
pub const KEPT: usize = 1024;

/// Bytes that they take at most: a record has the arguments of the main process, which may be a thousand empty ones.
pub const KEPT_BYTES: usize = 8 << 20;

/// What a record takes besides its arguments, roughly.
const RECORD: usize = 2048;

/// Ends that the API has yet to confirm.
#[derive(Debug, Default)]
pub struct Reconciler {
    pending: BTreeMap<SessionId, Pending>,
    /// Bytes of them.
    held: usize,
    given_up: u64,
}

#[derive(Debug)]
struct Pending {
    record: Box<SessionRecord>,
    container: ContainerId,
    since: BootNanos,
    /// When a name or a cause came that its record lacks.
    news: Option<BootNanos>,
    /// What it takes.
    bytes: usize,
}

impl Reconciler {
    /// Takes in a `session_ended`; one that lacks nothing is not kept.
    pub fn ended(&mut self, record: Box<SessionRecord>, now: BootNanos) {
        let session = record.head.session_id().cloned();
        let Some(session) = session.filter(|_| !is_known(&record)) else { return };
        // A session without a container has no status.
        let Some(container) = ContainerId::parse(session.as_str()) else { return };
        let bytes = held_bytes(&record);
        let pending = Pending { record, container, since: now, news: None, bytes };
        self.forget(&session);
        while self.pending.len() >= KEPT || self.held + bytes > KEPT_BYTES {
            if !self.give_up_oldest() {
                break;
            }
            self.given_up += 1;
        }
        self.held += bytes;
        self.pending.insert(session, pending);
    }

    /// The `session_ended` records to which something can be added now, with what can. Each is given once.
    pub fn reconcile(&mut self, index: &PodIndex, now: BootNanos) -> Vec<SessionRecord> {
        let mut done = Vec::new();
        self.pending.retain(|_, pending| {
            if pending.learn(index, now) {
                done.push((*pending.record).clone());
                return false;
            }
            now.since(pending.since) < WAITS
        });
        self.held = self.pending.values().map(|pending| pending.bytes).sum();
        done
    }

    /// How many ends wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// How many were given up for want of room: their `session_ended` stands, and no `session_reconciled` comes.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Bytes that they take.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    fn give_up_oldest(&mut self) -> bool {
        let oldest = self.pending.iter().min_by_key(|(_, pending)| pending.since);
        let Some(session) = oldest.map(|(session, _)| session.clone()) else { return false };
        self.forget(&session);
        true
    }

    fn forget(&mut self, session: &SessionId) {
        if let Some(pending) = self.pending.remove(session) {
            self.held -= pending.bytes;
        }
    }
}

impl Pending {
    /// Adds what the index knows; whether that is all that is waited for.
    fn learn(&mut self, index: &PodIndex, now: BootNanos) -> bool {
        if self.record.identity.session_kind.is_none() && self.name(index) {
            self.news = Some(now);
        }
        if self.cause(index) {
            self.news.get_or_insert(now);
        }
        let attempt = self.status(index).and_then(|status| status.attempt_of(&self.container));
        self.record.identity.attempt = self.record.identity.attempt.or(attempt);
        if self.record.evidence.api.is_none() {
            let derived = self.record.exit.container_exit_code;
            let end = self.status(index).and_then(|status| self.end_in(status));
            self.record.evidence.api = end.map(|end| end.evidence(derived));
        }
        let is_known = is_known(&self.record);
        let lacks_a_cause = cause::has_no_cause_but_the_runtime(&self.record);
        if is_known && lacks_a_cause {
            // The kubelet may write the container's status before the pod's reason.
            self.news.get_or_insert(now);
        }
        let known_long_ago = self.news.is_some_and(|news| now.since(news) >= NAME_WAITS);
        is_known && !lacks_a_cause || known_long_ago
    }

    /// Whether the API now gives a cause that the record lacks.
    fn cause(&mut self, index: &PodIndex) -> bool {
        let Some(pod) = self.record.identity.pod_uid.as_ref().map(PodRef::from) else { return false };
        let Some(ending) = index.ending(&pod) else { return false };
        let Some(cause) = late_cause(&self.record, &ending, index.gone_since(&pod)) else { return false };
        self.record.cause = Some(cause.to_owned());
        self.record.evidence.pod = Some(ending.evidence());
        true
    }

    fn end_in<'a>(&self, status: &'a ContainerStatus) -> Option<&'a Terminated> {
        let ran_once = self.record.identity.session_kind == Some(SessionKind::Ephemeral);
        status.end_of(&self.container).or_else(|| status.end_of_the_lost().filter(|_| ran_once))
    }

    /// Whether the API now names the container by its id.
    fn name(&mut self, index: &PodIndex) -> bool {
        let Some((pod, name)) = index.by_container_id(&self.container) else { return false };
        let Some((kind, kind_by, image, target)) = late_kind(pod, name) else { return false };
        let identity = &mut self.record.identity;
        identity.namespace = Some(pod.namespace.clone());
        identity.pod_name = Some(pod.name.clone());
        identity.pod_uid = Some(pod.uid.clone());
        identity.container_name = Some(name.to_owned());
        identity.image = image;
        identity.target_container = target;
        identity.session_kind = Some(kind);
        self.record.evidence.named_by.get_or_insert(NamedBy::Api);
        self.record.evidence.kind_by = Some(kind_by);
        true
    }

    fn status<'a>(&self, index: &'a PodIndex) -> Option<&'a ContainerStatus> {
        let identity = &self.record.identity;
        index.status(&PodRef::from(identity.pod_uid.as_ref()?), identity.container_name.as_deref()?)
    }
}

/// Whether the API has said who it is and how it ended.
fn is_known(record: &SessionRecord) -> bool {
    record.identity.session_kind.is_some() && record.evidence.api.is_some()
}

/// Roughly; the arguments are what may be large.
fn held_bytes(record: &SessionRecord) -> usize {
    let argv = record.main.as_ref().and_then(|main| main.argv.as_ref());
    RECORD + argv.map_or(0, |argv| argv.iter().map(|arg| size_of::<String>() + arg.capacity()).sum())
}

/// What an unresolved container turns out to be; also an ordinary one, since its end is recorded already.
fn late_kind(pod: &PodFacts, name: &str) -> Option<(SessionKind, KindBy, Option<String>, Option<String>)> {
    kind_of(role_in(pod, name), Policy { all_containers: true, ..Policy::default() })
}

#[cfg(test)]
mod tests;
