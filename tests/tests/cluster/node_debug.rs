//! `kubectl debug node/NODE` of kubectls that label nothing, with the profiles that do not give both the host's root and its
//! namespaces.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use debugtrail_tests::debug::PATIENCE;
use debugtrail_tests::tier::Tier;
use serde_json::json;
use tempfile::NamedTempFile;
use xtask::cluster::BUSYBOX_IMAGE;
use xtask::command;
use xtask::scenario::access::Access;
use xtask::scenario::matcher::mismatches;
use xtask::scenario::pod::Namespace;
use xtask::scenario::trace::Trace;

/// By the kubectls of the Google Cloud SDK, whose package has one of each version beside its own. `restricted` wants another
/// user than root, which ours gets by `--custom`.
pub fn profiles_of_older_kubectls(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let found = older_kubectls();
    if found.is_empty() {
        println!("no kubectl of 1.30 to 1.33 on this machine: only the pods that they make are tested");
        return Ok(());
    }
    let namespace = Namespace::create(&access, "test")?;
    let user = NamedTempFile::new()?;
    std::fs::write(user.path(), r#"{"securityContext": {"runAsUser": 1000}}"#)?;
    let trace = Trace::start(&access, &["--namespace", &namespace.name])?;
    for (version, kubectl) in &found {
        for profile in ["netadmin", "baseline", "restricted"] {
            let container = format!("dbg-{profile}-{version}");
            let mut debug = debug_node(&access, kubectl, &namespace.name, profile, &container);
            if profile == "restricted" {
                debug.env("KUBECTL_DEBUG_CUSTOM_PROFILE", "true").arg("--custom").arg(user.path());
            }
            debug.args(["--", "sh", "-c", "sleep 1; exit 22"]);
            command::output(&mut debug)?;
            let ended = trace.wait_for_session("session_ended", &container, PATIENCE)?;
            let expected = json!({
                "session_kind": "node_debug", "exit_code": 22,
                "evidence": {"kernel": "full", "kind_by": "inferred"},
            });
            let wrong = mismatches(&expected, &ended);
            ensure!(wrong.is_empty(), "{container}: {}", wrong.join("; "));
        }
    }
    trace.stop().map(drop)
}

fn debug_node(
    access: &Access,
    kubectl: &PathBuf,
    namespace: &str,
    profile: &str,
    container: &str,
) -> Command {
    let mut debug = Command::new(kubectl);
    access.set_environment(&mut debug);
    debug.args(["debug", &format!("node/{}", access.node_name), "-n", namespace, "--attach=false"]);
    debug.args([&format!("--image={BUSYBOX_IMAGE}"), "--image-pull-policy=Never"]);
    debug.args([&format!("--profile={profile}"), &format!("--container={container}")]);
    debug
}

/// With the minor version of each.
fn older_kubectls() -> Vec<(u32, PathBuf)> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let beside = std::env::split_paths(&folders)
        .filter_map(|folder| folder.join("kubectl").canonicalize().ok())
        .filter_map(|kubectl| kubectl.parent().map(ToOwned::to_owned));
    let mut found: Vec<(u32, PathBuf)> = beside
        .flat_map(|folder| (30..=33).map(move |minor| (minor, folder.join(format!("kubectl.1.{minor}")))))
        .filter(|(_, kubectl)| kubectl.is_file())
        .collect();
    found.sort();
    found.dedup();
    found
}
