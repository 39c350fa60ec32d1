//! `debugtrail agent`: the DaemonSet's process. What `trace` does, for good.

use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use super::shared_options::{Keeping, SharedOptions};
use super::signals::Hangup;
use crate::clock;
use crate::ids::RecorderId;
use crate::kernel::{self, Kernel, LoadOptions, Object, Pins, PinsError, Started, pins};
use crate::ledger::{Ledger, Limits, Opened};
use crate::pipeline::{AgentOutputs, Format, Memory, Recorder, Style};
use crate::pods::access::Refused;
use crate::serve::{self, Pulse, Status, address};
use crate::sinks::metrics::Metrics;
use crate::sinks::standard_output;
use crate::visible;

/// Of every address of this machine, unless `--listen` names one.
const PORT: u16 = 9757;

/// Options of `agent`.
#[derive(Debug, Args)]
pub struct AgentOptions {
    /// Folder of the ledger: records on disk, kept across restarts
    #[arg(long, value_name = "DIR", default_value = "/var/lib/debugtrail")]
    ledger: PathBuf,
    /// Mebibytes of records to keep; the oldest go first
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    ledger_size: u64,
    /// Where /startupz, /livez, /readyz and /metrics are served, such as 127.0.0.1:9757 or [::1]:9757
    /// [default: port 9757 of every address, of IPv6 and IPv4]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Folder on a BPF file system in which programs and maps are pinned, so that the kernel goes on
    /// recording while no agent runs
    #[arg(long, value_name = "DIR", default_value = pins::DEFAULT)]
    pins: PathBuf,
    /// Pin nothing: what happens while no agent runs is not recorded
    #[arg(long, conflicts_with = "pins")]
    no_pins: bool,
    /// Remove what agents have pinned on this node, and do nothing else
    #[arg(long, conflicts_with = "no_pins")]
    unpin: bool,
    /// After that, stay until SIGTERM or SIGINT: for the pods of a DaemonSet, which must not end
    #[arg(long, requires = "unpin")]
    stay: bool,
    /// For tests of an upgrade: the programs of another version
    #[arg(long, value_name = "FILE", hide = true)]
    object: Option<PathBuf>,
    #[command(flatten)]
    shared: SharedOptions,
}

pub(super) fn run(agent: AgentOptions) -> anyhow::Result<()> {
    if agent.unpin {
        unpin(&agent.pins)?;
        return if agent.stay { super::shared_options::wait_for_stop() } else { Ok(()) };
    }
    kernel::check_privileges()?;
    let boot_id = clock::boot_id()?;
    // Both first: a second agent on this node must fail before it loads programs.
    let opened = Ledger::open(&agent.ledger, Limits::of_mebibytes(agent.ledger_size), boot_id.clone())?;
    let listener = agent.listen.map_or_else(|| address::everywhere(PORT), address::on)?;
    let Opened { history, heartbeat, snapshot, writing } = opened;
    let memory = Memory::of(history, heartbeat, snapshot, &boot_id);
    let stdout = standard_output().context("standard output can't be used")?;
    let ledger = writing.start(BufWriter::new(stdout))?;
    let metrics = Arc::new(Metrics::new(ledger.health()));
    let pulse = Arc::new(Pulse::default());
    // Before what may take long, such as an API server that refuses: probes are answered meanwhile, and an
    // agent that never attaches its programs is found not live.
    let status = Status { pulse: Arc::clone(&pulse), ledger: ledger.health(), metrics: Arc::clone(&metrics) };
    serve::start(listener, status).context("can't start the thread that serves health and metrics")?;
    let pins = if agent.no_pins { None } else { pins_in(&agent.pins)? };
    let object = agent.object.as_deref().map(Object::read).transpose().context("can't read --object")?;
    let start = move |options: LoadOptions| match pins {
        Some(pins) => Kernel::start(options, &object.unwrap_or_else(Object::own), pins),
        None => Kernel::load(options).map(Started::of_loaded),
    };
    agent.shared.run(Hangup::Ignored, None, Refused::TriesAgain, start, |node, convention, argv| {
        let outputs = AgentOutputs::new(ledger.keeper(), pulse, Arc::clone(&metrics));
        let style = Style { format: Format::Json, namespace: None, convention, argv };
        let id = RecorderId::draw().context("the kernel gives no random bytes")?;
        let recorder = Recorder::new(node, id, style, Box::new(ledger)).counting(metrics);
        Ok(Keeping { recorder, memory, agent: Some(outputs) })
    })
}

/// `None` where this node has no place for them: an agent that records while it runs is better than none.
fn pins_in(folder: &Path) -> Result<Option<Pins>, PinsError> {
    match Pins::open(folder) {
        Ok(pins) => Ok(Some(pins)),
        Err(error @ PinsError::Held { .. }) => Err(error),
        Err(error) => {
            tracing::warn!("{error}; until then, what happens while no agent runs is not recorded");
            Ok(None)
        }
    }
}

fn unpin(folder: &Path) -> anyhow::Result<()> {
    let removed = Pins::remove_all(folder)?;
    let shown = folder.display().to_string();
    let shown = visible::line(&shown);
    if removed {
        eprintln!("removed what was pinned in {shown}: nothing of debugtrail is in the kernel any more");
    } else {
        eprintln!("nothing is pinned in {shown}");
    }
    Ok(())
}
