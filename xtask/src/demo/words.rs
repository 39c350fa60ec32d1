//! A `session_ended` as a person would want to read it. Pure.

use serde_json::Value;

/// The record in words, some lines of text.
#[must_use]
pub fn words(record: &Value) -> String {
    let text = |key: &str| record[key].as_str().unwrap_or("unknown").to_owned();
    let mut lines = vec![
        format!(
            "{} in pod {}/{} {}",
            text("container_name"),
            text("namespace"),
            text("pod_name"),
            ended(record)
        ),
        row("kind", &kind(record)),
        row("image", &text("image")),
        row("node", &text("node_name")),
        row("started", &text("started_at")),
        row("ended", &text("finished_at")),
        row(
            "ran for",
            &record["duration_seconds"].as_f64().map_or("unknown".to_owned(), |s| format!("{s:.6} s")),
        ),
        row("main process", &main(&record["main"])),
        row("evidence", &evidence(&record["evidence"])),
    ];
    if let Some(cause) = record["cause"].as_str() {
        lines.push(row("cause", cause));
    }
    lines.join("\n")
}

fn row(name: &str, value: &str) -> String {
    format!("  {name:<13} {value}")
}

fn ended(record: &Value) -> String {
    let class = record["exit_class"].as_str().unwrap_or_default();
    match (record["exit_code"].as_i64(), record["signal"].as_i64()) {
        _ if class == "START_ERROR" => "never started: its command could not be run".to_owned(),
        (Some(0), _) => "ended cleanly, exit code 0".to_owned(),
        (Some(code), _) => format!("ended by itself with exit code {code} ({class})"),
        (_, Some(signal)) => {
            let name = record["signal_name"].as_str().unwrap_or_default();
            let why = if class == "OOM" { ", for want of memory" } else { "" };
            format!("was ended by signal {signal} ({name}){why}")
        }
        _ => "ended, and it was not seen how".to_owned(),
    }
}

fn kind(record: &Value) -> String {
    let kind = match record["session_kind"].as_str() {
        Some("ephemeral") => "debug container (kubectl debug POD)",
        Some("node_debug") => "node debugging (kubectl debug node/NODE)",
        Some("copy") => "debugging a copy (kubectl debug --copy-to)",
        Some("container") => "ordinary container",
        _ => "unknown",
    };
    match record["target_container"].as_str() {
        Some(target) => format!("{kind}, target {target}"),
        None => kind.to_owned(),
    }
}

fn main(main: &Value) -> String {
    if main.is_null() {
        return "none was seen".to_owned();
    }
    let program = main["exe"].as_str().or(main["comm"].as_str()).unwrap_or("unknown");
    let pid = |key: &str| main[key].as_u64().map_or("?".to_owned(), |pid| pid.to_string());
    format!("{program}, pid {} on the node, {} in the container", pid("pid"), pid("pid_in_container"))
}

fn evidence(evidence: &Value) -> String {
    let kernel = match evidence["kernel"].as_str() {
        Some("full") => "the kernel saw start and end",
        Some("start_only") => "the kernel saw the start only",
        Some("exit_only") => "the kernel saw the end only",
        _ => "the kernel saw nothing run",
    };
    let named =
        evidence["named_by"].as_str().map(|by| format!(", named by the {}", who(by))).unwrap_or_default();
    let lost =
        evidence["lost_events"].as_u64().map(|lost| format!(", {lost} events lost")).unwrap_or_default();
    format!("{kernel}{named}{lost}")
}

fn who(by: &str) -> &str {
    if by == "api" { "API" } else { by }
}

#[cfg(test)]
mod tests {
    use super::words;
    use serde_json::json;

    #[test]
    fn an_exit_code() {
        let record = json!({
            "namespace": "shop", "pod_name": "web", "container_name": "dbg", "session_kind": "ephemeral",
            "target_container": "app", "image": "local/busybox:1", "node_name": "n1", "exit_code": 42, "signal": null,
            "exit_class": "ERROR", "started_at": "A", "finished_at": "B", "duration_seconds": 3.005_123_4,
            "main": {"pid": 26623, "pid_in_container": 31, "comm": "sh", "exe": "/bin/busybox"},
            "evidence": {"kernel": "full", "named_by": "runtime", "lost_events": 0},
        });
        let expected = "\
dbg in pod shop/web ended by itself with exit code 42 (ERROR)
  kind          debug container (kubectl debug POD), target app
  image         local/busybox:1
  node          n1
  started       A
  ended         B
  ran for       3.005123 s
  main process  /bin/busybox, pid 26623 on the node, 31 in the container
  evidence      the kernel saw start and end, named by the runtime, 0 events lost";
        assert_eq!(words(&record), expected);
    }

    #[test]
    fn first_lines_of_other_ends() {
        let line = |record| words(&record).lines().next().unwrap_or_default().to_owned();
        assert_eq!(
            line(json!({"container_name": "c", "namespace": "n", "pod_name": "p", "signal": 9,
                "signal_name": "SIGKILL", "exit_class": "OOM"})),
            "c in pod n/p was ended by signal 9 (SIGKILL), for want of memory"
        );
        assert_eq!(
            line(json!({"exit_class": "START_ERROR"})),
            "unknown in pod unknown/unknown never started: its command could not be run"
        );
        assert!(line(json!({"exit_class": "UNKNOWN"})).ends_with("ended, and it was not seen how"));
    }
}
