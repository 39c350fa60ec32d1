//! From nothing to a node that is Ready.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Options;
use super::control::{self, start_gate, start_new};
use super::network::Network;
use super::paths::Paths;
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
pub(super) fn run(paths: &Paths, options: Options) -> Result<Owner> {
    check_machine(paths)?;
    let lock = ownership::take(paths)?;
    remove_stale(paths)?;
    let step = Step::begin("starting the embedded Kubernetes");
    let (cleanup, guard) = begin(paths, options.runtime)?;
    let owner = Owner { cleanup, guard, _lock: lock };
    start_all(paths, options, &step)?;
    step.done();
    Ok(owner)
}

fn check_machine(paths: &Paths) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "the embedded cluster needs root: use sudo -E");
    paths.check()?;
    let tool = repo::kubernetes_tools().join("kubelet");
    ensure!(tool.exists(), "{} is missing: cargo xtask setup", tool.display());
    Ok(())
}

/// A kept cluster has an owner; any other that is there while we have the lock was orphaned.
fn remove_stale(paths: &Paths) -> Result<()> {
    let Some(state) = State::load(paths)? else { return Ok(()) };
    if state.kept && state.ready && state.init.is_some_and(ProcessId::alive) {
        bail!("an embedded cluster is up already; to end it: cargo xtask cluster down");
    }
    eprintln!("taking down what an earlier run left");
    teardown::run(paths)
}

/// Folders, cgroups and the guard: from here on all is cleaned up whatever happens.
fn begin(paths: &Paths, runtime: Runtime) -> Result<(Cleanup, ChildStdin)> {
    let gate = start_gate()?;
    let undone = paths.clone();
    let cleanup = interrupt::on_exit(move || {
        if let Err(error) = teardown::run(&undone) {
            eprintln!("error: {error:#}");
        }
    });
    let made = prepare(paths, runtime);
    // The gate must be open when the guard is dropped, as its teardown takes it.
    drop(gate);
    made.map(|guard| (cleanup, guard))
}

fn prepare(paths: &Paths, runtime: Runtime) -> Result<ChildStdin> {
    let data = paths.data();
    for folder in [paths.logs(), data.join("bin"), data.join("config"), paths.home(), paths.static_pods()] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    empty_logs(paths)?;
    let xtask = xtask_binary()?;
    fs::copy(&xtask, paths.xtask()).with_context(|| format!("cannot copy {}", xtask.display()))?;
    oci_runtime::write_hooked(paths)?;
    let mut state = State { generation: fresh_generation()?, runtime, ..State::default() };
    state.save(paths)?;
    let (pipe, guard) = guard::spawn(paths, &state.generation)?;
    state.guard = Some(guard);
    state.made_folders = mount_space::make_mount_points(paths, runtime)?;
    state.save(paths)?;
    cgroups::make()?;
    Ok(pipe)
}

fn start_all(paths: &Paths, options: Options, step: &Step) -> Result<()> {
    let runtime = options.runtime;
    start_init(paths)?;
    let network = start_network(paths)?;
    write_configs(paths, network, options)?;
    step.detail(&format!("etcd and {}", runtime.name()));
    start_new(paths, "etcd", components::etcd(paths, network))?;
    start_new(paths, runtime.component(), runtime.command(paths))?;
    wait::for_etcd(paths, network)?;
    step.detail("kube-apiserver");
    start_new(paths, "kube-apiserver", components::api_server(paths, network))?;
    let archives = build_images(paths)?;
    wait::for_runtime(paths, runtime)?;
    for (archive, name) in &archives {
        runtime.import(paths, archive, name)?;
    }
    wait::for_api_server(paths)?;
    step.detail("controllers and kubelet");
    start_new(paths, "kube-controller-manager", components::controller_manager(paths))?;
    start_new(paths, "kube-scheduler", components::scheduler(paths))?;
    start_new(paths, "kubelet", components::kubelet(paths, network))?;
    // From the start: a pod that is there before it would fail to reach the API server, and back off.
    start_new(paths, "kube-proxy", components::proxy(paths))?;
    wait::create_runtime_classes(paths)?;
    step.detail("the node to be Ready");
    wait::for_node(paths)?;
    wait::for_default_service_account(paths)?;
    finish(paths)
}

fn start_init(paths: &Paths) -> Result<()> {
    let _gate = start_gate()?;
    let mut state = control::load(paths)?;
    let child = init::command(paths)?.spawn().context("cannot start the cluster's init")?;
    let process = ProcessId::of(child.id().cast_signed())?;
    state.init = Some(process);
    state.save(paths)?;
    let socket = paths.init_socket();
    if poll::until(Duration::from_secs(10), || socket.exists() || !process.alive()) && process.alive() {
        return Ok(());
    }
    let log = fs::read_to_string(paths.log("init")).unwrap_or_default();
    bail!("the cluster's init does not start: {}", log.trim())
}

fn start_network(paths: &Paths) -> Result<Network> {
    let _gate = start_gate()?;
    let mut state = control::load(paths)?;
    let network = Network::make(state.init.context("the cluster has no init yet")?)?;
    state.network = Some(network);
    state.save(paths)?;
    Ok(network)
}

/// Behind the gate, as everything that writes where a teardown removes.
fn write_configs(paths: &Paths, network: Network, options: Options) -> Result<()> {
    let _gate = start_gate()?;
    access::write(paths, network)?;
    components::write_configs(paths, network, options)?;
    options.runtime.write_config(paths)
}

fn build_images(paths: &Paths) -> Result<Vec<(PathBuf, &'static str)>> {
    let _gate = start_gate()?;
    images::build(paths)
}

fn finish(paths: &Paths) -> Result<()> {
    let _gate = start_gate()?;
    let mut state = control::load(paths)?;
    state.ready = true;
    state.save(paths)
}

fn empty_logs(paths: &Paths) -> Result<()> {
    for entry in fs::read_dir(paths.logs())?.flatten() {
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
