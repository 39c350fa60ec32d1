//! `debugtrail agent`: the DaemonSet's process. What `trace` does, for good.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use super::witness::{Keeping, Witness};
use crate::clock;
use crate::kernel;
use crate::ledger::{Ledger, Limits, Opened};
use crate::pipeline::{Agent as Keeps, Format, Memory, Recorder, Style};
use crate::serve::{self, Pulse, Status};
use crate::sinks::metrics::Metrics;

/// Options of `agent`.
#[derive(Debug, Args)]
pub struct Agent {
    /// Folder of the ledger: records on disk, kept across restarts
    #[arg(long, value_name = "DIR", default_value = "/var/lib/debugtrail")]
    ledger: PathBuf,
    /// Mebibytes of records to keep; the oldest go first
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    ledger_size: u64,
    /// Where /livez, /readyz and /metrics are served
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9757")]
    listen: SocketAddr,
    #[command(flatten)]
    witness: Witness,
}

pub(super) fn run(agent: Agent) -> anyhow::Result<()> {
    kernel::check_privileges()?;
    let boot_id = clock::boot_id()?;
    // Both first: a second agent on this node must not come so far as to load programs.
    let opened = Ledger::open(&agent.ledger, Limits::of_mebibytes(agent.ledger_size), boot_id.clone())?;
    let listener = serve::listen(agent.listen)?;
    agent.witness.run(None, |node, convention, argv| {
        let Opened { history, heartbeat, snapshot, writing } = opened;
        let memory = Memory::of(history, heartbeat, snapshot, &boot_id);
        let ledger = writing.start(std::io::stdout())?;
        let metrics = Arc::new(Metrics::new(ledger.health()));
        let pulse = Arc::new(Pulse::default());
        let status =
            Status { pulse: Arc::clone(&pulse), ledger: ledger.health(), metrics: Arc::clone(&metrics) };
        serve::start(listener, status).context("can't start the thread that serves health and metrics")?;
        let keeps = Keeps::new(ledger.keeper(), pulse, Arc::clone(&metrics));
        let style = Style { format: Format::Json, namespace: None, convention, argv };
        let recorder = Recorder::new(node, style, Box::new(ledger)).counting(metrics);
        Ok(Keeping { recorder, memory, agent: Some(keeps) })
    })
}
