//! A pod out of the JSON of a list or of a watch: whole, in part, or only that it could not be read. Pure.

use serde_json::Value;

use super::PodFacts;
use super::debug::{DECLARED, MANAGED_BY, OC_SOURCE};
use super::facts::CONFIG_HASH;
use super::object::{Faults, Fields, Keep};
use crate::ids::PodUid;

const ALL: Keep = Keep::All;
const NAMED: Keep = Keep::Each(&Keep::Fields(&[("name", ALL), ("image", ALL), ("targetContainerName", ALL)]));
const STATE: Keep = Keep::Fields(&[
    ("waiting", Keep::Fields(&[("reason", ALL), ("message", ALL)])),
    ("running", Keep::Fields(&[("startedAt", ALL)])),
    (
        "terminated",
        Keep::Fields(&[
            ("exitCode", ALL),
            ("signal", ALL),
            ("reason", ALL),
            ("message", ALL),
            ("startedAt", ALL),
            ("finishedAt", ALL),
            ("containerID", ALL),
        ]),
    ),
]);
const STATUSES: Keep = Keep::Each(&Keep::Fields(&[
    ("name", ALL),
    ("containerID", ALL),
    ("imageID", ALL),
    ("restartCount", ALL),
    ("state", STATE),
    ("lastState", STATE),
]));

const METADATA: Keep = Keep::Fields(&[
    ("uid", ALL),
    ("namespace", ALL),
    ("name", ALL),
    ("resourceVersion", ALL),
    ("deletionTimestamp", ALL),
    ("deletionGracePeriodSeconds", ALL),
    ("labels", Keep::Fields(&[(MANAGED_BY, ALL), (DECLARED, ALL)])),
    ("annotations", Keep::Fields(&[(CONFIG_HASH, ALL), (OC_SOURCE, ALL)])),
    ("ownerReferences", Keep::Each(&Keep::Fields(&[]))),
    // Their times may be of the year 9999, and nothing needs them.
    ("managedFields", Keep::Each(&Keep::Fields(&[("manager", ALL)]))),
]);

const SPEC: Keep = Keep::Fields(&[
    ("nodeName", ALL),
    ("restartPolicy", ALL),
    ("terminationGracePeriodSeconds", ALL),
    ("activeDeadlineSeconds", ALL),
    ("tolerations", Keep::Each(&Keep::Fields(&[("key", ALL), ("operator", ALL), ("effect", ALL)]))),
    ("containers", NAMED),
    ("initContainers", NAMED),
    ("ephemeralContainers", NAMED),
]);

const STATUS: Keep = Keep::Fields(&[
    ("reason", ALL),
    ("message", ALL),
    ("startTime", ALL),
    (
        "conditions",
        Keep::Each(&Keep::Fields(&[
            ("type", ALL),
            ("status", ALL),
            ("reason", ALL),
            ("message", ALL),
            ("lastTransitionTime", ALL),
        ])),
    ),
    ("containerStatuses", STATUSES),
    ("initContainerStatuses", STATUSES),
    ("ephemeralContainerStatuses", STATUSES),
]);

/// What is kept of a pod.
const POD: Keep = Keep::Fields(&[("metadata", METADATA), ("spec", SPEC), ("status", STATUS)]);

/// What is kept of an event of a watch. Its object is a pod or, of an error, a `Status`, whose code and message lie at
/// the top; there, `status` is a word.
const EVENT: Keep = Keep::Fields(&[
    ("type", ALL),
    (
        "object",
        Keep::Fields(&[
            ("metadata", METADATA),
            ("spec", SPEC),
            ("status", STATUS),
            ("code", ALL),
            ("message", ALL),
        ]),
    ),
]);

/// A pod as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRead {
    /// Its facts; `None` where it has no UID, namespace or name that can be read.
    pub facts: Option<PodFacts>,
    /// What could not be read of it; `None` where all could.
    pub unread: Option<Unread>,
}

/// What could not be read of a pod, and which pod that is, as far as it says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unread {
    /// `metadata.uid`.
    pub uid: Option<PodUid>,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: Option<String>,
    /// `metadata.resourceVersion`.
    pub version: Option<String>,
    /// Such as `spec.containers[0].name is no text`.
    pub faults: Vec<String>,
}

impl PodRead {
    /// Reads a pod of a list.
    #[must_use]
    pub fn of(json: &[u8]) -> Self {
        match POD.parse(json) {
            Ok(value) => {
                let faults = Faults::default();
                let (facts, identity) = taken(&Fields::of(&value, &faults));
                Self::with(facts, identity, faults)
            }
            Err(error) => Self::unreadable(error.to_string()),
        }
    }

    /// One of which nothing is known but that it was there.
    #[must_use]
    pub fn unreadable(why: String) -> Self {
        Self { facts: None, unread: Some(Unread { faults: vec![why], ..Unread::default() }) }
    }

    fn with(facts: Option<PodFacts>, identity: Unread, faults: Faults) -> Self {
        let mut faults = faults.into_words();
        if facts.is_none() && faults.is_empty() {
            faults.push("it does not say which pod it is".into());
        }
        let unread = (!faults.is_empty() || facts.is_none()).then_some(Unread { faults, ..identity });
        Self { facts, unread }
    }
}

/// The facts of a pod, and who it says it is.
fn taken(pod: &Fields<'_>) -> (Option<PodFacts>, Unread) {
    let facts = PodFacts::of(pod);
    let meta = pod.object("metadata");
    let identity = Unread {
        uid: meta.filled("uid").map(PodUid::new),
        namespace: meta.filled("namespace"),
        name: meta.filled("name"),
        version: meta.filled("resourceVersion"),
        faults: Vec::new(),
    };
    (facts, identity)
}

/// What one event of a watch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// From where on a watch resumes after it; `None` where that can't be read, or does not change.
    pub version: Option<String>,
    /// What it says.
    pub what: What,
}

/// What an event of a watch is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A pod is new or changed.
    Applied(PodRead),
    /// A pod is gone; its last state.
    Deleted(PodRead),
    /// Nothing but its version.
    Bookmark,
    /// The API server ends the watch.
    Error {
        /// HTTP's code; 0 where it gives none.
        code: i64,
        /// In words.
        message: String,
    },
}

impl Said {
    /// Reads a line of a watch.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        match EVENT.parse(line) {
            Ok(value) => Self::of_event(&value),
            Err(error) => Self::unreadable(error.to_string()),
        }
    }

    /// An event of which nothing is known but that it was there.
    #[must_use]
    pub fn unreadable(why: String) -> Self {
        Self { version: None, what: What::Applied(PodRead::unreadable(why)) }
    }

    fn of_event(event: &Value) -> Self {
        let faults = Faults::default();
        let event = Fields::of(event, &faults);
        let (kind, object) = (event.needed("type"), event.object("object"));
        if kind == Some("ERROR") {
            let message = object.words("message").unwrap_or_else(|| "an error without a message".to_owned());
            let code = object.integer("code").unwrap_or_default();
            return Self { version: None, what: What::Error { code, message } };
        }
        let version = object.object("metadata").filled("resourceVersion");
        if kind == Some("BOOKMARK") {
            return Self { version, what: What::Bookmark };
        }
        let (facts, identity) = taken(&object);
        let what = match kind {
            Some("DELETED") => What::Deleted,
            _ => What::Applied,
        };
        Self { version, what: what(PodRead::with(facts, identity, faults)) }
    }
}

#[cfg(test)]
mod tests;
