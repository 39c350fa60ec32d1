//! Records as lines for people: a header, then one line of at most [`WIDTH`] columns a record. Pure.

use super::{
    AgentRecord, ApiEvidence, ClockStepRecord, ClosedRecord, Exit, ExitClass, GapRecord, Head, Identity,
    KernelKill, KilledBy, KillerPlace, OomLimit, ProcessEnd, ProcessesRecord, Record, RecordType,
    SessionRecord,
};
use crate::clock::WallTime;
use crate::visible;

/// Columns of a line.
pub const WIDTH: usize = 118;

const TIME: usize = 13;
const WHAT: usize = 13;
const WHO: usize = 40;
const HOW: usize = 34;
const LASTED: usize = 10;

/// The columns' names.
#[must_use]
pub fn header() -> String {
    line("TIME (UTC)", "WHAT", "NAMESPACE/POD/CONTAINER", "HOW", "LASTED")
}

/// The record's line, or several; `None` where it has nothing new for a person: the API agrees with what was
/// reported before.
#[must_use]
pub fn row(record: &Record) -> Option<String> {
    match record {
        Record::Session(record) if record.head.record_type() == RecordType::SessionReconciled => {
            reconciled_row(record)
        }
        Record::Session(record) => Some(session_row(record)),
        Record::Processes(record) => Some(process_rows(record)),
        Record::Closed(record) => closed_row(record),
        Record::Gap(record) => Some(gap_row(record)),
        Record::Agent(record) => Some(agent_row(record)),
        Record::ClockStep(record) => Some(clock_row(record)),
    }
}

/// How a session ended, and what is known of it besides: `exit 42 connection-pool-exhausted`, `SIGKILL by host: bash`,
/// `SIGTERM (evicted)`.
fn end_of(record: &SessionRecord) -> String {
    let mut end = end_in_words(&record.exit);
    if let Some(meaning) = &record.exit_meaning {
        end.push_str(&format!(" {}", meaning.name));
    }
    match (&record.killed_by, &record.cause) {
        // With a cause, the runtime ended it.
        (_, Some(cause)) => end.push_str(&format!(" ({})", cause.replace('_', " "))),
        (Some(killer), None) => end.push_str(&killer_in_words(killer)),
        (None, None) => {}
    }
    end
}

/// Such as ` by host: bash`; nothing where the end itself says as much.
fn killer_in_words(killer: &KilledBy) -> String {
    let limit = match killer.oom_limit {
        Some(OomLimit::Container) => ": container's limit",
        Some(OomLimit::Pod) => ": pod's limit",
        Some(OomLimit::Node) => ": node's memory",
        None => "",
    };
    match killer.kernel {
        Some(KernelKill::Oom) => return limit.into(),
        Some(KernelKill::PidnsExit) => return " with its pid namespace".into(),
        Some(KernelKill::CgroupKill) => return " by cgroup.kill".into(),
        Some(KernelKill::Fault) => return String::new(),
        None => {}
    }
    let place = match killer.place {
        // Its name is one of many, and says no more.
        Some(KillerPlace::Runtime) => return " by runtime".into(),
        Some(KillerPlace::Session) => "session",
        Some(KillerPlace::Pod) => "pod",
        Some(KillerPlace::Host) => "host",
        None => "?",
    };
    format!(" by {place}: {}", killer.comm.as_deref().unwrap_or("?"))
}

/// How a main process ended, in words: `exit 42`, `SIGKILL`, `OOM killed`.
#[must_use]
fn end_in_words(exit: &Exit) -> String {
    let core = if exit.core_dumped == Some(true) { ", core" } else { "" };
    match (exit.exit_class, exit.exit_code, exit.signal, &exit.signal_name) {
        (Some(ExitClass::Oom), ..) => "OOM killed".into(),
        (Some(ExitClass::StartError), ..) => "never started".into(),
        (_, Some(code), ..) => format!("exit {code}"),
        (_, None, Some(_), Some(name)) => format!("{name}{core}"),
        (_, None, Some(signal), None) => format!("signal {signal}{core}"),
        (Some(_), None, None, _) => "unknown".into(),
        (None, None, None, _) => String::new(),
    }
}

fn session_row(record: &SessionRecord) -> String {
    let (what, at) = match record.head.record_type() {
        RecordType::SessionStarted => ("started", record.times.started_at),
        _ => ("ended", record.times.finished_at),
    };
    let lasted = record.times.duration_ns.map(duration).unwrap_or_default();
    line(&time(at), what, &who(&record.identity, &record.head), &end_of(record), &lasted)
}

/// A line for each process: what it ran, and how that ended.
fn process_rows(record: &ProcessesRecord) -> String {
    let who = who(&record.identity, &record.head);
    let row = |process: &ProcessEnd| {
        let end = match (process.exit_code, &process.signal_name, process.signal) {
            (Some(code), ..) => format!("exit {code}"),
            (None, Some(name), _) => name.clone(),
            (None, None, signal) => signal.map(|signal| format!("signal {signal}")).unwrap_or_default(),
        };
        let what = match &process.argv {
            Some(argv) => argv.join(" "),
            None => process.exe.clone().unwrap_or_else(|| process.comm.clone()),
        };
        let lasted = process.times.duration_ns.map(duration).unwrap_or_default();
        // The end stays, however long the command is.
        let room = HOW.saturating_sub(visible::width(&end) + 2);
        let how = format!("{}: {end}", fit(&what, room));
        line(&time(process.times.finished_at), "ran", &who, &how, &lasted)
    };
    record.processes.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// Says what is worth a line beyond the end: more than one process.
fn closed_row(record: &ClosedRecord) -> Option<String> {
    if record.processes == 0 && record.entered == 0 && record.escaped == 0 {
        return None;
    }
    let mut how = format!("{} processes", record.processes);
    for (count, what) in [(record.entered, "entered"), (record.escaped, "escaped"), (record.lost, "lost")] {
        if count > 0 {
            how.push_str(&format!(", {count} {what}"));
        }
    }
    let cpu = record.usage.session.map(|usage| format!("{} CPU", duration(usage.cpu_ns)));
    let who = who(&record.identity, &record.head);
    Some(line(&time(record.closed_at), "closed", &who, &how, &cpu.unwrap_or_default()))
}

fn reconciled_row(record: &SessionRecord) -> Option<String> {
    let who = who(&record.identity, &record.head);
    let (what, how) = match &record.evidence.api {
        Some(api) if api.agrees == Some(true) => return None,
        Some(api) => ("API says", api_in_words(api)),
        None => ("named", end_of(record)),
    };
    Some(line(&time(record.times.finished_at), what, &who, &how, ""))
}

/// What the API says of an end: `255 (Unknown), made up`.
fn api_in_words(api: &ApiEvidence) -> String {
    let code = api.exit_code.map_or_else(|| "?".into(), |code| code.to_string());
    let reason = api.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let made_up = if api.synthetic.is_some() { ", made up" } else { "" };
    format!("{code}{reason}{made_up}")
}

fn gap_row(record: &GapRecord) -> String {
    let who = match record.sessions.len() {
        0 => String::new(),
        n if record.sessions_truncated => format!("more than {n} sessions may lack evidence"),
        1 => "1 session may lack evidence".into(),
        n => format!("{n} sessions may lack evidence"),
    };
    let how = match record.lost {
        Some(lost) => format!("{}, {lost} lost", record.reason.words()),
        None => record.reason.words().into(),
    };
    let lasted =
        record.from_boot_ns.zip(record.to_boot_ns).map(|(from, to)| duration(to.0.saturating_sub(from.0)));
    line(&time(record.to_at), "gap", &who, &how, &lasted.unwrap_or_default())
}

fn agent_row(record: &AgentRecord) -> String {
    let what = match record.head.record_type() {
        RecordType::AgentStarted => "agent started",
        _ => "agent stopped",
    };
    let who = format!("node {}", record.node_name.as_deref().unwrap_or("?"));
    let how = match record.reason {
        Some(reason) => reason.words().into(),
        None => format!("debugtrail {}", record.version),
    };
    line(&time(Some(record.at)), what, &who, &how, "")
}

fn clock_row(record: &ClockStepRecord) -> String {
    let who = format!("node {}", record.node_name.as_deref().unwrap_or("?"));
    let sign = if record.step_ns < 0 { "back" } else { "forward" };
    let how = format!("{sign} by {}", duration(record.step_ns.unsigned_abs()));
    line(&time(Some(record.after_at)), "clock stepped", &who, &how, "")
}

fn line(time: &str, what: &str, who: &str, how: &str, lasted: &str) -> String {
    let (time, what, who, how) = (pad(time, TIME), pad(what, WHAT), pad(who, WHO), pad(how, HOW));
    format!("{time}  {what}  {who}  {how}  {lasted:>LASTED$}").trim_end().to_owned()
}

/// `text` in exactly so many columns.
fn pad(text: &str, width: usize) -> String {
    let mut text = fit(text, width);
    text.extend(std::iter::repeat_n(' ', width.saturating_sub(visible::width(&text))));
    text
}

/// Time of day with milliseconds.
fn time(at: Option<WallTime>) -> String {
    at.map_or_else(|| "?".into(), |at| at.0.strftime("%H:%M:%S%.3fZ").to_string())
}

/// Who it was; a session without a name goes by its id.
fn who(identity: &Identity, head: &Head) -> String {
    let names = [&identity.namespace, &identity.pod_name, &identity.container_name];
    if names.iter().all(|name| name.is_none()) {
        return head.session_id().map(ToString::to_string).unwrap_or_default();
    }
    names.map(|name| name.as_deref().unwrap_or("?")).join("/")
}

/// `text` in at most `width` columns, with nothing hidden in it; the middle goes first, since the ends of a
/// name say most.
fn fit(text: &str, width: usize) -> String {
    let text = visible::line(text);
    if visible::width(&text) <= width {
        return text.into_owned();
    }
    let room = width.saturating_sub(1);
    let head = first_columns(text.chars(), room / 2);
    let tail = first_columns(text.chars().rev(), room - room / 2);
    head.iter().chain(&['…']).chain(tail.iter().rev()).collect()
}

/// The first characters that have room in so many columns; one may be wide.
fn first_columns(chars: impl Iterator<Item = char>, width: usize) -> Vec<char> {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += visible::columns(*c);
            used <= width
        })
        .collect()
}

/// A duration in at most [`LASTED`] columns.
fn duration(nanos: u64) -> String {
    let (micros, millis, seconds) = (nanos / 1_000, nanos / 1_000_000, nanos / 1_000_000_000);
    match seconds {
        0 if millis == 0 => format!("{micros}us"),
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}.{:03}s", millis % 1_000),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests;
