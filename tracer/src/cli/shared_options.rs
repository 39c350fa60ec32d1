//! What `trace` and `agent` have in common: their options, and tracing this node until the end.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokio::sync::mpsc;

use super::convention;
use super::signals::{self, Hangup};
use crate::cgroup::Hierarchy;
use crate::clock::{self, ClockWatch};
use crate::kernel::{self, KernelError, LoadOptions, Started};
use crate::malloc;
use crate::pipeline::{AgentOutputs, Inputs, Memory, NodeFacts, Pipeline, Recorder};
use crate::pods::access::{self, Refused};
use crate::pods::watch;
use crate::record::{Convention, redact::Argv};
use crate::runtime::Bundles;
use crate::session::{Policy, RECORDED};

/// Changes of pods that may wait to be taken in; past it the watch waits, and the API keeps them.
const POD_EVENTS: usize = 256;

/// Options of `trace` and of `agent`.
#[derive(Debug, Args)]
pub struct SharedOptions {
    /// Record ordinary and init containers as well
    #[arg(long)]
    all_containers: bool,
    /// Kubeconfig of the node's cluster [default: $KUBECONFIG, else the service account, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Name of this node in the cluster [default: the node whose boot id is this machine's]
    #[arg(long, env = "NODE_NAME")]
    node: Option<String>,
    /// Folder of the container runtime's bundles, one for each container, where the runtime is none of those whose place
    /// is known: containerd (plain, k3s, k0s, MicroK8s) and CRI-O; can be given more than once
    #[arg(long, value_name = "DIR")]
    runtime_state: Vec<PathBuf>,
    /// Arguments of what sessions execute, in `main.argv` and `session_processes` [default when given: redacted, which
    /// leaves out what looks like a secret]
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, require_equals = true, default_value_t = Argv::Off,
        default_missing_value = "redacted")]
    argv: Argv,
    /// How many processes of a session are recorded, the main one left out; those that come after are counted
    #[arg(long, value_name = "COUNT", default_value_t = RECORDED)]
    processes: u64,
    /// Kibibytes of the kernel's events that may wait until they are read; a power of two. More is needed
    /// where sessions start processes by the thousand a second and `gap` records say `ring_full`
    #[arg(long, value_name = "KIB", default_value_t = 1024, value_parser = ring_kib)]
    ring_size: u32,
    /// What your exit codes mean: lines of `CODE NAME [info|warning|error]`
    #[arg(long, value_name = "FILE")]
    exit_codes: Option<PathBuf>,
}

/// Where records go, and what is known from before.
pub(super) struct Keeping {
    pub(super) recorder: Recorder,
    pub(super) memory: Memory,
    pub(super) agent: Option<AgentOutputs>,
}

impl SharedOptions {
    /// Traces until a signal or the output's end. `start` gives the programs. `keeping` is asked where
    /// records go once the node's name is known. `namespace` is the one that is reported; the cluster should
    /// have it. `refused` says what to do where the API server refuses.
    pub(super) fn run(
        self,
        hangup: Hangup,
        namespace: Option<&str>,
        refused: Refused,
        start: impl FnOnce(LoadOptions) -> Result<Started, KernelError>,
        keeping: impl FnOnce(NodeFacts, Convention, Argv) -> anyhow::Result<Keeping>,
    ) -> anyhow::Result<()> {
        runtime()?.block_on(self.trace(hangup, namespace, refused, start, keeping))
    }

    fn load_options(&self) -> LoadOptions {
        LoadOptions { ring_bytes: Some(self.ring_size * 1024), with_args: self.argv != Argv::Off }
    }

    async fn trace(
        self,
        hangup: Hangup,
        namespace: Option<&str>,
        refused: Refused,
        start: impl FnOnce(LoadOptions) -> Result<Started, KernelError>,
        keeping: impl FnOnce(NodeFacts, Convention, Argv) -> anyhow::Result<Keeping>,
    ) -> anyhow::Result<()> {
        // First: until then a signal kills this process.
        let mut stop = std::pin::pin!(signals::stop(hangup)?);
        let convention = self.exit_codes.as_deref().map(convention::read).transpose()?.unwrap_or_default();
        kernel::check_privileges()?;
        let hierarchy = Hierarchy::find()?;
        let boot_id = clock::boot_id()?;
        // An API server that does not answer must not hold up the end.
        let (client, node_name) = tokio::select! {
            found = access::reach(self.kubeconfig.as_deref(), self.node.as_deref(), namespace, &boot_id, refused) => found?,
            _ = &mut stop => return Ok(()),
        };
        let Started { mut kernel, ring, handover } = start(self.load_options())?;
        malloc::give_back();
        let logger = kernel.logger();

        let node = NodeFacts {
            node_name: Some(node_name.clone()),
            boot_id,
            kernel_release: rustix::system::uname().release().to_string_lossy().into_owned(),
        };
        let bundles = Bundles::with(&self.runtime_state);
        let Keeping { recorder, memory, agent } = keeping(node, convention, self.argv)?;
        let (all_containers, processes) = (self.all_containers, self.processes);
        let policy = Policy { all_containers, processes, with_args: self.argv != Argv::Off };
        let mut pipeline = Pipeline::new(kernel, handover, &hierarchy, bundles, policy, recorder, memory)?;
        if let Some(agent) = agent {
            pipeline = pipeline.as_agent(agent);
        }

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
}

/// The kernel wants whole pages, and a power of two of them.
fn ring_kib(text: &str) -> Result<u32, String> {
    let kib: u32 = text.parse().map_err(|error| format!("{error}"))?;
    let fits = kib.is_power_of_two() && (4..=1 << 20).contains(&kib);
    fits.then_some(kib).ok_or_else(|| "not a power of two from 4 to 1048576".to_owned())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().context("can't start the asynchronous runtime")
}

/// Does nothing until a signal.
pub(super) fn wait_for_stop() -> anyhow::Result<()> {
    runtime()?.block_on(async {
        signals::stop(Hangup::Ignored)?.await;
        Ok(())
    })
}
