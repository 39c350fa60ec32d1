//! Why the runtime ended a session: as the API says, where it does. Pure.

use std::time::Duration;

use jiff::SignedDuration;

use crate::ids::BootNanos;
use crate::pods::PodEnding;
use crate::record::{KernelKill, KillerPlace, SessionRecord};

/// The `cause` of a session that the runtime ended, where the API gives none.
const RUNTIME_STOP: &str = "runtime_stop";

/// How long after a session's end the API may say that its pod was to end before: its seconds are whole, and its clock
/// is another machine's.
const CLOCKS_DIFFER: Duration = Duration::from_secs(1);

/// Whether the runtime ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its signal did, or the session exited on one.
    ByRuntime,
    /// It may have: whoever ended the first process of the pid namespace, or wrote to `cgroup.kill`, is not
    /// known. In a pod that is being ended it is the runtime.
    Perhaps,
    /// It did not.
    No,
}

impl Stop {
    /// By a signal of the kernel's own.
    pub(super) fn of_kernel(kernel: KernelKill) -> Self {
        match kernel {
            KernelKill::PidnsExit | KernelKill::CgroupKill => Self::Perhaps,
            KernelKill::Oom | KernelKill::Fault => Self::No,
        }
    }

    /// By a record without a cause of the API's.
    fn of_record(record: &SessionRecord) -> Self {
        let killer = record.killed_by.as_ref();
        if killer.is_some_and(|killer| killer.place == Some(KillerPlace::Runtime))
            || has_no_cause_but_the_runtime(record)
        {
            return Self::ByRuntime;
        }
        killer.and_then(|killer| killer.kernel).map_or(Self::No, Self::of_kernel)
    }
}

/// Whether the runtime ended it and the API has not said why.
pub(super) fn has_no_cause_but_the_runtime(record: &SessionRecord) -> bool {
    record.cause.as_deref() == Some(RUNTIME_STOP)
}

/// The `cause` of an end in a pod that is being ended, or is not. A session that ends by itself meanwhile, as of an
/// interactive shell that ignores SIGTERM, has none.
pub(super) fn cause(stop: Stop, ending: Option<&PodEnding>) -> Option<&'static str> {
    match stop {
        Stop::ByRuntime => Some(ending.map_or(RUNTIME_STOP, PodEnding::cause)),
        Stop::Perhaps => ending.map(PodEnding::cause),
        Stop::No => None,
    }
}

/// The cause that an end lacks and the API now gives: the pod was to end by then, or was known to be gone.
pub(super) fn late_cause(
    record: &SessionRecord,
    ending: &PodEnding,
    gone: Option<BootNanos>,
) -> Option<&'static str> {
    if record.cause.is_some() && !has_no_cause_but_the_runtime(record) {
        return None;
    }
    let before = match ending.not_before.or(ending.since) {
        Some(since) => {
            since.duration_since(record.times.finished_at?.0)
                <= SignedDuration::try_from(CLOCKS_DIFFER).ok()?
        }
        None => gone?.since(record.times.finished_boot_ns?) <= CLOCKS_DIFFER,
    };
    before.then(|| cause(Stop::of_record(record), Some(ending))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ClockState, WallTime};
    use crate::ids::BootId;
    use crate::record::{Evidence, Exit, KernelEvidence, KilledBy, SessionId, WaitStatus};

    fn ending(since: Option<&str>, reason: Option<&str>) -> PodEnding {
        let since = since.map(|at| at.parse().unwrap());
        PodEnding { since, reason: reason.map(Into::into), ..PodEnding::default() }
    }

    /// Killed at 10:00:07.5.
    fn record(place: Option<KillerPlace>, kernel: Option<KernelKill>, cause: Option<&str>) -> SessionRecord {
        let clock = ClockState { boot_id: BootId::new("b"), synchronized: None, max_error_us: None };
        let exit = Exit::observed(WaitStatus(9), false);
        let evidence = Evidence::of_kernel(KernelEvidence::Full);
        let mut record = SessionRecord::ended(SessionId::default(), exit, evidence, clock);
        record.killed_by = Some(KilledBy { pid: None, comm: None, place, kernel, oom_limit: None });
        record.times.finished_at = Some(WallTime("2026-11-24T10:00:07.5Z".parse().unwrap()));
        record.times.finished_boot_ns = Some(BootNanos(7_500_000_000));
        record.cause = cause.map(Into::into);
        record
    }

    #[test]
    fn a_runtime_stop_has_the_apis_cause_or_its_own() {
        let evicted = ending(None, Some("Evicted"));
        assert_eq!(cause(Stop::ByRuntime, Some(&evicted)), Some("evicted"));
        assert_eq!(cause(Stop::ByRuntime, Some(&PodEnding::default())), Some("deleted"));
        assert_eq!(cause(Stop::ByRuntime, None), Some("runtime_stop"));
    }

    #[test]
    fn a_kernels_kill_has_a_cause_only_in_a_pod_that_ends() {
        assert_eq!(
            cause(Stop::of_kernel(KernelKill::PidnsExit), Some(&PodEnding::default())),
            Some("deleted")
        );
        assert_eq!(cause(Stop::of_kernel(KernelKill::CgroupKill), None), None);
        assert_eq!(cause(Stop::of_kernel(KernelKill::Oom), Some(&PodEnding::default())), None);
    }

    #[test]
    fn an_exit_of_its_own_in_a_pod_that_ends_has_no_cause() {
        assert_eq!(cause(Stop::No, Some(&ending(None, Some("Evicted")))), None);
    }

    #[test]
    fn a_late_cause_counts_where_the_pod_was_to_end_before() {
        let runtimes = record(Some(KillerPlace::Runtime), None, Some("runtime_stop"));
        for (since, expected) in [
            (Some("2026-11-24T10:00:00Z"), Some("deleted")),
            (Some("2026-11-24T10:00:08Z"), Some("deleted")),
            (Some("2026-11-24T10:00:09Z"), None),
            (None, None),
        ] {
            assert_eq!(late_cause(&runtimes, &ending(since, None), None), expected, "{since:?}");
        }
        for (gone, expected) in [(5, Some("deleted")), (8, Some("deleted")), (9, None)] {
            let gone = Some(BootNanos(gone * 1_000_000_000));
            assert_eq!(late_cause(&runtimes, &PodEnding::default(), gone), expected, "{gone:?}");
        }
    }

    /// Of two containers the session heeded its signal; the other one ended with the grace period.
    #[test]
    fn a_late_cause_without_a_time_counts_from_the_earliest() {
        let runtimes = record(Some(KillerPlace::Runtime), None, Some("runtime_stop"));
        for (not_before, expected) in
            [("2026-11-24T10:00:07Z", Some("evicted")), ("2026-11-24T10:00:09Z", None)]
        {
            let late = PodEnding {
                not_before: not_before.parse().ok(),
                ..ending(Some("2026-11-24T10:00:37Z"), Some("Evicted"))
            };
            assert_eq!(late_cause(&runtimes, &late, None), expected, "{not_before}");
        }
    }

    #[test]
    fn a_late_cause_needs_a_stop_without_a_cause() {
        let late = ending(Some("2026-11-24T10:00:00Z"), Some("Evicted"));
        assert_eq!(late_cause(&record(Some(KillerPlace::Runtime), None, Some("deleted")), &late, None), None);
        assert_eq!(late_cause(&record(Some(KillerPlace::Host), None, None), &late, None), None);
        assert_eq!(
            late_cause(&record(None, Some(KernelKill::PidnsExit), None), &late, None),
            Some("evicted")
        );
        assert_eq!(late_cause(&record(None, Some(KernelKill::Oom), None), &late, None), None);
    }
}
