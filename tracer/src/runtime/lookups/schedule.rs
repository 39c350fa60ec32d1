//! When to ask for a container again. Pure.

use std::time::Duration;

use crate::ids::BootNanos;
use crate::kernel::Observation;

/// Between the first two tries; each pause is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// How far a container has come: at each step the runtime knows more of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It has a cgroup.
    #[default]
    Made,
    /// Something was in it.
    Entered,
    /// Its main process runs or has run.
    Begun,
    /// It has ended.
    Over,
}

impl Stage {
    /// What is seen of its cgroup.
    #[must_use]
    pub fn of(seen: &Observation) -> Self {
        match seen {
            Observation { end: Some(_), .. } | Observation { removed: Some(_), .. } => Self::Over,
            Observation { main: Some(_), .. } => Self::Begun,
            Observation { entered: true, .. } => Self::Entered,
            _ => Self::Made,
        }
    }
}

/// What was asked for one container.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asking {
    /// Of the last question.
    stage: Option<Stage>,
    waiting: bool,
    /// It has come further since the question that waits.
    further: Option<Stage>,
    pauses: u32,
    due: BootNanos,
}

/// What an answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// It is of now.
    UpToDate,
    /// It may be of before the container came further.
    Outdated,
}

impl Asking {
    /// Whether to ask now; then it counts as asked.
    pub(super) fn is_due(&mut self, stage: Stage, now: BootNanos) -> bool {
        let is_further = self.stage.is_none_or(|asked| asked < stage);
        if self.waiting {
            if is_further {
                self.further = Some(stage);
            }
            return false;
        }
        if !is_further && now < self.due {
            return false;
        }
        if is_further {
            self.pauses = 0;
        }
        self.stage = self.stage.max(Some(stage));
        self.waiting = true;
        true
    }

    /// Whether it was not asked in vain since it came so far.
    pub(super) fn is_news(&self) -> bool {
        self.pauses == 0
    }

    /// There was no room to ask.
    pub(super) fn not_asked(&mut self, now: BootNanos) {
        self.waiting = false;
        self.due = after(now, FIRST_PAUSE);
    }

    /// An answer came, or none is to be expected. Outdated, it counts as asked again.
    pub(super) fn answered(&mut self, now: BootNanos) -> Freshness {
        self.waiting = false;
        if let Some(stage) = self.further.take() {
            self.is_due(stage, now);
            return Freshness::Outdated;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(16)).min(LONGEST_PAUSE);
        self.pauses = self.pauses.saturating_add(1);
        self.due = after(now, pause);
        Freshness::UpToDate
    }
}

fn after(now: BootNanos, pause: Duration) -> BootNanos {
    BootNanos(now.0.saturating_add(pause.as_nanos() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> BootNanos {
        BootNanos(seconds * 1_000_000_000)
    }

    #[test]
    fn an_unknown_container_is_asked_for_less_often() {
        let mut asking = Asking::default();
        let mut asked = Vec::new();
        for now in 0..300 {
            if asking.is_due(Stage::Made, seconds(now)) {
                asked.push(now);
                assert_eq!(asking.answered(seconds(now)), Freshness::UpToDate);
            }
        }
        assert_eq!(asked, [0, 1, 3, 7, 15, 31, 63, 127, 191, 255]);
    }

    #[test]
    fn a_container_that_came_further_is_asked_for_at_once() {
        let mut asking = Asking::default();
        assert!(asking.is_due(Stage::Made, seconds(5)));
        assert!(!asking.is_due(Stage::Made, seconds(5)), "the answer is still to come");
        assert!(!asking.is_due(Stage::Begun, seconds(5)));
        // What is answered now was looked for before.
        assert_eq!(asking.answered(seconds(5)), Freshness::Outdated);
        assert_eq!(asking.answered(seconds(5)), Freshness::UpToDate);
        assert!(!asking.is_due(Stage::Begun, seconds(5)) && !asking.is_due(Stage::Made, seconds(5)));
        assert!(asking.is_due(Stage::Over, seconds(5)));
    }

    #[test]
    fn without_room_it_is_asked_a_second_later() {
        let mut asking = Asking::default();
        assert!(asking.is_due(Stage::Made, seconds(5)));
        asking.not_asked(seconds(5));
        assert!(!asking.is_due(Stage::Made, seconds(5)));
        assert!(asking.is_due(Stage::Made, seconds(6)));
    }
}
