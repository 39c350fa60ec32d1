//! `cargo xtask cluster up|down|status`.

use std::env;

use anyhow::Result;

use super::paths::Paths;
use super::{Cluster, Options, Runtime, leftovers, ownership};
use crate::deploy::DaemonSet;
use crate::{build, setup};

/// Starts the cluster, with debugtrail's DaemonSet on it where `with_agent` says so, and leaves it running.
///
/// # Errors
/// When it does not start.
pub fn up(with_agent: bool, runtime: Runtime) -> Result<()> {
    setup::for_cluster(runtime)?;
    if with_agent {
        build::run()?;
    }
    let cluster = Cluster::up(&Options { keep: true, runtime, ..Options::default() })?;
    if with_agent {
        DaemonSet::deploy(&cluster)?;
    }
    println!("the embedded cluster is up; to use it:\n");
    print_use(&cluster);
    if with_agent {
        println!("records:    kubectl logs -n debugtrail daemonset/debugtrail --follow | grep '^{{'");
    }
    println!("\nto end it: cargo xtask cluster down");
    Ok(())
}

/// Takes the cluster down.
///
/// # Errors
/// When something is left.
pub fn down() -> Result<()> {
    super::take_down()?;
    println!("down: no process, mount, cgroup or network link of the embedded cluster is left");
    Ok(())
}

/// Says whether it is up.
///
/// # Errors
/// When its state cannot be read.
pub fn status() -> Result<()> {
    if let Some(cluster) = Cluster::attach()? {
        println!("the embedded cluster is up:\n");
        print_use(&cluster);
        return Ok(());
    }
    if let Some(pid) = ownership::held_by(&Paths::new())? {
        println!("process {pid} has the embedded cluster and will take it down itself");
        return Ok(());
    }
    let left = leftovers()?;
    if left.is_empty() {
        println!("the embedded cluster is down");
    } else {
        println!("the embedded cluster is down, but there is:\n  {}", left.join("\n  "));
        println!("to clean up: cargo xtask cluster down");
    }
    Ok(())
}

fn print_use(cluster: &Cluster) {
    println!("    export KUBECONFIG={}", cluster.kubeconfig().display());
    if let (Some(_), Some(network)) =
        (env::var_os("HTTPS_PROXY").or(env::var_os("https_proxy")), cluster.network().ok())
    {
        println!("    export NO_PROXY={}", network.address());
    }
    println!("    {} get nodes", cluster.kubectl().get_program().to_string_lossy());
    println!("\nruntime:    {} at {}", cluster.runtime().name(), cluster.runtime_socket().display());
    println!("node:       {}", cluster.node_name());
    println!("image:      {} (imagePullPolicy: Never)", super::BUSYBOX_IMAGE);
}
