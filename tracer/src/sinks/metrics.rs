//! Counts for Prometheus: what was recorded, what was lost, how the agent is doing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info};
use prometheus_client::registry::Registry;
use serde::Serialize;

use crate::ledger::Health;
use crate::record::{ExitClass, GapReason, Record, RecordType, SessionKind, SessionRecord};

/// Every kind of session; none is one that has no name.
const KINDS: [Option<SessionKind>; 5] = [
    Some(SessionKind::Ephemeral),
    Some(SessionKind::NodeDebug),
    Some(SessionKind::Copy),
    Some(SessionKind::Container),
    None,
];
/// Every way to end.
const CLASSES: [ExitClass; 8] = [
    ExitClass::Clean,
    ExitClass::Error,
    ExitClass::Sigterm,
    ExitClass::Sigkill,
    ExitClass::Signal,
    ExitClass::Oom,
    ExitClass::StartError,
    ExitClass::Unknown,
];
/// Every reason of a gap.
const REASONS: [GapReason; 11] = [
    GapReason::RingFull,
    GapReason::MapFull,
    GapReason::TornRead,
    GapReason::ProgramSkipped,
    GapReason::OutputFull,
    GapReason::Undecided,
    GapReason::AgentAway,
    GapReason::WitnessUnreadable,
    GapReason::Foreign,
    GapReason::LedgerFull,
    GapReason::LedgerDamaged,
];

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
    unreconciled: Gauge,
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
            unreconciled: Gauge::default(),
            ledger: Ledger::default(),
            health,
        };
        metrics.register();
        metrics.begin_at_zero();
        metrics
    }

    /// A counter that comes with its first count hides that count from `rate` and `increase`, so each that can come is
    /// there from the start.
    fn begin_at_zero(&self) {
        for r#type in RecordType::ALL {
            drop(self.records.get_or_create(&OfType { r#type: r#type.name() }));
        }
        for (kind, class) in KINDS.into_iter().flat_map(|kind| CLASSES.map(|class| (kind, class))) {
            drop(self.ended.get_or_create(&labels(kind, Some(class))));
        }
        for reason in REASONS {
            drop(self.lost.get_or_create(&Lost::of(reason)));
        }
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
        registry.register(
            "unreconciled_ends",
            "Ends of which no session_reconciled comes: too many waited for the API's status",
            self.unreconciled.clone(),
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
                self.ended.get_or_create(&labels_of(session)).inc();
            }
            Record::Gap(gap) => {
                self.lost.get_or_create(&Lost::of(gap.reason)).inc_by(gap.lost.unwrap_or(0));
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

    /// So many ends were given up before the API's status came.
    pub fn unreconciled(&self, count: u64) {
        self.unreconciled.set(i64::try_from(count).unwrap_or(i64::MAX));
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

impl Lost {
    fn of(reason: GapReason) -> Self {
        Self { reason: reason.words().replace(' ', "_") }
    }
}

fn labels_of(session: &SessionRecord) -> Ended {
    labels(session.identity.session_kind, session.exit.exit_class)
}

/// As the record's JSON writes them.
fn labels(kind: Option<SessionKind>, class: Option<ExitClass>) -> Ended {
    Ended { kind: word(kind), class: word(class) }
}

fn word(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_else(|| "unknown".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockState;
    use crate::ids::BootId;
    use crate::record::{
        Evidence, Exit, GapRecord, Identity, KernelEvidence, RecordNumber, SessionId, WaitStatus,
    };

    fn clock() -> ClockState {
        ClockState { boot_id: BootId::new("b0"), synchronized: None, max_error_us: None }
    }

    #[test]
    fn records_are_counted_under_their_own_labels() {
        let metrics = Metrics::new(Arc::default());
        let ended = SessionRecord {
            identity: Identity { session_kind: Some(SessionKind::NodeDebug), ..Identity::default() },
            ..SessionRecord::ended(
                SessionId::default(),
                Exit::observed(WaitStatus(9), false),
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
        let gap = GapRecord {
            lost: Some(7),
            ..GapRecord::new(GapReason::RingFull, &RecordNumber::test(1), clock())
        };
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
            "debugtrail_unreconciled_ends 0",
            "debugtrail_ledger_failing 0",
        ] {
            assert!(text.lines().any(|given| given == line), "{line} is not in:\n{text}");
        }
        let none = "debugtrail_sessions_ended_total{kind=\"ephemeral\",class=\"START_ERROR\"} 0";
        assert!(text.lines().any(|given| given == none), "another attempt is no other session:\n{text}");
    }

    #[test]
    fn every_counter_is_zero_from_the_start() {
        let text = Metrics::new(Arc::default()).text().unwrap();
        for line in [
            "debugtrail_records_total{type=\"gap\"} 0",
            "debugtrail_sessions_ended_total{kind=\"ephemeral\",class=\"OOM\"} 0",
            "debugtrail_sessions_ended_total{kind=\"unknown\",class=\"UNKNOWN\"} 0",
            "debugtrail_lost_events_total{reason=\"ledger_full\"} 0",
        ] {
            assert!(text.lines().any(|given| given == line), "{line} is not in:\n{text}");
        }
    }

    /// Of the enum's own schema.
    fn variants<T: schemars::JsonSchema>() -> Vec<String> {
        let schema = serde_json::Value::from(schemars::schema_for!(T));
        let words = |list: &serde_json::Value| -> Vec<String> {
            list.as_array()
                .into_iter()
                .flatten()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect()
        };
        let mut all = words(&schema["enum"]);
        for one in schema["oneOf"].as_array().into_iter().flatten() {
            all.extend(words(&one["enum"]));
            all.extend(one["const"].as_str().map(str::to_owned));
        }
        all.sort();
        all
    }

    fn words<T: Serialize>(values: impl IntoIterator<Item = T>) -> Vec<String> {
        let mut words: Vec<String> = values.into_iter().map(word).collect();
        words.sort();
        words
    }

    #[test]
    fn every_label_that_the_records_know_is_one_here() {
        assert_eq!(words(RecordType::ALL), variants::<RecordType>());
        assert_eq!(words(KINDS.into_iter().flatten()), variants::<SessionKind>());
        assert_eq!(words(CLASSES), variants::<ExitClass>());
        assert_eq!(words(REASONS), variants::<GapReason>());
    }
}
