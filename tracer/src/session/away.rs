//! What ended while no debugtrail ran: reported from the API, once, as the kernel has nothing on the end.
//! Pure.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::naming::{Policy, kind_of};
use crate::clock::WallTime;
use crate::ids::{BootNanos, ContainerId, PodRef};
use crate::pods::{ContainerState, ContainerStatus, PodFacts, PodIndex, Terminated, index::role_in};
use crate::record::{
    Evidence, Exit, Identity, KernelEvidence, KindBy, NamedBy, SessionId, SessionKind, SessionRecord,
};

/// How long a synced index may be silent on a session that is gone before its end is reported without the
/// API's status. The kubelet is about a second behind.
pub const SILENT: Duration = Duration::from_secs(30);

/// How long after the index is synced ends of that time are looked for. A kubelet that was away, too, reports
/// late.
pub const LOOKED_FOR: Duration = Duration::from_secs(3600);

/// Ends reported since the start that are remembered at most while ends of that time are looked for. Past it
/// they are looked for no more: one might be reported twice. The `gap` of reason `agent_away` has the
/// interval.
pub const KEPT_REPORTED: usize = 65_536;

/// The downtime, and what has to be reported of it.
#[derive(Debug, Default)]
pub struct Away {
    /// From the last sign of life to the attaching of the programs; `None` where there was none before.
    interval: Option<(WallTime, WallTime)>,
    policy: Policy,
    /// Sessions that were live then and are gone: their `session_started`.
    gone: BTreeMap<ContainerId, SessionRecord>,
    /// Ends that were reported, as long as others are looked for.
    reported: HashSet<SessionId>,
    /// How many of them since the start.
    reported_since: usize,
    /// Whether ends of an interval are looked for, or will be once it is known.
    looking: bool,
    synced: Option<BootNanos>,
}

/// An end that no program saw.
#[derive(Clone, Debug, PartialEq)]
pub struct UnseenEnd {
    /// The session.
    pub session: SessionId,
    /// Who it was.
    pub identity: Identity,
    /// Its `session_started`, where its start was seen.
    pub started: Option<Box<SessionRecord>>,
    /// The sources of its facts.
    pub evidence: Evidence,
}

impl UnseenEnd {
    /// Of a session that was live, and of whose end nothing is known.
    #[must_use]
    pub fn of(started: SessionRecord) -> Self {
        let session = started.head.session_id().cloned().unwrap_or_default();
        let kernel = match started.times.started_at {
            Some(_) => KernelEvidence::StartOnly,
            None => KernelEvidence::None,
        };
        let evidence = Evidence { kernel, ..started.evidence.clone() };
        Self { session, identity: started.identity.clone(), started: Some(Box::new(started)), evidence }
    }
}

impl Away {
    /// Of the time `interval`; `gone` was live at its beginning and is no more, `reported` has its end in the
    /// ledger.
    #[must_use]
    pub fn new(
        interval: Option<(WallTime, WallTime)>,
        gone: impl IntoIterator<Item = SessionRecord>,
        reported: HashSet<SessionId>,
        policy: Policy,
    ) -> Self {
        let mut away = Self::expecting(reported, policy);
        away.between(interval, gone);
        away
    }

    /// Of a time of which the end is still to come; `reported` has its end in the ledger.
    #[must_use]
    pub fn expecting(reported: HashSet<SessionId>, policy: Policy) -> Self {
        Self { reported, policy, looking: true, ..Self::default() }
    }

    /// It was the time `interval`; `gone` was live at its beginning and is no more.
    pub fn between(
        &mut self,
        interval: Option<(WallTime, WallTime)>,
        gone: impl IntoIterator<Item = SessionRecord>,
    ) {
        let by_container =
            |record: SessionRecord| Some((ContainerId::parse(record.head.session_id()?.as_str())?, record));
        self.gone = gone.into_iter().filter_map(by_container).collect();
        self.interval = interval;
    }

    /// Takes in that an end was reported.
    pub fn reported(&mut self, session: &SessionId) {
        if self.looking && self.reported.insert(session.clone()) {
            self.reported_since += 1;
            if self.reported_since > KEPT_REPORTED {
                self.look_no_more();
            }
        }
    }

    /// How many sessions are remembered.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.reported.len() + self.gone.len()
    }

    fn look_no_more(&mut self) {
        self.looking = false;
        self.reported = HashSet::new();
    }

    /// Sessions that were live and whose end is still to be reported.
    pub fn open(&self) -> impl Iterator<Item = &SessionRecord> {
        self.gone.values()
    }

    /// The ends that can be reported now, each once. `is_followed` says of a container whether the kernel has
    /// it.
    pub fn ends(
        &mut self,
        index: &PodIndex,
        is_followed: impl Fn(&ContainerId) -> bool,
        now: BootNanos,
    ) -> Vec<UnseenEnd> {
        let Some(interval) = self.interval else { return Vec::new() };
        if index.synced_since().is_none() {
            return Vec::new();
        }
        let synced = *self.synced.get_or_insert(now);
        let mut ends = self.gone_ends(index, now.since(synced) >= SILENT);
        if now.since(synced) >= LOOKED_FOR {
            self.look_no_more();
        }
        if self.looking {
            self.reported.extend(ends.iter().map(|end| end.session.clone()));
            let found = self.found_ends(interval, index, is_followed);
            self.reported.extend(found.iter().map(|end| end.session.clone()));
            ends.extend(found);
        }
        ends
    }

    /// Of sessions that were known: as the API says, or without it where it has been silent.
    fn gone_ends(&mut self, index: &PodIndex, api_is_silent: bool) -> Vec<UnseenEnd> {
        let mut ends = Vec::new();
        self.gone.retain(|id, started| {
            let ended = end_in_status(id, &started.identity, index);
            if ended.is_none() && !api_is_silent {
                return true;
            }
            let mut end = UnseenEnd::of(started.clone());
            end.evidence.api = ended.map(|end| end.evidence(None));
            ends.push(end);
            false
        });
        ends
    }

    /// Of sessions that were not known: they began and ended in that time.
    fn found_ends(
        &self,
        interval: (WallTime, WallTime),
        index: &PodIndex,
        is_followed: impl Fn(&ContainerId) -> bool,
    ) -> Vec<UnseenEnd> {
        let mut ends = Vec::new();
        for pod in index.pods() {
            for (status, terminated) in pod.statuses.iter().flat_map(ends_of) {
                let Some(id) = container_of(status, terminated) else { continue };
                let session = SessionId::of_container(&id);
                let new = !self.reported.contains(&session) && !is_followed(&id);
                if new && within(interval, terminated) {
                    ends.extend(found_end(session, pod, status, terminated, self.policy));
                }
            }
        }
        ends
    }
}

/// The kubelet's times are whole seconds, cut off.
fn within((from, to): (WallTime, WallTime), end: &Terminated) -> bool {
    let Some(finished) = end.finished_at.map(jiff::Timestamp::as_second) else { return false };
    finished >= from.0.as_second() && finished <= to.0.as_second()
}

fn ends_of(status: &ContainerStatus) -> impl Iterator<Item = (&ContainerStatus, &Terminated)> {
    [&status.state, &status.last_state].into_iter().filter_map(move |state| match state {
        Some(ContainerState::Terminated(end)) => Some((status, end)),
        _ => None,
    })
}

fn container_of(status: &ContainerStatus, end: &Terminated) -> Option<ContainerId> {
    let url = end.container_id.as_deref().or(status.container_id.as_deref())?;
    ContainerId::parse_url(url).map(|(_, id)| id)
}

fn end_in_status<'a>(id: &ContainerId, who: &Identity, index: &'a PodIndex) -> Option<&'a Terminated> {
    let pod = PodRef::from(who.pod_uid.as_ref()?);
    index.status(&pod, who.container_name.as_deref()?)?.end_of(id)
}

fn found_end(
    session: SessionId,
    pod: &PodFacts,
    status: &ContainerStatus,
    end: &Terminated,
    policy: Policy,
) -> Option<UnseenEnd> {
    let (kind, kind_by, image, target): (SessionKind, KindBy, _, _) =
        kind_of(role_in(pod, &status.name), policy)?;
    let attempt = container_of(status, end).and_then(|id| status.attempt_of(&id));
    let identity = Identity {
        attempt: attempt.or((kind == SessionKind::Ephemeral).then_some(0)),
        namespace: Some(pod.namespace.clone()),
        pod_name: Some(pod.name.clone()),
        pod_uid: Some(pod.uid.clone()),
        container_name: Some(status.name.clone()),
        container_id: end.container_id.clone().or_else(|| status.container_id.clone()),
        image,
        image_id: status.image_id.clone(),
        target_container: target,
        session_kind: Some(kind),
        ..Identity::default()
    };
    let evidence = Evidence {
        named_by: Some(NamedBy::Api),
        kind_by: Some(kind_by),
        api: Some(end.evidence(None)),
        ..Evidence::of_kernel(KernelEvidence::None)
    };
    Some(UnseenEnd { session, identity, started: None, evidence })
}

impl UnseenEnd {
    /// Its `session_ended`. `same_boot`: whether the boot clock of its start is today's.
    #[must_use]
    pub fn record(self, clock: crate::clock::ClockState, node_name: Option<&str>) -> SessionRecord {
        let same_boot = self.started.as_ref().is_some_and(|started| started.clock.boot_id == clock.boot_id);
        let identity = Identity { node_name: node_name.map(str::to_owned), ..self.identity };
        let mut record = SessionRecord {
            identity,
            ..SessionRecord::ended(self.session, Exit::unknown(), self.evidence, clock)
        };
        if let Some(started) = self.started {
            record.times.started_at = started.times.started_at;
            record.times.started_boot_ns = started.times.started_boot_ns.filter(|_| same_boot);
            record.main = started.main;
            record.requested_by = started.requested_by;
        }
        record
    }
}

#[cfg(test)]
mod tests;
