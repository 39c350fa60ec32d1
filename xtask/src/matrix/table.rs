//! docs/kernels.md: what debugtrail records on each kernel, as its guest said.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use super::outcome::Outcome;
use super::{CONTAINERS, KERNEL, SYSTEMD, kernels::Kernel};
use crate::repo;

/// What `debugtrail doctor` says of a kernel; the rest of its report is about the cluster.
const CHECKS: [&str; 3] = ["kernel", "programs", "locked memory"];

/// Writes the file.
pub(super) fn write(kernels: &[Kernel], outcomes: &[Outcome]) -> Result<()> {
    let path = repo::root().join("docs/kernels.md");
    let today = jiff::Timestamp::now().strftime("%F").to_string();
    fs::write(&path, text(&today, kernels, outcomes))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn text(today: &str, kernels: &[Kernel], outcomes: &[Outcome]) -> String {
    let of = |kernel: &Kernel, tier: &str| {
        outcomes.iter().find(|outcome| outcome.release == kernel.release && outcome.tier == tier)
    };
    let mut text = format!(
        "# Kernels\n\n<!-- Written by `cargo xtask test matrix`. -->\n\n\
         Debian's cloud kernels, booted by qemu with cgroup v2 alone, on {today}. The tests are those that\n\
         run on a machine. *With systemd* is the containers tier where systemd makes the cgroups (runc's systemd\n\
         driver). A test is *skipped* where a kernel lacks what it is about; it says so below.\n\n\
         | Linux | kernel tier | containers tier | with systemd | `debugtrail doctor` |\n|---|---|---|---|---|\n"
    );
    for kernel in kernels {
        let [tests, containers, systemd] = [KERNEL, CONTAINERS, SYSTEMD].map(|tier| of(kernel, tier));
        let doctor = tests.map(|outcome| doctor(&outcome.said).join("; ")).unwrap_or_default();
        text.push_str(&format!(
            "| {} | {} | {} | {} | {doctor} |\n",
            kernel.release,
            count(tests),
            count(containers),
            count(systemd)
        ));
    }
    for kernel in kernels {
        let said: Vec<&Outcome> =
            [KERNEL, CONTAINERS, SYSTEMD].iter().filter_map(|tier| of(kernel, tier)).collect();
        let lacking = said.iter().flat_map(|outcome| outcome.lacking());
        let notes = said.iter().flat_map(|outcome| outcome.notes());
        let lines: Vec<String> = lacking
            .map(|lacking| format!("skipped, as this kernel lacks it: {lacking}"))
            .chain(notes)
            .collect();
        if !lines.is_empty() {
            text.push_str(&format!("\n{}\n- {}\n", kernel.release, lines.join("\n- ")));
        }
    }
    text
}

fn count(outcome: Option<&Outcome>) -> String {
    let Some(outcome) = outcome else { return "not run".to_owned() };
    let lacking = outcome.lacking().len();
    let passed = match outcome.counts {
        Some(counts) => format!("{} passed", (counts.passed as usize).saturating_sub(lacking)),
        None => "no end".to_owned(),
    };
    let failed = outcome.counts.map_or(0, |counts| counts.failed);
    [(passed, true), (format!("{failed} failed"), failed > 0), (format!("{lacking} skipped"), lacking > 0)]
        .into_iter()
        .filter_map(|(words, is_said)| is_said.then_some(words))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What it says of the kernel; the release stands beside it.
fn doctor(said: &str) -> Vec<String> {
    let report = said.split_once(super::job::DOCTOR).map_or("", |(_, rest)| rest);
    let mut reports = serde_json::Deserializer::from_str(report).into_iter::<Value>();
    let Some(Ok(report)) = reports.next() else { return vec!["no report".to_owned()] };
    let checks = report["checks"].as_array().cloned().unwrap_or_default();
    let of_kernel = checks.iter().filter(|check| CHECKS.iter().any(|name| check["check"] == *name));
    of_kernel
        .map(|check| {
            let what = check["what"].as_str().unwrap_or_default();
            let what = what.split_once(", its ").map_or(what, |(_, rest)| rest);
            format!("{}: {what}", check["check"].as_str().unwrap_or_default())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doctors_findings_on_the_kernel_are_read() {
        let said = format!(
            "test a ... ok\n{}\n{{\"checks\": [\n  {{\"check\": \"kernel\", \"what\": \"6.1.0, its BTF has every field\"}},\n\
             {{\"check\": \"clock\", \"what\": \"not synchronised\"}}]}}\nguest: kernel ended with 0\n",
            crate::matrix::job::DOCTOR
        );
        assert_eq!(doctor(&said), ["kernel: BTF has every field"]);
        assert_eq!(doctor("test a ... ok\n"), ["no report"]);
    }
}
