//! A scenario is a folder: README.md for people, pod.yaml, run.sh, expect.json. Adding one means adding a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::matcher;
use crate::cluster::Runtime;

/// What a scenario must give.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// What its sessions are.
    #[serde(default)]
    pub session_kind: SessionKind,
    /// It stops parts of its node: no other scenario can run there at the same time.
    #[serde(default)]
    pub alone: bool,
    /// The kubelet makes its containers anew until the pod goes: more attempts may come than `records` has,
    /// counted from 0, and the API need have no final status of each.
    #[serde(default)]
    pub made_anew: bool,
    /// Per debug container: how it ends, in words. Every session of the scenario is named here.
    pub truth: BTreeMap<String, String>,
    /// Partial records that must come, each exactly once; see [`matcher`]. A number as `attempt`
    /// distinguishes the runs of one container.
    pub records: Vec<Value>,
    /// Per debug container: partial processes that must stand in its `session_processes`, each for one process of its
    /// own. There may be others.
    #[serde(default)]
    pub processes: BTreeMap<String, Vec<Value>>,
}

/// What the sessions of a scenario are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// Ephemeral containers of the scenario's pod.
    #[default]
    Ephemeral,
    /// Pods of their own, made by `kubectl debug node/N`.
    NodeDebug,
    /// Pods of their own, made by `kubectl debug POD --copy-to`.
    Copy,
}

impl Expect {
    /// Parses and checks an expect.json.
    ///
    /// # Errors
    /// When it is no JSON of this shape, uses a matcher that does not exist, leaves out what a record is about, says
    /// the same twice, or has a session without a `session_ended`.
    pub fn parse(text: &str) -> Result<Self> {
        let expect: Self = serde_json::from_str(text)?;
        for record in &expect.records {
            matcher::validate(record).map_err(anyhow::Error::msg)?;
            let container = record["container_name"].as_str().unwrap_or_default();
            ensure!(record["type"].is_string(), "a record without `type`: {record}");
            ensure!(
                expect.truth.contains_key(container),
                "`truth` says nothing of the container of {record}"
            );
        }
        for (container, processes) in &expect.processes {
            ensure!(
                expect.truth.contains_key(container),
                "`truth` says nothing of {container}, which has `processes`"
            );
            let closed = |record: &Value| {
                record["type"] == "session_closed" && record["container_name"] == **container
            };
            ensure!(
                expect.records.iter().any(closed),
                "{container} has `processes`, so it needs a session_closed"
            );
            processes
                .iter()
                .try_for_each(|process| matcher::validate(process).map_err(anyhow::Error::msg))?;
        }
        let mut keys = BTreeSet::new();
        for record in &expect.records {
            let key = ["type", "container_name", "attempt"].map(|field| record[field].to_string());
            ensure!(keys.insert(key), "two records that no `attempt` distinguishes: {record}");
        }
        for container in expect.truth.keys() {
            let ends =
                |record: &Value| record["type"] == "session_ended" && record["container_name"] == **container;
            ensure!(expect.records.iter().any(ends), "container {container} needs a session_ended");
        }
        Ok(expect)
    }
}

/// A scenario's folder, read and checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The folder's name, such as `05-ephemeral-exit`.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// The README's heading.
    pub title: String,
    /// What it must give.
    pub expect: Expect,
}

impl Scenario {
    /// Reads one folder.
    ///
    /// # Errors
    /// When one of the four files is missing or unusable; the error names it.
    pub fn read(folder: &Path) -> Result<Self> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = |file: &str| {
            let path = folder.join(file);
            std::fs::read_to_string(&path)
                .with_context(|| format!("scenario {name} needs {}", path.display()))
        };
        let expect =
            Expect::parse(&text("expect.json")?).with_context(|| format!("scenarios/{name}/expect.json"))?;
        let title = title(&text("README.md")?)
            .with_context(|| format!("scenarios/{name}/README.md has no # heading"))?;
        text("pod.yaml")?;
        text("run.sh")?;
        Ok(Self { name, folder: folder.to_owned(), title, expect })
    }

    /// The same as it is on a container runtime: where the folder has an `expect.RUNTIME.json`, that is what it must give.
    ///
    /// # Errors
    /// When that file is unusable.
    pub fn on(&self, runtime: Runtime) -> Result<Self> {
        let path = self.folder.join(format!("expect.{}.json", runtime.name()));
        if !path.exists() {
            return Ok(self.clone());
        }
        let what = || format!("scenarios/{}/expect.{}.json", self.name, runtime.name());
        let expect = Expect::parse(&std::fs::read_to_string(&path).with_context(what)?).with_context(what)?;
        Ok(Self { expect, ..self.clone() })
    }

    /// Every scenario of a folder of scenarios, by name.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn all(scenarios: &Path) -> Result<Vec<Self>> {
        let mut folders = Vec::new();
        for entry in
            std::fs::read_dir(scenarios).with_context(|| format!("cannot list {}", scenarios.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
        folders.sort();
        folders.iter().map(|folder| Self::read(folder)).collect()
    }

    /// The one that is meant: by its whole name or by its number.
    ///
    /// # Errors
    /// When none or more than one is meant; the error lists what there is.
    pub fn find(scenarios: &Path, wanted: &str) -> Result<Self> {
        let all = Self::all(scenarios)?;
        let names = || all.iter().map(|scenario| scenario.name.as_str()).collect::<Vec<_>>().join(", ");
        let meant: Vec<_> = all
            .iter()
            .filter(|scenario| scenario.name == wanted || scenario.name.split('-').next() == Some(wanted))
            .collect();
        match meant.as_slice() {
            [one] => Ok((*one).clone()),
            [] => bail!("no scenario {wanted:?}; there are: {}", names()),
            _ => bail!("{wanted:?} means more than one scenario; give the whole name: {}", names()),
        }
    }
}

fn title(readme: &str) -> Option<String> {
    readme.lines().find_map(|line| line.strip_prefix("# ")).map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Expect, SessionKind, title};

    #[test]
    fn an_expectation_is_read() {
        let expect = Expect::parse(
            r#"{"truth": {"dbg": "exit 42"}, "records": [{"type": "session_ended", "container_name": "dbg"}]}"#,
        )
        .unwrap();
        assert_eq!(expect.truth["dbg"], "exit 42");
        assert_eq!(expect.records.len(), 1);
    }

    #[test]
    fn the_runs_of_a_container_need_an_attempt() {
        let expect = |attempts: [u32; 2]| {
            let ended = |attempt| {
                format!(r#"{{"type": "session_ended", "container_name": "dbg", "attempt": {attempt}}}"#)
            };
            let records = attempts.map(ended).join(", ");
            Expect::parse(&format!(
                r#"{{"session_kind": "copy", "truth": {{"dbg": "exit 22"}}, "records": [{records}]}}"#
            ))
        };
        assert_eq!(expect([0, 1]).unwrap().session_kind, SessionKind::Copy);
        assert!(expect([1, 1]).is_err());
    }

    #[test]
    fn an_expectation_that_cannot_fail_is_refused() {
        for text in [
            r#"{"truth": {"dbg": "exit 42"}, "records": []}"#,
            r#"{"truth": {}, "records": [{"type": "session_ended", "container_name": "dbg"}]}"#,
            r#"{"truth": {"dbg": "x"}, "records": [{"container_name": "dbg"}]}"#,
            r#"{"truth": {}, "records": [], "record": []}"#,
            r#"{"truth": {"dbg": "x"}, "records": [{"type": "session_ended", "container_name": "dbg"}], "processes": {"dbg": [{}]}}"#,
            r#"{"truth": {"dbg": "x"}, "records": [{"type": "session_ended", "container_name": "dbg", "n": {"$mn": 1}}]}"#,
        ] {
            assert!(Expect::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_heading_is_the_title() {
        assert_eq!(title("\n# Exit 42\nmore\n# x").as_deref(), Some("Exit 42"));
        assert_eq!(title("no heading"), None);
    }
}
