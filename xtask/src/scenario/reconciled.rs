//! What the records of a session say of the API: is it what the API itself says, and all of it? Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::api::{ApiEnd, ApiView};
use super::check::{about, time};

/// What a `session_reconciled` says again as its `session_ended` said it.
const REPEATED: [&str; 19] = [
    "session_id",
    "namespace",
    "pod_name",
    "pod_uid",
    "container_name",
    "container_id",
    "session_kind",
    "exit_code",
    "signal",
    "signal_name",
    "core_dumped",
    "container_exit_code",
    "exit_class",
    "exit_meaning",
    "started_at",
    "finished_at",
    "duration_ns",
    "duration_seconds",
    "main",
];

/// What is wrong with the records of one session, whose end is `view` in the API.
#[must_use]
pub fn findings(ended: &Value, reconciled: Option<&Value>, view: &ApiView) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(attempt) = view.attempt
        && ended["attempt"].as_u64() != Some(attempt)
    {
        found.push(format!("attempt is {}, the API says {attempt}", ended["attempt"]));
    }
    if let Some(reconciled) = reconciled {
        let differs = REPEATED.iter().filter(|field| reconciled[**field] != ended[**field]);
        found.extend(differs.map(|field| format!("session_reconciled has another {field}")));
        if !ended["evidence"]["api"].is_null() {
            found.push("session_ended had the API's status already, and still it is reconciled".to_owned());
        }
    }
    let evidence = api_evidence(ended, reconciled);
    found.extend(match &view.end {
        Some(end) => differences(&evidence, end, ended),
        None if evidence.is_null() => Vec::new(),
        None => vec!["has an API's status that the API did not give".to_owned()],
    });
    found.into_iter().map(|line| format!("{}: {line}", about(ended))).collect()
}

/// `evidence.api` of a session, wherever it stands.
#[must_use]
pub fn api_evidence(ended: &Value, reconciled: Option<&Value>) -> Value {
    let api = |record: &Value| Some(record["evidence"]["api"].clone()).filter(|api| !api.is_null());
    reconciled.and_then(api).or_else(|| api(ended)).unwrap_or_default()
}

fn differences(evidence: &Value, end: &ApiEnd, ended: &Value) -> Vec<String> {
    if evidence.is_null() {
        return vec![format!("the API says {}, and no record has it", end.exit_code)];
    }
    let mut found = Vec::new();
    let mut same = |field: &str, holds: bool, api: &dyn std::fmt::Debug| {
        if !holds {
            found.push(format!("evidence.api.{field} is {}, the API says {api:?}", evidence[field]));
        }
    };
    same("exit_code", evidence["exit_code"].as_i64() == Some(end.exit_code), &end.exit_code);
    same("reason", evidence["reason"].as_str().unwrap_or_default() == end.reason, &end.reason);
    same("message", evidence["message"].as_str() == end.message.as_deref(), &end.message);
    for (field, api) in [("started_at", end.started_at), ("finished_at", end.finished_at)] {
        // A start error began in 1970, which is to say never.
        let api = api.filter(|at| *at != Timestamp::UNIX_EPOCH);
        same(field, time(&evidence[field]) == api, &api);
    }
    let agrees = ended["container_exit_code"].as_i64().map(|code| code == end.exit_code);
    same("agrees", evidence["agrees"].as_bool() == agrees, &agrees);
    found
}

#[cfg(test)]
mod tests {
    use super::findings;
    use crate::scenario::api::{ApiEnd, ApiView};
    use serde_json::{Value, json};

    fn ended() -> Value {
        json!({"type": "session_ended", "container_name": "dbg", "attempt": 0, "exit_code": 49,
            "container_exit_code": 49, "evidence": {"api": null}})
    }

    fn reconciled() -> Value {
        let mut record = ended();
        record["type"] = "session_reconciled".into();
        record["evidence"]["api"] = json!({"exit_code": 255, "synthetic": "unknown", "reason": "Unknown",
            "message": null, "started_at": "2026-11-23T15:26:54.000000000Z",
            "finished_at": "2026-11-23T15:26:57.000000000Z", "agrees": false});
        record
    }

    fn view() -> ApiView {
        let end = ApiEnd {
            exit_code: 255,
            signal: None,
            reason: "Unknown".to_owned(),
            message: None,
            started_at: "2026-11-23T15:26:54Z".parse().ok(),
            finished_at: "2026-11-23T15:26:57Z".parse().ok(),
        };
        ApiView { end: Some(end), attempt: Some(0), ..ApiView::default() }
    }

    #[test]
    fn the_apis_own_status_fits() {
        assert_eq!(findings(&ended(), Some(&reconciled()), &view()), [""; 0]);
    }

    #[test]
    fn another_status_than_the_apis_does_not_fit() {
        for (field, value) in [
            ("exit_code", json!(49)),
            ("reason", json!("Error")),
            ("message", json!("gone")),
            ("started_at", Value::Null),
            ("agrees", json!(true)),
        ] {
            let mut record = reconciled();
            record["evidence"]["api"][field] = value;
            assert_eq!(findings(&ended(), Some(&record), &view()).len(), 1, "{field}");
        }
    }

    #[test]
    fn a_status_that_is_missing_or_invented_does_not_fit() {
        let missing = findings(&ended(), None, &view());
        assert_eq!(missing, ["session_ended of dbg: the API says 255, and no record has it"]);
        assert_eq!(findings(&ended(), Some(&reconciled()), &ApiView::default()).len(), 1);
        assert_eq!(findings(&ended(), None, &ApiView::default()), [""; 0]);
    }

    #[test]
    fn a_reconciled_end_that_differs_does_not_fit() {
        let mut record = reconciled();
        record["exit_code"] = 48.into();
        let found = findings(&ended(), Some(&record), &view());
        assert_eq!(found, ["session_ended of dbg: session_reconciled has another exit_code"]);
    }

    #[test]
    fn another_attempt_than_the_apis() {
        let view = ApiView { attempt: Some(1), ..view() };
        assert_eq!(
            findings(&ended(), Some(&reconciled()), &view),
            ["session_ended of dbg: attempt is 0, the API says 1"]
        );
    }
}
