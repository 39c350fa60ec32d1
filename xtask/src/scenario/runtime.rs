//! What containerd says of every container: the truth that is measured beside the tracer.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;

use super::feed::Feed;
use crate::command;

/// What containerd said of one container's main process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// Its pid on the host.
    pub pid: Option<u32>,
    /// As a shell would show it: a signal is 128 + its number.
    pub exit_status: Option<u32>,
    /// When the shim reaped it.
    pub exited_at: Option<Timestamp>,
    /// A process in its memory cgroup, or in one around it, was killed for want of memory.
    pub oom: bool,
}

/// `ctr events`: containerd's tasks as they start and end.
#[derive(Debug)]
pub struct Tasks(Feed<Event>);

impl Tasks {
    /// Begins to listen.
    ///
    /// # Errors
    /// When `ctr` cannot be started.
    pub fn listen(socket: &Path) -> Result<Self> {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(socket).args(["--namespace", "k8s.io", "events"]);
        Ok(Self(Feed::start(command, |stdout| {
            stdout.lines().map_while(Result::ok).filter_map(|line| parse(&line))
        })?))
    }

    /// Waits until containerd has said that this container's main process is gone.
    ///
    /// # Errors
    /// When `timeout` passes before.
    pub fn wait_for_exit(&self, container_id: &str, timeout: Duration) -> Result<Task> {
        self.0.wait_for(&format!("containerd's exit event of {container_id}"), timeout, |events| {
            tasks(events).remove(container_id).filter(|task| task.exit_status.is_some())
        })
    }

    /// What it says of a container in the end, if it ever started it.
    #[must_use]
    pub fn final_state(&self, container_id: &str, timeout: Duration) -> Option<Task> {
        let so_far = self.so_far().remove(container_id)?;
        // The kernel may be faster than containerd.
        Some(self.wait_for_exit(container_id, timeout).unwrap_or(so_far))
    }

    /// Whether containerd still sends events: it does not once it has been away.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.0.is_open()
    }

    /// All that was said so far, by container id.
    #[must_use]
    pub fn so_far(&self) -> BTreeMap<String, Task> {
        self.0.look(tasks)
    }
}

/// The pid of a container's main process on this machine.
///
/// # Errors
/// When containerd does not answer or has no such task.
pub fn pid(socket: &Path, container_id: &str) -> Result<u32> {
    let mut ctr = Command::new("ctr");
    ctr.arg("--address").arg(socket).args(["--namespace", "k8s.io", "tasks", "list"]);
    let list = command::output(&mut ctr)?;
    pid_in(&list, container_id)
        .with_context(|| format!("containerd runs no container {container_id}:\n{list}"))
}

/// A line is `ID PID STATUS`.
fn pid_in(list: &str, container_id: &str) -> Option<u32> {
    let mut words = list.lines().map(str::split_whitespace);
    words.find_map(|mut words| (words.next() == Some(container_id)).then(|| words.next()?.parse().ok())?)
}

/// One event about a task; others are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Start { container_id: String, pid: Option<u32> },
    Exit { container_id: String, pid: Option<u32>, exit_status: u32, exited_at: Option<Timestamp> },
    Oom { container_id: String },
}

fn tasks(events: &[Event]) -> BTreeMap<String, Task> {
    let mut tasks: BTreeMap<String, Task> = BTreeMap::new();
    for event in events {
        match event.clone() {
            Event::Start { container_id, pid } => tasks.entry(container_id).or_default().pid = pid,
            Event::Exit { container_id, pid, exit_status, exited_at } => {
                let task = tasks.entry(container_id).or_default();
                task.pid = pid;
                task.exit_status = Some(exit_status);
                task.exited_at = exited_at;
            }
            Event::Oom { container_id } => tasks.entry(container_id).or_default().oom = true,
        }
    }
    tasks
}

/// A line is `TIME NAMESPACE TOPIC JSON`; the JSON leaves out what is zero.
fn parse(line: &str) -> Option<Event> {
    let (head, json) = line.split_at(line.find('{')?);
    let json: Value = serde_json::from_str(json).ok()?;
    let container_id = json["container_id"].as_str()?.to_owned();
    let pid = json["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    match head.split_whitespace().last()? {
        "/tasks/start" => Some(Event::Start { container_id, pid }),
        "/tasks/oom" => Some(Event::Oom { container_id }),
        // An exec in the container has an id of its own.
        "/tasks/exit" if json["id"] == container_id.as_str() => Some(Event::Exit {
            container_id,
            pid,
            exit_status: json["exit_status"].as_u64().unwrap_or(0).try_into().ok()?,
            exited_at: json["exited_at"].as_str().and_then(|time| time.parse().ok()),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Task, parse, pid_in, tasks};

    const START: &str =
        r#"2026-11-24 02:49:03.681782097 +0000 UTC k8s.io /tasks/start {"container_id":"f9","pid":1931}"#;
    const EXIT: &str = r#"2026-11-24 02:49:06.690432099 +0000 UTC k8s.io /tasks/exit {"container_id":"f9","id":"f9","pid":1931,"exit_status":42,"exited_at":"2026-11-24T02:49:06.689758062Z"}"#;
    const OOM: &str = r#"2026-11-24 02:50:30.913097035 +0000 UTC k8s.io /tasks/oom {"container_id":"f9"}"#;

    #[test]
    fn a_container_comes_and_goes() {
        let events: Vec<Event> = [START, OOM, EXIT].into_iter().filter_map(parse).collect();
        let expected = Task {
            pid: Some(1931),
            exit_status: Some(42),
            exited_at: Some("2026-11-24T02:49:06.689758062Z".parse().unwrap()),
            oom: true,
        };
        assert_eq!(tasks(&events)["f9"], expected);
    }

    #[test]
    fn a_task_has_a_pid() {
        let list = "TASK    PID     STATUS\nf9aa    1931    RUNNING\nf9      1932    STOPPED\n";
        assert_eq!(pid_in(list, "f9"), Some(1932));
        assert_eq!(pid_in(list, "f"), None);
    }

    #[test]
    fn status_zero_is_left_out() {
        let line = EXIT.replace(r#""exit_status":42,"#, "");
        assert!(matches!(parse(&line), Some(Event::Exit { exit_status: 0, .. })));
    }

    #[test]
    fn an_exec_in_a_container_is_not_its_end() {
        assert_eq!(parse(&EXIT.replace(r#""id":"f9""#, r#""id":"exec1""#)), None);
    }

    #[test]
    fn other_lines_are_ignored() {
        assert_eq!(
            parse(r#"2026-11-24 02:49:06 +0000 UTC k8s.io /tasks/delete {"container_id":"f9"}"#),
            None
        );
        assert_eq!(parse("2026-11-24 02:49:06 +0000 UTC k8s.io /tasks/exit {"), None);
        assert_eq!(parse(""), None);
    }
}
