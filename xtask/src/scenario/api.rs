//! What the API says of a debug container, and where that differs from the record. Pure.

use jiff::Timestamp;
use serde_json::Value;

/// What the API says last of one run of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiView {
    /// `running`, `waiting`, `terminated`, or empty where there is no status.
    pub state: String,
    /// Why, as the API says, of `state`.
    pub reason: Option<String>,
    /// The end, from `state` or, where a failed start hides it, from `lastState`.
    pub end: Option<ApiEnd>,
    /// The end stands in `lastState` only.
    pub hidden: bool,
    /// The Pod object is gone, and the status with it.
    pub deleted: bool,
    /// Which run of that name it was, 0 the first, by `restartCount`.
    pub attempt: Option<u64>,
}

/// A `terminated` state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiEnd {
    /// 128 + signal for signals, too.
    pub exit_code: i64,
    /// Never seen set.
    pub signal: Option<i64>,
    /// Such as `Error`, `OOMKilled`, `StartError`.
    pub reason: String,
    /// In words.
    pub message: Option<String>,
    /// Whole seconds.
    pub started_at: Option<Timestamp>,
    /// Whole seconds.
    pub finished_at: Option<Timestamp>,
}

impl ApiView {
    /// Reads out of the events of a watch what they say of the session that a record is about.
    #[must_use]
    pub fn of(events: &[Value], record: &Value) -> Self {
        let id = record["session_id"].as_str().unwrap_or_default();
        let of_pod = |event: &&Value| event["object"]["metadata"]["uid"] == record["pod_uid"];
        let deleted = events.iter().filter(of_pod).any(|event| event["type"] == "DELETED");
        let statuses: Vec<&Value> = events
            .iter()
            .filter(of_pod)
            .filter_map(|event| status_of(&event["object"], &record["container_name"]))
            .collect();
        let now = statuses.iter().rfind(|status| is_current(status, id));
        let later = statuses.iter().find(|status| names(&status["lastState"]["terminated"], id));
        let lost =
            statuses.iter().find(|status| is_lost(status)).filter(|_| record["session_kind"] == "ephemeral");
        let Some(status) = lost.or(now).or(later) else { return Self { deleted, ..Self::default() } };
        let state = status["state"].as_object().and_then(|state| state.keys().next());
        let state = state.cloned().unwrap_or_default();
        let reason = status["state"][&state]["reason"].as_str().map(str::to_owned);
        let shown = end(&status["state"]["terminated"], id);
        let hidden = later.or(lost).and_then(|status| end(&status["lastState"]["terminated"], id));
        let restarts = |status: &&Value| status["restartCount"].as_u64();
        let before = || later.and_then(restarts).and_then(|count| count.checked_sub(1));
        let attempt = now.map_or_else(before, restarts);
        Self {
            state,
            reason,
            hidden: shown.is_none() && hidden.is_some(),
            end: shown.or(hidden),
            deleted,
            attempt,
        }
    }

    /// True once the API will say no more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.deleted || self.end.is_some()
    }

    /// What it says, for a person.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.deleted {
            lines.push("Pod object gone; last seen:".to_owned());
        }
        let reason = self.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        lines.push(format!("state     {}{reason}", if self.state.is_empty() { "none" } else { &self.state }));
        if let Some(end) = &self.end {
            if self.hidden {
                lines.push("and in lastState:".to_owned());
            }
            lines.push(format!("exitCode  {}", end.exit_code));
            lines.push(format!(
                "signal    {}",
                end.signal.map_or("not set".to_owned(), |signal| signal.to_string())
            ));
            lines.extend(end.started_at.map(|time| format!("started   {time}")));
            lines.extend(end.finished_at.map(|time| format!("finished  {time}")));
        }
        lines
    }

    /// Where it differs from the record of the same session.
    #[must_use]
    pub fn differs_from(&self, record: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        let Some(end) = &self.end else {
            differences.push(match self.deleted {
                true => {
                    format!("says nothing of the end: the Pod object went while the state was {}", self.state)
                }
                false => format!("says nothing of the end: the state is {}", self.state),
            });
            return differences;
        };
        if self.hidden {
            differences.push(format!("the state is {}; only lastState has an end", self.state));
        }
        differences.extend(code_differs(end, record));
        if end.reason == "OOMKilled" && record["exit_class"] != "OOM" {
            differences.push("says OOMKilled, but this session's main process was not the victim".to_owned());
        }
        differences.extend(duration_differs(end, record));
        differences
    }
}

/// A container's status, of whatever kind the container is.
fn status_of<'a>(pod: &'a Value, container: &Value) -> Option<&'a Value> {
    let kinds = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let statuses = kinds.iter().filter_map(|kind| pod["status"][kind].as_array()).flatten();
    statuses.into_iter().find(|status| status["name"] == *container)
}

fn is_current(status: &Value, id: &str) -> bool {
    names(status, id) || names(&status["state"]["terminated"], id)
}

/// Whether the kubelet has lost the container, as in a pod that it has evicted: it names none any more, and makes up
/// an end. Of an ephemeral container, which runs but once, that is the session's.
fn is_lost(status: &Value) -> bool {
    let end = &status["lastState"]["terminated"];
    status["containerID"].is_null()
        && end["containerID"].is_null()
        && end["reason"] == "ContainerStatusUnknown"
}

/// Whether `containerID` in it is this container's.
fn names(value: &Value, id: &str) -> bool {
    value["containerID"].as_str().and_then(|url| url.split("://").nth(1)) == Some(id)
}

/// The end of this container, if it is one.
fn end(terminated: &Value, id: &str) -> Option<ApiEnd> {
    let time = |key: &str| terminated[key].as_str().and_then(|time| time.parse().ok());
    if !terminated["containerID"].is_null() && !names(terminated, id) {
        return None;
    }
    Some(ApiEnd {
        exit_code: terminated["exitCode"].as_i64()?,
        signal: terminated["signal"].as_i64(),
        reason: terminated["reason"].as_str().unwrap_or_default().to_owned(),
        message: terminated["message"].as_str().map(str::to_owned),
        started_at: time("startedAt"),
        finished_at: time("finishedAt"),
    })
}

fn code_differs(end: &ApiEnd, record: &Value) -> Option<String> {
    let (code, said) = (record["exit_code"].as_i64(), end.exit_code);
    match record["signal"].as_i64() {
        _ if record["exit_class"] == "START_ERROR" => {
            Some(format!("says {said}, but nothing ever ran that could exit"))
        }
        Some(signal) if end.signal == Some(signal) => None,
        Some(_) if end.reason == "OOMKilled" && record["exit_class"] == "OOM" => None,
        Some(signal) if said != 128 + signal => Some(format!("says {said}, but it was signal {signal}")),
        Some(_) => Some(format!("says {said} without a signal: `exit {said}` would look the same")),
        None if code == Some(said) && said > 128 => {
            Some(format!("{said} looks like signal {}, but it was an exit", said - 128))
        }
        None if code == Some(said) => None,
        None => Some(format!("says {said}, but the code was {}", record["exit_code"])),
    }
}

fn duration_differs(end: &ApiEnd, record: &Value) -> Option<String> {
    let said = end.finished_at?.duration_since(end.started_at?).as_secs_f64();
    let Some(ran) = record["duration_seconds"].as_f64() else {
        return Some(format!("its times span {said} s, but nothing ran"));
    };
    #[expect(clippy::float_cmp, reason = "whole seconds are exact in both")]
    (said != ran).then(|| format!("its times span {said} s; it ran for {ran} s"))
}

#[cfg(test)]
mod tests {
    use super::ApiView;
    use serde_json::{Value, json};

    /// What a watch says of the pod `u1` with the container `a1` called `dbg`.
    fn event(kind: &str, state: &Value, last: &Value) -> Value {
        let status = json!({"name": "dbg", "containerID": "containerd://a1", "restartCount": 0,
            "state": state, "lastState": last});
        json!({"type": kind, "object": {"metadata": {"uid": "u1"},
            "status": {"ephemeralContainerStatuses": [status]}}})
    }

    fn terminated(code: i64, reason: &str) -> Value {
        terminated_of("a1", code, reason)
    }

    fn terminated_of(id: &str, code: i64, reason: &str) -> Value {
        json!({"terminated": {"exitCode": code, "reason": reason, "containerID": format!("containerd://{id}"),
            "startedAt": "2026-11-23T15:26:54Z", "finishedAt": "2026-11-23T15:26:57Z"}})
    }

    fn about(id: &str) -> Value {
        json!({"session_id": id, "pod_uid": "u1", "container_name": "dbg"})
    }

    fn differences(state: &Value, last: &Value, deleted: bool, record: &Value) -> Vec<String> {
        let kind = if deleted { "DELETED" } else { "MODIFIED" };
        ApiView::of(&[event(kind, state, last)], &about("a1")).differs_from(record)
    }

    #[test]
    fn a_plain_exit_differs_in_the_duration_alone() {
        let record =
            json!({"exit_code": 42, "signal": null, "exit_class": "ERROR", "duration_seconds": 3.004});
        assert_eq!(
            differences(&terminated(42, "Error"), &json!({}), false, &record),
            ["its times span 3 s; it ran for 3.004 s"]
        );
    }

    #[test]
    fn a_signal_and_its_double() {
        let killed =
            json!({"exit_code": null, "signal": 9, "exit_class": "SIGKILL", "duration_seconds": 3.0});
        let exits = json!({"exit_code": 137, "signal": null, "exit_class": "ERROR", "duration_seconds": 3.0});
        let state = terminated(137, "Error");
        assert_eq!(
            differences(&state, &json!({}), false, &killed),
            ["says 137 without a signal: `exit 137` would look the same"]
        );
        assert_eq!(
            differences(&state, &json!({}), false, &exits),
            ["137 looks like signal 9, but it was an exit"]
        );
        assert_eq!(
            differences(&terminated(255, "Error"), &json!({}), false, &killed),
            ["says 255, but it was signal 9"]
        );
    }

    #[test]
    fn a_wrong_oom_kill_is_a_difference() {
        let record = json!({"exit_code": 3, "signal": null, "exit_class": "ERROR", "duration_seconds": 3.0});
        assert_eq!(
            differences(&terminated(3, "OOMKilled"), &json!({}), false, &record),
            ["says OOMKilled, but this session's main process was not the victim"]
        );
    }

    #[test]
    fn a_failed_start_is_found_in_last_state() {
        let record =
            json!({"exit_code": null, "signal": null, "exit_class": "START_ERROR", "duration_seconds": null});
        let waiting = json!({"waiting": {"reason": "RunContainerError"}});
        let view = ApiView::of(&[event("MODIFIED", &waiting, &terminated(128, "StartError"))], &about("a1"));
        assert!(view.hidden && view.is_final());
        assert_eq!(view.differs_from(&record).len(), 3);
    }

    #[test]
    fn a_container_that_the_kubelet_lost_has_an_end_that_names_none() {
        let made_up = json!({"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}});
        let mut lost = event("MODIFIED", &json!({"waiting": {"reason": "ContainerCreating"}}), &made_up);
        let status = &mut lost["object"]["status"]["ephemeralContainerStatuses"][0];
        (status["containerID"], status["restartCount"]) = (Value::Null, 1.into());
        let events = [event("ADDED", &json!({"running": {}}), &json!({})), lost];
        let of_kind = |kind: &str| {
            ApiView::of(
                &events,
                &json!({"session_id": "a1", "pod_uid": "u1", "container_name": "dbg", "session_kind": kind}),
            )
        };
        let view = of_kind("ephemeral");
        assert_eq!((view.state.as_str(), view.hidden, view.attempt), ("waiting", true, Some(0)));
        let record = json!({"exit_code": 44, "signal": null, "exit_class": "ERROR", "duration_seconds": 3.0});
        assert_eq!(view.differs_from(&record)[1], "says 137, but the code was 44");
        assert!(!of_kind("copy").is_final(), "it may be of another run");
    }

    #[test]
    fn a_deleted_pod_says_nothing() {
        let record = json!({"exit_code": 44, "signal": null, "exit_class": "ERROR", "duration_seconds": 3.0});
        assert_eq!(
            differences(&json!({"running": {}}), &json!({}), true, &record),
            ["says nothing of the end: the Pod object went while the state was running"]
        );
    }

    #[test]
    fn an_unknown_container_has_no_state_and_is_not_final() {
        let events = [event("MODIFIED", &json!({"running": {}}), &json!({}))];
        let view = ApiView::of(&events, &about("b2"));
        assert_eq!(view, ApiView::default());
        assert!(!view.is_final());
    }

    #[test]
    fn each_run_of_a_restarted_container_has_an_end_of_its_own() {
        let mut again = event("MODIFIED", &json!({"running": {}}), &terminated(22, "Error"));
        let status = &mut again["object"]["status"]["ephemeralContainerStatuses"][0];
        status["containerID"] = "containerd://b2".into();
        status["restartCount"] = 1.into();
        let events = [event("ADDED", &json!({"running": {}}), &json!({})), again.clone()];
        let (first, second) = (ApiView::of(&events, &about("a1")), ApiView::of(&events, &about("b2")));
        assert_eq!(
            (first.attempt, first.hidden, first.end.map(|end| end.exit_code)),
            (Some(0), true, Some(22))
        );
        assert_eq!((second.attempt, second.end), (Some(1), None));
        // The same where the first run was never reported as the current one.
        assert_eq!(ApiView::of(&[again], &about("a1")).attempt, Some(0));
    }
}
