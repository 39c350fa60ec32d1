//! The containers tier: the programs and the naming against a real containerd, runc and crun, without Kubernetes.

#[path = "containers/containerd.rs"]
mod containerd;
#[path = "containers/pod.rs"]
mod pod;
#[path = "containers/watcher.rs"]
mod watcher;

#[path = "containers/naming.rs"]
mod naming;
#[path = "containers/processes.rs"]
mod processes;
#[path = "containers/restarts.rs"]
mod restarts;
