//! Wall times as records write them.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::BootNanos;

/// A wall time; written as RFC 3339 in UTC, always with nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct WallTime(
    #[serde(with = "nanoseconds")]
    #[cfg_attr(test, schemars(with = "String", extend("format" = "date-time")))]
    pub Timestamp,
);

impl WallTime {
    /// From nanoseconds of the Unix epoch; the nearest representable time where out of range (years -9999 to 9999).
    #[must_use]
    pub fn from_unix_nanos(nanos: i128) -> Self {
        let nearest = if nanos < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Self(Timestamp::from_nanosecond(nanos).unwrap_or(nearest))
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.9}", self.0)
    }
}

/// Always nine digits, which jiff's own form leaves out where they are zero.
mod nanoseconds {
    use jiff::Timestamp;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{at:.9}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        crate::text::deserialize(deserializer)
    }
}

/// When a session's main process started and ended; what is unknown is `None`.
///
/// Made by [`OffsetHistory::session_times`](super::OffsetHistory::session_times).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionTimes {
    /// Wall time of the main exec.
    pub started_at: Option<WallTime>,
    /// Wall time of the main end.
    pub finished_at: Option<WallTime>,
    /// End minus start by the boot clock, in nanoseconds; a string in JSON.
    #[serde(with = "crate::text::option")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub duration_ns: Option<u64>,
    /// The same in seconds.
    pub duration_seconds: Option<f64>,
    /// Boot time of the main exec.
    pub started_boot_ns: Option<BootNanos>,
    /// Boot time of the main end.
    pub finished_boot_ns: Option<BootNanos>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_times_always_show_nanoseconds() {
        let at = |nanos| WallTime::from_unix_nanos(nanos).to_string();
        assert_eq!(at(1_795_447_614_123_456_789), "2026-11-23T15:26:54.123456789Z");
        assert_eq!(at(1_795_447_614_000_000_000), "2026-11-23T15:26:54.000000000Z");
        assert_eq!(at(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(at(-1), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn times_out_of_range_are_clamped() {
        assert_eq!(WallTime::from_unix_nanos(i128::MAX).0, Timestamp::MAX);
        assert_eq!(WallTime::from_unix_nanos(i128::MIN).0, Timestamp::MIN);
    }

    #[test]
    fn unknown_times_are_null() {
        let json = serde_json::to_string(&SessionTimes::default()).unwrap();
        assert_eq!(
            json,
            r#"{"started_at":null,"finished_at":null,"duration_ns":null,"duration_seconds":null,"started_boot_ns":null,"finished_boot_ns":null}"#
        );
    }
}
