//! How soon the end of a real debug session is reported, and how right its duration is: by debugtrail's
//! record and by a watch on the API, of the same sessions.
//!
//! The truth of a duration is what the session's main process measures of itself, on the clock that the
//! record uses: from its first instruction to its last. No clock can be read nearer to exec and exit from
//! outside the kernel. The record's span begins at the exec and ends in the exit, so its error is the way in
//! and out of the process: the kernel's return to userspace, the C runtime's start, one write, the call to
//! exit.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::{Deserializer, Value};
use xtask::progress::Step;
use xtask::scenario::feed::Feed;
use xtask::scenario::pod::Pod;

use crate::kernel::boot_ns;
use crate::report::SpreadRow;
use crate::stage::Stage;
use crate::stats::{largest, percentile};
use crate::trace::{Arrival, PATIENCE, TimedTrace};

/// Sessions in each pod; so many sessions run at a time as there are pods.
const SESSIONS_PER_POD: u64 = 12;
/// How long the first session runs; the others a little longer each, so that ends fall anywhere in the kubelet's period.
const SHORTEST_MS: u64 = 1000;
const LONGER_MS: u64 = 83;
const AIM_LATENCY_MS: f64 = 5.0;
const AIM_DURATION_MS: f64 = 1.0;

/// What the section gives.
#[derive(Debug, Default)]
pub struct Results {
    /// How soon ends were known.
    pub latency: Vec<SpreadRow>,
    /// How far durations were off.
    pub durations: Vec<SpreadRow>,
}

/// Runs the sessions.
///
/// # Errors
/// When one of them, its record or the API's status does not come.
pub fn measure(stage: &Stage) -> Result<Results> {
    let sessions = SESSIONS_PER_POD * stage.patients.len() as u64;
    let step = Step::begin(&format!("{sessions} sessions, {} at a time", stage.patients.len()));
    let trace = TimedTrace::start(&stage.access)?;
    let api = watch(stage)?;
    let mut seen = Vec::new();
    for wave in 0..SESSIONS_PER_POD {
        let name = format!("timed-{wave}");
        thread::scope(|scope| {
            let run = |(place, pod): (usize, &'_ Pod)| {
                let milliseconds =
                    SHORTEST_MS + (wave * stage.patients.len() as u64 + place as u64) * LONGER_MS % 1000;
                let words = ["stamp".to_owned(), milliseconds.to_string(), "0".to_owned()];
                stage.debug(pod, &name, &words.each_ref().map(String::as_str))
            };
            let begun: Vec<_> =
                stage.patients.iter().enumerate().map(|one| scope.spawn(move || run(one))).collect();
            begun.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a thread panicked")))
        })?;
        for pod in &stage.patients {
            seen.push(session(stage, &trace, &api, pod, &name)?);
        }
        step.detail(&format!("{} sessions", seen.len()));
    }
    trace.stop()?;
    step.done();
    Ok(results(&seen))
}

/// One session from all sides; nanoseconds of `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    /// By its record: exec and exit of the main process.
    started: u64,
    ended: u64,
    /// By its own clock: first and last instruction.
    first: u64,
    last: u64,
    /// When we read its record.
    record_at: u64,
    /// When we read the watch event that first had the end.
    api_at: u64,
    /// The API's duration: whole seconds.
    api_duration: u64,
}

fn session(stage: &Stage, trace: &TimedTrace, api: &Feed<Arrival>, pod: &Pod, name: &str) -> Result<Seen> {
    let Arrival { at_ns: record_at, record } = trace.wait_for_session("session_ended", &pod.uid, name)?;
    let (api_at, api_duration) = api.wait_for("the API's status", PATIENCE, |events| {
        events.iter().find_map(|event| Some((event.at_ns, api_duration_of(&event.record, pod, name)?)))
    })?;
    let logs = ["logs", &pod.name, "-n", &pod.namespace, "-c", name];
    let (first, last) =
        stamps(&stage.access.kubectl_output(&logs)?).context("the session printed no stamps")?;
    let number = |field: &str| {
        let text = record[field].as_str().and_then(|text| text.parse().ok());
        text.with_context(|| format!("the record of {name} has no {field}"))
    };
    let (started, ended) = (number("started_boot_ns")?, number("finished_boot_ns")?);
    Ok(Seen { started, ended, first, last, record_at, api_at, api_duration })
}

/// The API's changes of the pods, each with when we read it.
fn watch(stage: &Stage) -> Result<Feed<Arrival>> {
    let mut command = stage.access.kubectl();
    command.args(["get", "pods", "-n", stage.namespace(), "-l", "app!=idle"]);
    command.args(["--watch", "--output-watch-events", "-o", "json"]);
    Feed::start(command, |stdout| {
        Deserializer::from_reader(stdout)
            .into_iter::<Value>()
            .map_while(Result::ok)
            .map(|record| Arrival { at_ns: boot_ns(), record })
    })
}

/// The duration that a watch event has of a debug container, in nanoseconds, once it has its end.
fn api_duration_of(event: &Value, pod: &Pod, name: &str) -> Option<u64> {
    let object = &event["object"];
    if object["metadata"]["uid"] != *pod.uid {
        return None;
    }
    ended_duration(object, name)
}

fn ended_duration(pod: &Value, name: &str) -> Option<u64> {
    let statuses = pod["status"]["ephemeralContainerStatuses"].as_array()?;
    let ended = &statuses.iter().find(|status| status["name"] == name)?["state"]["terminated"];
    let time = |key: &str| ended[key].as_str()?.parse::<Timestamp>().ok();
    let lasted = time("finishedAt")?.duration_since(time("startedAt")?);
    Some(Duration::try_from(lasted).unwrap_or_default().as_nanos() as u64)
}

/// First and last stamp of what `bench-load stamp` prints.
fn stamps(output: &str) -> Option<(u64, u64)> {
    let mut stamps = output.lines().map(str::parse);
    Some((stamps.next()?.ok()?, stamps.next()?.ok()?))
}

fn results(seen: &[Seen]) -> Results {
    let spread = |source, aim_p50_ms, ns: fn(&Seen) -> f64| {
        let ms: Vec<f64> = seen.iter().map(|one| ns(one) / 1e6).collect();
        let (p50_ms, p99_ms) = (percentile(&ms, 50.0)?, percentile(&ms, 99.0)?);
        Some(SpreadRow { source, sessions: ms.len(), p50_ms, p99_ms, max_ms: largest(&ms)?, aim_p50_ms })
    };
    let latency = [
        spread("record on stdout", Some(AIM_LATENCY_MS), |one| since(one.record_at, one.ended)),
        spread("watch on the API", None, |one| since(one.api_at, one.ended)),
    ];
    let durations = [
        spread("record", Some(AIM_DURATION_MS), |one| off(since(one.ended, one.started), one)),
        spread("record, its start alone", None, |one| since(one.first, one.started).abs()),
        spread("record, its end alone", None, |one| since(one.ended, one.last).abs()),
        spread("API", None, |one| off(one.api_duration as f64, one)),
    ];
    Results {
        latency: latency.into_iter().flatten().collect(),
        durations: durations.into_iter().flatten().collect(),
    }
}

fn since(later: u64, earlier: u64) -> f64 {
    later as f64 - earlier as f64
}

fn off(reported: f64, seen: &Seen) -> f64 {
    (reported - since(seen.last, seen.first)).abs()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn latency_and_error_are_of_the_same_session() {
        let seen = Seen {
            started: 1_000_000_000,
            first: 1_000_200_000,
            last: 3_000_200_000,
            ended: 3_000_300_000,
            record_at: 3_002_300_000,
            api_at: 3_600_300_000,
            api_duration: 3_000_000_000,
        };
        let results = results(&[seen]);
        let p50 = |rows: &[SpreadRow]| rows.iter().map(|row| row.p50_ms).collect::<Vec<_>>();
        assert_eq!(p50(&results.latency), [2.0, 600.0]);
        assert_eq!(p50(&results.durations), [0.3, 0.2, 0.1, 1000.0]);
    }

    #[test]
    fn no_sessions_give_no_rows() {
        assert!(results(&[]).latency.is_empty());
    }

    #[test]
    fn the_api_gives_whole_seconds_and_only_at_the_end() {
        let pod = |state: &Value| json!({"status": {"ephemeralContainerStatuses": [{"name": "dbg", "state": state}]}});
        let ended = json!({"terminated": {"startedAt": "2026-11-24T01:00:59Z", "finishedAt": "2026-11-24T01:01:01Z"}});
        assert_eq!(ended_duration(&pod(&ended), "dbg"), Some(2_000_000_000));
        assert_eq!(ended_duration(&pod(&ended), "other"), None);
        assert_eq!(
            ended_duration(&pod(&json!({"running": {"startedAt": "2026-11-24T01:00:59Z"}})), "dbg"),
            None
        );
    }

    #[test]
    fn two_stamps_are_wanted() {
        assert_eq!(stamps("100\n2000\n"), Some((100, 2000)));
        assert_eq!(stamps("100\n"), None);
        assert_eq!(stamps("exec failed\n1\n"), None);
    }
}
