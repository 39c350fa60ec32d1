//! Counts for Prometheus: what was recorded, what was lost, how the agent is doing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info};
use prometheus_client::registry::Registry;

use crate::ledger::Health;
use crate::record::{Record, RecordType, SessionKind, SessionRecord};

/// The agent's metrics; all names begin with `debugtrail_`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    records: Family<OfType, Counter>,
    ended: Family<Ended, Counter>,
    lost: Family<Lost, Counter>,
    live: Gauge,
    undecided: Gauge,
    api_synced: Gauge,
    unread_pods: Gauge,
    ledger: Ledger,
    health: Arc<Health>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfType {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    kind: String,
    class: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lost {
    reason: String,
}

#[derive(Debug, Default)]
struct Ledger {
    records: Gauge,
    on_stdout: Gauge,
    failures: Gauge,
    failing: Gauge,
}

impl Metrics {
    /// Metrics of an agent with this ledger.
    #[must_use]
    pub fn new(health: Arc<Health>) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("debugtrail"),
            records: Family::default(),
            ended: Family::default(),
            lost: Family::default(),
            live: Gauge::default(),
            undecided: Gauge::default(),
            api_synced: Gauge::default(),
            unread_pods: Gauge::default(),
            ledger: Ledger::default(),
            health,
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "This debugtrail", version);
        registry.register("records", "Records by type", self.records.clone());
        registry.register(
            "sessions_ended",
            "Sessions that ended, by kind and exit class",
            self.ended.clone(),
        );
        registry.register("lost_events", "Kernel events and records counted as lost", self.lost.clone());
        registry.register("sessions_live", "Sessions that run now", self.live.clone());
        registry.register("undecided", "Containers not yet known to be sessions", self.undecided.clone());
        registry.register(
            "api_synced",
            "1 while the pods of this node are known from the API",
            self.api_synced.clone(),
        );
        registry.register(
            "unread_pods",
            "Pods of this node whose object in the API can't be read, or not all of it",
            self.unread_pods.clone(),
        );
        let ledger = &self.ledger;
        registry.register("ledger_records", "Records that are durable", ledger.records.clone());
        registry.register("ledger_stdout_records", "Records that stdout has got", ledger.on_stdout.clone());
        registry.register("ledger_write_failures", "Tries to write that failed", ledger.failures.clone());
        registry.register(
            "ledger_failing",
            "1 while the ledger can't be written, for instance because the disk is full",
            ledger.failing.clone(),
        );
    }

    /// Counts a record.
    pub fn recorded(&self, record: &Record) {
        let head = record.head();
        self.records.get_or_create(&OfType { r#type: head.record_type().name() }).inc();
        match record {
            // One that was declared once and is made anew is the same session.
            Record::Session(session)
                if head.record_type() == RecordType::SessionEnded && !is_another_attempt(session) =>
            {
                self.ended.get_or_create(&labels(session)).inc();
            }
            Record::Gap(gap) => {
                let reason = gap.reason.words().replace(' ', "_");
                self.lost.get_or_create(&Lost { reason }).inc_by(gap.lost.unwrap_or(0));
            }
            _ => {}
        }
    }

    /// Takes in how things stand.
    pub fn stand(&self, live: usize, undecided: usize, api_synced: bool) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.live.set(count(live));
        self.undecided.set(count(undecided));
        self.api_synced.set(api_synced.into());
    }

    /// So many pods could not be read as a whole.
    pub fn unread_pods(&self, count: usize) {
        self.unread_pods.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The text that Prometheus reads (OpenMetrics 1.0).
    ///
    /// # Errors
    ///
    /// Of the formatting alone.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let count =
            |n: &std::sync::atomic::AtomicU64| i64::try_from(n.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        self.ledger.records.set(count(&self.health.records));
        self.ledger.on_stdout.set(count(&self.health.on_stdout));
        self.ledger.failures.set(count(&self.health.failures));
        self.ledger.failing.set(self.health.failing.load(Ordering::Relaxed).into());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Whether it is an ephemeral container that the runtime could not start before: the kubelet runs one once.
fn is_another_attempt(session: &SessionRecord) -> bool {
    session.identity.session_kind == Some(SessionKind::Ephemeral)
        && session.identity.attempt.is_some_and(|attempt| attempt > 0)
}

/// As the record's JSON writes them.
fn labels(session: &SessionRecord) -> Ended {
    let word = |value: Result<serde_json::Value, _>| {
        value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_else(|| "unknown".into())
    };
    Ended {
        kind: word(serde_json::to_value(session.identity.session_kind)),
        class: word(serde_json::to_value(session.exit.exit_class)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockState;
    use crate::ids::BootId;
    use crate::record::{
        Evidence, Exit, GapReason, GapRecord, Identity, KernelEvidence, SessionId, WaitStatus,
    };

    fn clock() -> ClockState {
        ClockState { boot_id: BootId::new("b0"), synchronized: None, max_error_us: None }
    }

    #[test]
    fn what_is_recorded_is_counted_under_the_records_own_words() {
        let metrics = Metrics::new(Arc::default());
        let ended = SessionRecord {
            identity: Identity { session_kind: Some(SessionKind::NodeDebug), ..Identity::default() },
            ..SessionRecord::ended(
                SessionId::default(),
                Exit::witnessed(WaitStatus(9), false),
                Evidence::of_kernel(KernelEvidence::Full),
                clock(),
            )
        };
        metrics.recorded(&Record::Session(Box::new(ended)));
        let another = SessionRecord {
            identity: Identity {
                session_kind: Some(SessionKind::Ephemeral),
                attempt: Some(1),
                ..Identity::default()
            },
            ..SessionRecord::ended(
                SessionId::default(),
                Exit::start_error(),
                Evidence::of_kernel(KernelEvidence::None),
                clock(),
            )
        };
        metrics.recorded(&Record::Session(Box::new(another)));
        let gap = GapRecord { lost: Some(7), ..GapRecord::new(GapReason::RingFull, 1, clock()) };
        metrics.recorded(&Record::Gap(gap));
        metrics.stand(2, 1, true);
        let text = metrics.text().unwrap();
        for line in [
            "debugtrail_records_total{type=\"session_ended\"} 2",
            "debugtrail_sessions_ended_total{kind=\"node_debug\",class=\"SIGKILL\"} 1",
            "debugtrail_lost_events_total{reason=\"ring_full\"} 7",
            "debugtrail_sessions_live 2",
            "debugtrail_api_synced 1",
            "debugtrail_unread_pods 0",
            "debugtrail_ledger_failing 0",
        ] {
            assert!(text.lines().any(|given| given == line), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("START_ERROR"), "another attempt is no other session:\n{text}");
    }
}
