//! Pods that are hard to read.

use std::process::Command;

use anyhow::{Result, ensure};
use debugtrail_tests::agent::RunningAgent;
use debugtrail_tests::attack::{Attack, MEMORY_LIMIT, is_whole, peak_memory};
use debugtrail_tests::debug::Patient;
use debugtrail_tests::tier::Tier;
use xtask::scenario::access::Access;
use xtask::scenario::pod::Namespace;

/// One Pod object that many a client cannot read stops the naming of no other pod: neither where it is there at the start,
/// nor where it comes later.
pub fn an_odd_pod_costs_itself_alone(tier: &Tier) -> Result<()> {
    // Each with a name of its own: the second agent may report the first one's session from the API.
    for (at_the_start, beside) in [(true, "beside-a"), (false, "beside-b")] {
        let patient = Patient::admit(tier.access()?)?;
        let folder = tempfile::tempdir()?;
        if at_the_start {
            attack("odd_pod", &patient)?;
        }
        let agent = RunningAgent::start(&patient.access, folder.path())?;
        if !at_the_start {
            // Its pods are listed once it names one.
            patient.session("before", 3)?.end()?;
            agent.wait_for_session("session_ended", "before")?;
            attack("odd_pod", &patient)?;
        }
        let session = patient.session(beside, 4)?;
        agent.wait_for_session("session_started", beside)?;
        session.end()?;
        agent.wait_for_session("session_ended", beside)?;
        is_whole(&session, 4, &agent.stop()?)?;
    }
    Ok(())
}

/// 80 MB of pods at the start fit into the memory that the DaemonSet has.
pub fn sixty_large_pods_fit_into_memory(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    // The test's own watch on the patient's namespace need not read them.
    let namespace = Namespace::create(&patient.access, "fat")?;
    attack_in(&namespace.name, "fat_pods", &patient)?;
    let folder = tempfile::tempdir()?;
    let agent = RunningAgent::start(&patient.access, folder.path())?;
    let session = patient.session("beside", 5)?;
    agent.wait_for_session("session_started", "beside")?;
    session.end()?;
    agent.wait_for_session("session_ended", "beside")?;
    let peak = peak_memory(agent.pid())?;
    let records = agent.stop()?;
    println!("an agent beside 60 pods of 1.3 MB each: {} KiB at most", peak / 1024);
    ensure!(peak < MEMORY_LIMIT, "{peak} bytes at most");
    is_whole(&session, 5, &records)
}

/// Runs an attacker's script in the patient's namespace, with `kubectl` on the cluster.
fn attack(name: &str, patient: &Patient) -> Result<()> {
    attack_in(&patient.pod.namespace, name, patient)
}

/// The same in another namespace.
fn attack_in(namespace: &str, name: &str, patient: &Patient) -> Result<()> {
    let variables = variables(&patient.access);
    let mut variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (&**name, &**value)).collect();
    variables.extend([("NAMESPACE", namespace), ("NODE", &*patient.access.node_name)]);
    Attack::run(name, &variables)
}

/// What makes `kubectl` of a script reach the cluster.
fn variables(access: &Access) -> Vec<(String, String)> {
    let mut any = Command::new("true");
    access.set_environment(&mut any);
    let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    any.get_envs().filter_map(|(name, value)| Some((text(name), text(value?)))).collect()
}
