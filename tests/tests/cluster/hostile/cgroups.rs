//! Cgroups with the names of containers: whoever may write to the hierarchy can make them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use debugtrail_tests::attack::{Apart, Attack, cgroup, hierarchy, is_whole, text};
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::tier::Tier;
use procfs::process::Process;
use serde_json::json;
use xtask::poll;
use xtask::scenario::check;
use xtask::scenario::trace::Trace;

/// What a session exits with.
const CODE: u8 = 6;

/// Unknown containers; the kernel side has room for a thousand more.
const UNKNOWN: &str = "3000";

/// Neither an empty cgroup with a real pod's UID nor one with a stranger inside gives a record, and a second one with a
/// session's id keeps that session from nothing.
pub fn forged_cgroups_belong_to_no_session(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &[])?;
    let session = patient.session("dbg", CODE)?;
    trace.wait_for_session("session_started", "dbg", PATIENCE)?;
    let files = Files::new("debugtrail-forged")?;
    let own = cgroup(&session)?;
    let variables = [("OWN", text(&own)?), ("SESSION", &*session.id), ("POD_UID", &*patient.pod.uid)];
    let attack = files.start("forged_cgroups", &variables)?;
    session.end()?;
    trace.wait_for_session("session_ended", "dbg", PATIENCE)?;
    let closed = trace.wait_for_session("session_closed", "dbg", PATIENCE)?;
    ensure!(
        files.apart.path().join("kubepods").exists(),
        "closed after the second cgroup was gone: {closed}"
    );
    files.end(attack)?;
    let records = trace.stop()?;
    is_whole(&session, CODE, &records)?;
    for record in check::of_sessions(&records) {
        ensure!(record["session_id"] == session.id.as_str(), "a record of no session: {record}");
    }
    let gap = records.iter().find(|record| record["type"] == "gap");
    ensure!(gap.is_none(), "a gap where nothing was missed: {gap:?}");
    let evidence = &session.records("session_ended", &records)[0]["evidence"];
    ensure!(evidence["named_by"] == "runtime", "{evidence}");
    ensure!(evidence["disagreements"] == json!(["second_cgroup"]), "{evidence}");
    Ok(())
}

/// Thousands of them hold up nothing: the session beside them is named by the runtime.
pub fn thousands_of_unknown_containers_hold_up_nothing(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &[])?;
    let files = Files::new("debugtrail-unknown")?;
    let attack = files.start("unknown_cgroups", &[("COUNT", UNKNOWN)])?;
    let before = cpu_ticks(trace.pid())?;
    let session = patient.session("beside", CODE)?;
    let started = trace.wait_for_session("session_started", "beside", PATIENCE)?;
    ensure!(started["evidence"]["named_by"] == "runtime", "{started}");
    session.end()?;
    trace.wait_for_session("session_closed", "beside", PATIENCE)?;
    println!("a session beside {UNKNOWN} unknown cgroups: {} ticks of CPU", cpu_ticks(trace.pid())? - before);
    files.end(attack)?;
    is_whole(&session, CODE, &trace.stop()?)
}

fn cpu_ticks(pid: u32) -> Result<u64> {
    let stat = Process::new(i32::try_from(pid)?)?.stat()?;
    Ok(stat.utime + stat.stime)
}

/// The files by which an attacker's script and its test signal each other.
pub(super) struct Files {
    folder: tempfile::TempDir,
    pub apart: Apart,
}

impl Files {
    /// For cgroups below this one.
    pub fn new(apart: &str) -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, apart: Apart::new(apart)? })
    }

    /// A file or folder for the script alone.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it and returns once it has made what it makes.
    pub fn start(&self, name: &str, variables: &[(&str, &str)]) -> Result<Attack> {
        let (hierarchy, made, over) = (hierarchy()?, self.path("made"), self.path("over"));
        let common = [
            ("HIERARCHY", text(&hierarchy)?),
            ("APART", self.apart.name()),
            ("MADE", text(&made)?),
            ("OVER", text(&over)?),
        ];
        let mut attack = Attack::start(name, &[&common, variables].concat())?;
        let is_over = poll::until(PATIENCE, || made.exists() || attack.has_ended());
        if made.exists() {
            return Ok(attack);
        }
        attack.wait().with_context(|| format!("{name} made nothing ({is_over})"))?;
        anyhow::bail!("{name} made nothing");
    }

    /// Lets it take away what it has made.
    pub fn end(&self, attack: Attack) -> Result<()> {
        fs::write(self.path("over"), "")?;
        attack.wait()
    }
}
