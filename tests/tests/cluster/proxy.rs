//! The API server behind a proxy.

use std::fs;

use anyhow::{Context, Result, ensure};
use debugtrail_tests::attack::is_whole;
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::proxy::Proxy;
use debugtrail_tests::tier::Tier;
use serde_json::Value;
use tempfile::NamedTempFile;
use xtask::scenario::trace::Trace;

/// A kubeconfig's `proxy-url` with a password: what is seen has its names through the proxy alone, and the password is
/// nowhere in what `trace` says. ($HTTPS_PROXY never leads to a server on this machine: `pods/connect/proxy`.)
pub fn names_come_through_it_and_its_password_is_kept(tier: &Tier) -> Result<()> {
    let cluster = tier.cluster()?;
    let patient = Patient::admit(tier.access()?)?;
    let proxy = Proxy::start()?;
    let mut config: Value = serde_json::from_str(&fs::read_to_string(cluster.kubeconfig())?)?;
    config["clusters"][0]["cluster"]["proxy-url"] = proxy.url().into();
    let kubeconfig = NamedTempFile::new()?;
    fs::write(kubeconfig.path(), config.to_string())?;
    let access = patient.access.clone().with_kubeconfig(kubeconfig.path().to_owned());
    let trace = Trace::start(&access, &[])?;
    let session = patient.session("dbg", 7)?;
    trace.wait_for_session("session_started", "dbg", PATIENCE)?;
    session.end()?;
    trace.wait_for_session("session_ended", "dbg", PATIENCE)?;
    ensure!(proxy.passed_on() > 0, "nothing went through the proxy");
    let said = trace.log();
    let records = trace.stop()?;
    is_whole(&session, 7, &records)?;
    let all = format!("{said}\n{}", serde_json::to_string(&records).context("records are JSON")?);
    for secret in proxy.secrets() {
        ensure!(!all.contains(secret), "the password is shown:\n{said}");
    }
    Ok(())
}
