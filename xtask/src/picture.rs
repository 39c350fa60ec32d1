//! `cargo xtask picture`: the README's picture, taken from a real run.
//!
//! Two debug sessions of one pod: a shell exits with 137, and a program is killed with SIGKILL. Kubernetes
//! shows 137 for both and nothing once the pod is gone.

use std::fs;
use std::io::BufRead;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result, ensure};

use crate::cluster::{Cluster, Options};
use crate::scenario::access::Access;
use crate::scenario::feed::Feed;
use crate::scenario::folder::Scenario;
use crate::scenario::pod::{Namespace, Pod};
use crate::scenario::script::Script;
use crate::{build, repo, scenario, setup};

const SCENARIO: &str = "10";
/// Its sessions.
const SESSIONS: [&str; 2] = ["exits", "killed"];
/// Where the picture stands.
const FILE: &str = "docs/picture.svg";
const PATIENCE: Duration = Duration::from_secs(60);
/// What the API says of the debug containers: name, code, reason.
const STATUSES: &str = r#"{{range .status.ephemeralContainerStatuses}}{{.name}}{{"\t"}}{{.state.terminated.exitCode}}{{" "}}{{.state.terminated.reason}}{{"\n"}}{{end}}"#;

/// Runs the scenario and writes the picture.
///
/// # Errors
/// When it can't be run, or the file can't be written.
pub fn run() -> Result<()> {
    setup::run()?;
    build::run()?;
    let kept = Cluster::attach()?;
    let is_kept = kept.is_some();
    let cluster = kept.map_or_else(|| Cluster::up(&Options::default()), Ok)?;
    let seen = look(&Access::embedded(&cluster));
    if !is_kept {
        cluster.down()?;
    }
    let file = repo::root().join(FILE);
    let terminal = anstyle_svg::Term::new().min_width_px(920);
    fs::write(&file, terminal.render_svg(&seen?.text()))
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("{}", file.display());
    Ok(())
}

/// What a person saw.
struct Seen {
    /// `kubectl get pod`.
    api: String,
    /// `debugtrail trace`.
    table: Vec<String>,
    /// `kubectl get pod` after the pod was deleted.
    afterwards: String,
}

fn look(access: &Access) -> Result<Seen> {
    let scenario = Scenario::find(&scenario::folder(), SCENARIO)?;
    let namespace = Namespace::create(access, "shop")?;
    let pod = Pod::run(access, &namespace.name, &scenario.folder.join("pod.yaml"))?;
    let table = Feed::start(access.debugtrail("trace"), |stdout| stdout.lines().map_while(Result::ok))?;
    table.wait_for("agent started", PATIENCE, |lines| {
        lines.iter().any(|line| line.contains("agent started")).then_some(())
    })?;
    Script::read(&scenario, access, &pod)?.run(access)?;
    let ends = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| line.contains("  ended  ")).cloned().collect()
    };
    let rows =
        table.wait_for("both ends", PATIENCE, |lines| Some(ends(lines)).filter(|rows| rows.len() == 2))?;
    let header = table.look(|lines| lines.first().cloned()).context("no header")?;
    await_statuses(&pod)?;
    let get = ["get", "pod", &pod.name, "-n", &pod.namespace];
    let api = access.kubectl_output(&[&get[..], &["-o", &format!("go-template={STATUSES}")]].concat())?;
    access.kubectl_output(&[
        "delete",
        "pod",
        &pod.name,
        "-n",
        &pod.namespace,
        "--force",
        "--grace-period=0",
    ])?;
    let gone = access.kubectl().args(get).output()?;
    ensure!(!gone.status.success(), "the pod is still there");
    let afterwards = String::from_utf8_lossy(&gone.stderr).trim().to_owned();
    Ok(Seen { api, table: std::iter::once(header).chain(rows).collect(), afterwards })
}

fn await_statuses(pod: &Pod) -> Result<()> {
    pod.wait_for("the API's status of both", PATIENCE, |pod, _| {
        let statuses = pod["status"]["ephemeralContainerStatuses"].as_array()?;
        let ended = |name: &str| {
            statuses.iter().any(|one| one["name"] == name && one["state"]["terminated"].is_object())
        };
        SESSIONS.iter().all(|name| ended(name)).then_some(())
    })
}

impl Seen {
    /// As on a terminal.
    fn text(&self) -> String {
        let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
        let same = AnsiColor::Yellow.on_default();
        let (exit, kill) = (AnsiColor::Green.on_default().bold(), AnsiColor::Red.on_default().bold());
        let prompt = |command: &str| format!("{dim}${dim:#} {bold}{command}{bold:#}\n");
        let mut text = prompt("kubectl get pod web   # its two debug containers");
        for line in self.api.lines() {
            let (name, end) = line.split_once('\t').unwrap_or((line, ""));
            text.push_str(&format!("{name:8}{same}{end}{same:#}\n"));
        }
        text.push('\n');
        text.push_str(&prompt("debugtrail trace"));
        for line in &self.table {
            let line = line.replace("exit 137", &format!("{exit}exit 137{exit:#}"));
            let killed = line.split_once("SIGKILL").map(|(before, after)| {
                let (how, rest) = after.split_once("  ").unwrap_or((after, ""));
                format!("{before}{kill}SIGKILL{how}{kill:#}  {rest}")
            });
            text.push_str(&killed.unwrap_or(line));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&prompt("kubectl delete pod web; kubectl get pod web"));
        text.push_str(&format!("{}\n", self.afterwards));
        text
    }
}
