//! A real Prometheus reads what the agent counts.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use debugtrail_tests::agent::{RunningAgent, free_address};
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::http;
use debugtrail_tests::tier::Tier;
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::poll;
use xtask::setup::prometheus;

pub fn scrapes_an_agent(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let ledger = tempfile::tempdir()?;
    let agent = RunningAgent::start(&patient.access, ledger.path())?;
    let prometheus = Prometheus::start(agent.address())?;
    patient.session("dbg", 42)?.end()?;
    agent.wait_for_session("session_ended", "dbg")?;
    let query = "debugtrail_sessions_ended_total%7Bkind=%22ephemeral%22,class=%22ERROR%22%7D";
    ensure!(
        poll::until(PATIENCE, || prometheus.value(query).is_ok_and(|value| value == "1")),
        "Prometheus does not know of the end: {:?}",
        prometheus.answer(query)
    );
    ensure!(prometheus.value("up")? == "1", "the scrape is not up: {}", prometheus.answer("up")?);
    agent.stop()?;
    Ok(())
}

/// Scrapes one address each second. Ended when dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Prometheus {
    fn start(target: SocketAddr) -> Result<Self> {
        let (folder, address) = (tempfile::tempdir()?, free_address()?);
        // JSON is YAML.
        let config = json!({
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "debugtrail", "static_configs": [{"targets": [target.to_string()]}]}],
        });
        let (path, log) = (folder.path().join("config.yml"), File::create(folder.path().join("log"))?);
        std::fs::write(&path, config.to_string())?;
        let child = Command::new(prometheus::binary())
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start Prometheus: cargo xtask test installs it")?;
        let prometheus = Self { child, address, folder };
        let ready = || http::get(address, "/-/ready").is_ok_and(|(status, _)| status == 200);
        ensure!(poll::until(PATIENCE, ready), "Prometheus does not get ready: {}", prometheus.log());
        Ok(prometheus)
    }

    fn answer(&self, query: &str) -> Result<Value> {
        let (_, body) = http::get(self.address, &format!("/api/v1/query?query={query}"))?;
        serde_json::from_str(&body).with_context(|| format!("no JSON from Prometheus: {body}"))
    }

    /// The value of the one series that a query finds.
    fn value(&self, query: &str) -> Result<String> {
        let answer = self.answer(query)?;
        let value = answer["data"]["result"][0]["value"][1].as_str();
        value.map(str::to_owned).with_context(|| format!("{query} finds nothing"))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("Prometheus (pid {}) is left behind: {error}", self.child.id());
        }
    }
}
