//! From nothing to a node that is Ready.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Options;
use super::control::{self, start_gate, start_new};
use super::layout::Layout;
use super::network::Network;
use super::process::ProcessId;
use super::runtime::Runtime;
use super::state::State;
use super::{
    access, cgroups, components, guard, images, init, mount_space, oci_runtime, ownership, teardown, wait,
};
use crate::interrupt::{self, Cleanup};
use crate::progress::Step;
use crate::{command, poll, repo};

/// What makes a process the owner of a cluster. Fields are dropped in this order: first the
/// teardown, then the pipe that the guard listens to, then the lock.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) cleanup: Cleanup,
    pub(super) guard: ChildStdin,
    pub(super) _lock: File,
}

/// Starts everything. On an error what was started is taken down again.
pub(super) fn run(layout: &Layout, options: Options) -> Result<Owner> {
    check_machine(layout)?;
    let lock = ownership::take(layout)?;
    remove_stale(layout)?;
    let step = Step::begin("starting the embedded Kubernetes");
    let (cleanup, guard) = begin(layout, options.runtime)?;
    let owner = Owner { cleanup, guard, _lock: lock };
    start_all(layout, options, &step)?;
    step.done();
    Ok(owner)
}

fn check_machine(layout: &Layout) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "the embedded cluster needs root: use sudo -E");
    layout.check()?;
    let tool = repo::kubernetes_tools().join("kubelet");
    ensure!(tool.exists(), "{} is missing: cargo xtask setup", tool.display());
    Ok(())
}

/// A kept cluster is somebody's; any other that is there while we have the lock was orphaned.
fn remove_stale(layout: &Layout) -> Result<()> {
    let Some(state) = State::load(layout)? else { return Ok(()) };
    if state.kept && state.ready && state.init.is_some_and(ProcessId::alive) {
        bail!("an embedded cluster is up already; to end it: cargo xtask cluster down");
    }
    eprintln!("taking down what an earlier run left");
    teardown::run(layout)
}

/// Folders, cgroups and the guard: from here on somebody cleans up whatever happens.
fn begin(layout: &Layout, runtime: Runtime) -> Result<(Cleanup, ChildStdin)> {
    let gate = start_gate()?;
    let undone = layout.clone();
    let cleanup = interrupt::on_exit(move || {
        if let Err(error) = teardown::run(&undone) {
            eprintln!("error: {error:#}");
        }
    });
    let made = prepare(layout, runtime);
    // The gate must be open when the guard is dropped, as its teardown takes it.
    drop(gate);
    made.map(|guard| (cleanup, guard))
}

fn prepare(layout: &Layout, runtime: Runtime) -> Result<ChildStdin> {
    let data = layout.data();
    for folder in [layout.logs(), data.join("bin"), data.join("config"), layout.home(), layout.static_pods()]
    {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    empty_logs(layout)?;
    let xtask = xtask_binary()?;
    fs::copy(&xtask, layout.xtask()).with_context(|| format!("cannot copy {}", xtask.display()))?;
    oci_runtime::write_hooked(layout)?;
    let mut state = State { generation: fresh_generation()?, runtime, ..State::default() };
    state.save(layout)?;
    let (pipe, guard) = guard::spawn(layout, &state.generation)?;
    state.guard = Some(guard);
    state.made_folders = mount_space::make_mount_points(layout, runtime)?;
    state.save(layout)?;
    cgroups::make()?;
    Ok(pipe)
}

fn start_all(layout: &Layout, options: Options, step: &Step) -> Result<()> {
    let runtime = options.runtime;
    start_init(layout)?;
    let network = start_network(layout)?;
    write_configs(layout, network, options)?;
    step.detail(&format!("etcd and {}", runtime.name()));
    start_new(layout, "etcd", components::etcd(layout, network))?;
    start_new(layout, runtime.component(), runtime.command(layout))?;
    wait::for_etcd(layout, network)?;
    step.detail("kube-apiserver");
    start_new(layout, "kube-apiserver", components::api_server(layout, network))?;
    let archives = build_images(layout)?;
    wait::for_runtime(layout, runtime)?;
    for (archive, name) in &archives {
        runtime.import(layout, archive, name)?;
    }
    wait::for_api_server(layout)?;
    step.detail("controllers and kubelet");
    start_new(layout, "kube-controller-manager", components::controller_manager(layout))?;
    start_new(layout, "kube-scheduler", components::scheduler(layout))?;
    start_new(layout, "kubelet", components::kubelet(layout, network))?;
    // From the start: a pod that is there before it would fail to reach the API server, and back off.
    start_new(layout, "kube-proxy", components::proxy(layout))?;
    wait::create_runtime_classes(layout)?;
    step.detail("the node to be Ready");
    wait::for_node(layout)?;
    wait::for_default_service_account(layout)?;
    finish(layout)
}

fn start_init(layout: &Layout) -> Result<()> {
    let _gate = start_gate()?;
    let mut state = control::load(layout)?;
    let child = init::command(layout)?.spawn().context("cannot start the cluster's init")?;
    let process = ProcessId::of(child.id().cast_signed())?;
    state.init = Some(process);
    state.save(layout)?;
    let socket = layout.init_socket();
    if poll::until(Duration::from_secs(10), || socket.exists() || !process.alive()) && process.alive() {
        return Ok(());
    }
    let log = fs::read_to_string(layout.log("init")).unwrap_or_default();
    bail!("the cluster's init does not start: {}", log.trim())
}

fn start_network(layout: &Layout) -> Result<Network> {
    let _gate = start_gate()?;
    let mut state = control::load(layout)?;
    let network = Network::make(state.init.context("the cluster has no init yet")?)?;
    state.network = Some(network);
    state.save(layout)?;
    Ok(network)
}

/// Behind the gate, as everything that writes where a teardown removes.
fn write_configs(layout: &Layout, network: Network, options: Options) -> Result<()> {
    let _gate = start_gate()?;
    access::write(layout, network)?;
    components::write_configs(layout, network, options)?;
    options.runtime.write_config(layout)
}

fn build_images(layout: &Layout) -> Result<Vec<(PathBuf, &'static str)>> {
    let _gate = start_gate()?;
    images::build(layout)
}

fn finish(layout: &Layout) -> Result<()> {
    let _gate = start_gate()?;
    let mut state = control::load(layout)?;
    state.ready = true;
    state.save(layout)
}

fn empty_logs(layout: &Layout) -> Result<()> {
    for entry in fs::read_dir(layout.logs())?.flatten() {
        fs::remove_file(entry.path())?;
    }
    Ok(())
}

fn fresh_generation() -> Result<String> {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(uuid.trim().to_owned())
}

/// xtask itself, or the one beside the test binary that runs; built where it is missing.
fn xtask_binary() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    if this.file_stem().is_some_and(|name| name == "xtask") {
        return Ok(this);
    }
    let beside = repo::target().join("debug").join("xtask");
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--package", "xtask", "--bin", "xtask"]).current_dir(repo::root());
    command::run(&mut build)?;
    ensure!(Path::new(&beside).exists(), "cargo built no {}", beside.display());
    Ok(beside)
}
