//! `gap`: where evidence is missing.

use serde::{Deserialize, Serialize};

use super::{Head, RecordNumber, RecordType, SessionId};
use crate::clock::{ClockState, WallTime};
use crate::ids::{BootId, BootNanos, PodUid};

/// A stretch of time with missing evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GapRecord {
    /// Schema, type and ids.
    #[serde(flatten)]
    pub head: Head,
    /// The node.
    pub node_name: Option<String>,
    /// What happened.
    pub reason: GapReason,
    /// The last moment at which nothing was missing yet.
    pub from_at: Option<WallTime>,
    /// The moment at which the loss was counted.
    pub to_at: Option<WallTime>,
    /// `from_at` by the boot clock.
    pub from_boot_ns: Option<BootNanos>,
    /// `to_at` by the boot clock.
    pub to_boot_ns: Option<BootNanos>,
    /// How many events or records are missing; null where they can't be counted.
    pub lost: Option<u64>,
    /// The same by kind and CPU, where the kernel or its reader counted; adds up to `lost`.
    pub counts: Vec<LossCount>,
    /// Sessions that were alive then, and so may lack evidence; of records that had no room, the sessions they were about.
    pub sessions: Vec<SessionId>,
    /// Whether there are more than `sessions` names.
    #[serde(default)]
    pub sessions_truncated: bool,
    /// Which records of this node's ledger are missing, in it or on stdout: numbers counted from the ledger's first record.
    #[serde(default)]
    pub records: Vec<RecordRange>,
    /// Pods that it is about, with reason `foreign`: by namespace, name and UID as the runtime calls them.
    #[serde(default)]
    pub pods: Vec<PodNamed>,
    /// The node's clock when the record was made.
    pub clock: ClockState,
}

impl GapRecord {
    /// A gap of which only the reason is known; fill in what is.
    #[must_use]
    pub fn new(reason: GapReason, number: &RecordNumber, clock: ClockState) -> Self {
        Self {
            head: Head::of_node(RecordType::Gap, number),
            node_name: None,
            reason,
            from_at: None,
            to_at: None,
            from_boot_ns: None,
            to_boot_ns: None,
            lost: None,
            counts: Vec::new(),
            sessions: Vec::new(),
            sessions_truncated: false,
            records: Vec::new(),
            pods: Vec::new(),
            clock,
        }
    }

    /// The boot that the gap belongs to.
    #[must_use]
    pub fn boot_id(&self) -> &BootId {
        &self.clock.boot_id
    }
}

/// Some of a ledger's records, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecordRange {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
}

impl RecordRange {
    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// A pod in the runtime's words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PodNamed {
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its UID; of a static pod its config hash.
    pub uid: PodUid,
}

/// One count of loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LossCount {
    /// What was lost.
    pub kind: LossKind,
    /// The CPU on which it was; null where it is not counted by CPU.
    pub cpu: Option<u32>,
    /// How much of it.
    pub lost: u64,
}

/// What was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// The end of a session's process other than the main one: no room in the ring.
    MemberEnd,
    /// Which program a session's process executed: no room in the ring.
    Exec,
    /// A new cgroup: no room in the map. A session in it is not seen.
    Cgroup,
    /// A main process: no room in the map. Its end is not seen.
    Main,
    /// That a process belongs to a session: no room in the map.
    Membership,
    /// A run of a BPF program (`recursion_misses`).
    ProgramRun,
    /// A look at a cgroup's entry that was written at the same time; the next look sees it.
    TornRead,
}

/// What made evidence go missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The ring buffer was full: members are missing, never an end.
    RingFull,
    /// The kernel's map of cgroups was full: whole sessions may be missing.
    MapFull,
    /// An entry of the kernel's map could not be read as it was written at the same time: an end may be told late.
    TornRead,
    /// The kernel skipped a BPF program (`recursion_misses`).
    ProgramSkipped,
    /// The reader of the output was too slow: records are missing in it. With `records`, the ledger had to remove them for
    /// newer ones before the reader got them.
    OutputFull,
    /// Containers ended of which neither runtime nor API said what they were: sessions may be among them.
    Undecided,
    /// No debugtrail ran: sessions that began and ended meanwhile may be missing.
    AgentAway,
    /// Programs of another version witnessed while no debugtrail ran, and what they kept can't be read: sessions that
    /// began and ended meanwhile may be missing.
    WitnessUnreadable,
    /// Containers ran of pods that the runtime names and the API server does not list for this node, for 90 s of an unbroken
    /// watch: they are another kubelet's (the nodes of a kind cluster share a kernel), or this agent asks for the pods of
    /// another node (`--node`). Sessions may be among them.
    Foreign,
    /// The ledger could not be written, for instance because the disk was full: records are missing.
    LedgerFull,
    /// Records that were in the ledger are not there any more, or can't be read: its files were removed, truncated or changed.
    LedgerDamaged,
}

impl GapReason {
    /// The reason in words for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::RingFull => "ring full",
            Self::MapFull => "map full",
            Self::TornRead => "torn read",
            Self::ProgramSkipped => "program skipped",
            Self::OutputFull => "output full",
            Self::Undecided => "undecided",
            Self::AgentAway => "agent away",
            Self::WitnessUnreadable => "witness unreadable",
            Self::Foreign => "foreign",
            Self::LedgerFull => "ledger full",
            Self::LedgerDamaged => "ledger damaged",
        }
    }
}
