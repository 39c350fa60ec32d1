//! `debugtrail trace`: this node, in the foreground.

use std::{
    future::Future,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::cgroup::Hierarchy;
use crate::clock::{self, ClockWatch};
use crate::ids::BootId;
use crate::kernel::{Kernel, LoadOptions};
use crate::pipeline::{Format, Inputs, NodeFacts, Pipeline, Recorder, Style};
use crate::pods::{connect, watch};
use crate::record::{Convention, StopReason};
use crate::session::Policy;
use crate::sinks::stdout::Stdout;

/// Changes of pods that may wait to be taken in; past it the watch waits, and the API keeps them.
const POD_EVENTS: usize = 256;

/// Options of `trace`.
#[derive(Debug, Args)]
pub struct Trace {
    /// How records are printed
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Only sessions of this namespace
    #[arg(short, long)]
    namespace: Option<String>,
    /// Record ordinary and init containers as well
    #[arg(long)]
    all_containers: bool,
    /// Kubeconfig of the node's cluster [default: $KUBECONFIG, else the service account, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Name of this node in the cluster [default: the node whose boot id is this machine's]
    #[arg(long, env = "NODE_NAME")]
    node: Option<String>,
    /// What your exit codes mean: lines of `CODE NAME [info|warning|error]`
    #[arg(long, value_name = "FILE")]
    exit_codes: Option<PathBuf>,
}

pub(super) fn run(trace: Trace) -> anyhow::Result<()> {
    runtime()?.block_on(witness(trace))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().context("can't start the asynchronous runtime")
}

async fn witness(trace: Trace) -> anyhow::Result<()> {
    // First, so that an early signal is not the default's sudden death.
    let mut stop = std::pin::pin!(stop_signal()?);
    let convention = trace.exit_codes.as_deref().map(read_convention).transpose()?.unwrap_or_default();
    let boot_id = clock::boot_id()?;
    // An API server that does not answer must not hold up the end.
    let (client, node_name) = tokio::select! {
        found = reach_api(&trace, &boot_id) => found?,
        _ = &mut stop => return Ok(()),
    };
    let hierarchy = Hierarchy::find()?;
    let (mut kernel, ring) = Kernel::load(LoadOptions::default())?;
    let logger = kernel.logger();

    let node = NodeFacts {
        node_name: Some(node_name.clone()),
        boot_id,
        kernel_release: rustix::system::uname().release().to_string_lossy().into_owned(),
    };
    let out = Stdout::start().context("can't start the thread that writes to stdout")?;
    let style = Style { format: trace.output, namespace: trace.namespace, convention };
    let recorder = Recorder::new(node, style, Box::new(out));
    let policy = Policy { all_containers: trace.all_containers };
    let pipeline = Pipeline::new(kernel, &hierarchy, policy, recorder)?;

    let (sender, pods) = mpsc::channel(POD_EVENTS);
    // On a thread of its own: a bundle is gone some 50 ms after its session, and a long list of pods takes longer to
    // parse. It ends with the channel.
    let runtime = runtime()?;
    std::thread::Builder::new()
        .name("pods".into())
        .spawn(move || runtime.block_on(watch::run(client, &node_name, sender)))
        .context("can't start the thread that watches pods")?;
    let clock = ClockWatch::new().context("can't watch the clock")?;
    pipeline.run(Inputs { ring, logger, pods, clock }, stop).await.map(|_| ())
}

async fn reach_api(trace: &Trace, boot_id: &BootId) -> Result<(kube::Client, String), connect::ConnectError> {
    let client = connect::client(trace.kubeconfig.as_deref()).await?;
    let node_name = connect::node_name(&client, trace.node.as_deref(), boot_id).await?;
    Ok((client, node_name))
}

fn read_convention(path: &Path) -> anyhow::Result<Convention> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("can't read the exit codes in {}; check --exit-codes", path.display()))?;
    Convention::parse(&text).with_context(|| format!("{} is no exit-code convention", path.display()))
}

/// Resolves at SIGINT or SIGTERM.
fn stop_signal() -> anyhow::Result<impl Future<Output = StopReason>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => StopReason::Interrupted,
            _ = terminate.recv() => StopReason::Terminated,
        }
    })
}
