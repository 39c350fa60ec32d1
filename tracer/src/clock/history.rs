//! The offsets between boot time and wall time, in the order they were seen. Pure.

use std::collections::VecDeque;

use super::{SessionTimes, WallTime};
use crate::ids::BootNanos;

/// A change of the offset of at least this much between two samples is a step, not a slew: 50 ms.
/// (A slewing daemon moves the clock at 500 ppm: 5 ms in the 10 s between two samples.)
pub const STEP_THRESHOLD_NS: u64 = 50_000_000;

/// Samples kept: at one in 10 s nearly three hours, and an end is recorded within seconds.
const KEPT: usize = 1024;

/// The offset between the two clocks, measured at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetSample {
    /// When it was measured.
    pub boot: BootNanos,
    /// `CLOCK_REALTIME` minus `CLOCK_BOOTTIME`, in nanoseconds.
    pub offset_ns: i64,
}

/// A step of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStep {
    /// When it had not happened yet.
    pub after_boot: BootNanos,
    /// When it was noticed.
    pub boot: BootNanos,
    /// Wall time of that moment by the offset before the step.
    pub before: WallTime,
    /// Wall time of that moment by the offset after it.
    pub after: WallTime,
    /// After minus before, in nanoseconds; negative where the clock was set back.
    pub step_ns: i64,
}

/// Offset samples by boot time; never empty.
#[derive(Debug, Clone)]
pub struct OffsetHistory {
    samples: VecDeque<OffsetSample>,
}

impl OffsetSample {
    /// Wall time of `boot` if this offset is in force then.
    #[must_use]
    pub fn wall_at(self, boot: BootNanos) -> WallTime {
        WallTime::from_unix_nanos(i128::from(boot.0) + i128::from(self.offset_ns))
    }
}

impl OffsetHistory {
    /// A history that starts with `first`, which also stands for all time before it.
    #[must_use]
    pub fn new(first: OffsetSample) -> Self {
        Self { samples: VecDeque::from([first]) }
    }

    /// Adds a sample; says so where it shows a step. A sample older than the newest is ignored.
    pub fn observe(&mut self, sample: OffsetSample) -> Option<ClockStep> {
        let last = self.newest();
        if sample.boot < last.boot {
            return None;
        }
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        step_between(last, sample)
    }

    /// The sample in force at `boot`: the newest one that is not later; before the first, the first.
    #[must_use]
    pub fn in_force_at(&self, boot: BootNanos) -> OffsetSample {
        let later = self.samples.partition_point(|sample| sample.boot <= boot);
        self.samples[later.saturating_sub(1)]
    }

    /// Wall time of `boot` by the sample in force then.
    #[must_use]
    pub fn wall_at(&self, boot: BootNanos) -> WallTime {
        self.in_force_at(boot).wall_at(boot)
    }

    /// A session's times, both wall times from one sample: the one in force at the end (at the start while there is
    /// no end). So a step in between neither bends their difference nor back-dates the end.
    #[must_use]
    pub fn session_times(&self, start: Option<BootNanos>, end: Option<BootNanos>) -> SessionTimes {
        let wall = |boot| end.or(start).map(|anchor| self.in_force_at(anchor).wall_at(boot));
        let nanos = start.zip(end).map(|(start, end)| end.0.saturating_sub(start.0));
        SessionTimes {
            started_at: start.and_then(wall),
            finished_at: end.and_then(wall),
            duration_ns: nanos,
            // One division: whole seconds and nanoseconds added up show rounding, such as 2.9323335459999997.
            duration_seconds: nanos.map(|nanos| nanos as f64 / 1e9),
            started_boot_ns: start,
            finished_boot_ns: end,
        }
    }

    fn newest(&self) -> OffsetSample {
        self.samples[self.samples.len() - 1]
    }
}

fn step_between(last: OffsetSample, sample: OffsetSample) -> Option<ClockStep> {
    let step_ns = sample.offset_ns.saturating_sub(last.offset_ns);
    (step_ns.unsigned_abs() >= STEP_THRESHOLD_NS).then(|| ClockStep {
        after_boot: last.boot,
        boot: sample.boot,
        before: last.wall_at(sample.boot),
        after: sample.wall_at(sample.boot),
        step_ns,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-23T15:26:54Z minus a boot time of 1000 s.
    const OFFSET: i64 = 1_795_447_614_000_000_000 - 1_000_000_000_000;
    const SECOND: u64 = 1_000_000_000;

    fn sample(second: u64, offset_ns: i64) -> OffsetSample {
        OffsetSample { boot: BootNanos(second * SECOND), offset_ns }
    }

    fn at(second: u64) -> BootNanos {
        BootNanos(second * SECOND)
    }

    #[test]
    fn wall_time_is_boot_time_plus_the_offset_in_force() {
        let mut history = OffsetHistory::new(sample(1000, OFFSET));
        history.observe(sample(1010, OFFSET + 3_600_000_000_000));
        assert_eq!(history.wall_at(at(990)).to_string(), "2026-11-23T15:26:44.000000000Z");
        assert_eq!(history.wall_at(at(1009)).to_string(), "2026-11-23T15:27:03.000000000Z");
        assert_eq!(history.wall_at(at(1010)).to_string(), "2026-11-23T16:27:04.000000000Z");
    }

    #[test]
    fn a_step_is_distinguished_from_a_slew() {
        let mut history = OffsetHistory::new(sample(1000, OFFSET));
        assert_eq!(history.observe(sample(1010, OFFSET + 5_000_000)), None);
        let step = history.observe(sample(1020, OFFSET + 5_000_000 - 7_200_000_000_000)).unwrap();
        assert_eq!(step.step_ns, -7_200_000_000_000);
        assert_eq!(step.before.to_string(), "2026-11-23T15:27:14.005000000Z");
        assert_eq!(step.after.to_string(), "2026-11-23T13:27:14.005000000Z");
    }

    #[test]
    fn a_step_inside_a_session_bends_neither_duration_nor_end() {
        let mut history = OffsetHistory::new(sample(1000, OFFSET));
        history.observe(sample(1005, OFFSET - 86_400_000_000_000));
        let times = history.session_times(Some(at(1002)), Some(at(1008)));
        assert_eq!(times.started_at.unwrap().to_string(), "2026-11-22T15:26:56.000000000Z");
        assert_eq!(times.finished_at.unwrap().to_string(), "2026-11-22T15:27:02.000000000Z");
        assert_eq!(times.duration_ns, Some(6 * SECOND));
        assert_eq!(times.duration_seconds, Some(6.0));
        let times = history.session_times(Some(BootNanos(1)), Some(BootNanos(2_932_333_547)));
        assert_eq!(times.duration_seconds.map(|seconds| seconds.to_string()).as_deref(), Some("2.932333546"));
    }

    #[test]
    fn a_start_alone_uses_the_sample_of_the_start() {
        let mut history = OffsetHistory::new(sample(1000, OFFSET));
        history.observe(sample(1005, 0));
        let times = history.session_times(Some(at(1002)), None);
        assert_eq!(times.started_at.unwrap().to_string(), "2026-11-23T15:26:56.000000000Z");
        assert_eq!((times.finished_at, times.duration_ns), (None, None));
        assert_eq!(history.session_times(None, None), SessionTimes::default());
    }

    #[test]
    fn a_sample_from_the_past_changes_nothing() {
        let mut history = OffsetHistory::new(sample(1000, OFFSET));
        assert_eq!(history.observe(sample(999, 0)), None);
        assert_eq!(history.in_force_at(at(999)), sample(1000, OFFSET));
    }

    #[test]
    fn the_history_is_bounded() {
        let mut history = OffsetHistory::new(sample(0, OFFSET));
        for second in 1..3000 {
            history.observe(sample(second, OFFSET));
        }
        assert_eq!(history.samples.len(), KEPT);
        assert_eq!(history.in_force_at(at(0)).boot, at(3000 - KEPT as u64));
    }

    proptest! {
        #[test]
        fn both_wall_times_differ_by_the_duration(
            steps in prop::collection::vec((1..100u64, -SPAN..SPAN), 0..20),
            start in 0..2000u64,
            length in 0..2000u64,
        ) {
            let mut history = OffsetHistory::new(sample(0, OFFSET));
            let mut second = 0;
            for (wait, offset) in steps {
                second += wait;
                history.observe(sample(second, OFFSET + offset));
            }
            let times = history.session_times(Some(at(start)), Some(at(start + length)));
            let wall = |time: Option<WallTime>| time.map(|time| time.0.as_nanosecond());
            let between = wall(times.finished_at).zip(wall(times.started_at)).map(|(end, start)| end - start);
            prop_assert_eq!(between, times.duration_ns.map(i128::from));
            prop_assert_eq!(times.finished_at, Some(history.wall_at(at(start + length))));
        }
    }

    /// A day in nanoseconds.
    const SPAN: i64 = 86_400_000_000_000;
}
