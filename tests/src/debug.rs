//! Debug sessions for tests that ask for more than a scenario's script can.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use xtask::cluster::BUSYBOX_IMAGE;
use xtask::repo;
use xtask::scenario::access::Access;
use xtask::scenario::pod::{Namespace, Pod};
use xtask::scenario::runtime::Tasks;
use xtask::scenario::watch::Watch;

/// How long anything that is awaited may take. Only what never comes takes so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A pod to debug, with what the runtime says of its containers.
#[derive(Debug)]
pub struct Patient {
    /// How to reach the cluster.
    pub access: Access,
    /// The pod, with a container `app`.
    pub pod: Pod,
    /// What the runtime says.
    pub tasks: Tasks,
    _namespace: Namespace,
}

impl Patient {
    /// Runs the pod of scenario 05 in a namespace of its own.
    ///
    /// # Errors
    /// When it does not get Ready.
    pub fn admit(access: Access) -> Result<Self> {
        let socket = access.runtime_socket.clone().context("these tests need the embedded cluster")?;
        let tasks = Tasks::listen(&socket)?;
        let namespace = Namespace::create(&access, "test")?;
        let manifest = repo::root().join("scenarios/05-ephemeral-exit/pod.yaml");
        let pod = Pod::run(&access, &namespace.name, &manifest)?;
        Ok(Self { access, pod, tasks, _namespace: namespace })
    }

    /// Watches its pod anew: no watch of kubectl's outlives an API server.
    ///
    /// # Errors
    /// When kubectl cannot be started.
    pub fn watch_anew(&mut self) -> Result<()> {
        self.pod.watch = Watch::start(&self.access, &self.pod.namespace)?;
        Ok(())
    }

    /// `kubectl debug --target=app` with a line for the shell; returns when the API has accepted it.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn debug(&self, container: &str, script: &str) -> Result<()> {
        let (namespace, container) = (&self.pod.namespace, format!("--container={container}"));
        let image = format!("--image={BUSYBOX_IMAGE}");
        let session = [&self.pod.name, "-n", namespace, &image, "--image-pull-policy=Never", &container];
        let how = ["--profile=general", "--target=app", "--attach=false", "--", "sh", "-c", script];
        self.access.kubectl_output(&[&["debug"], &session[..], &how].concat()).map(drop)
    }

    /// A session that runs until [`Session::end`] and then exits with `code`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn session(&self, container: &str, code: u8) -> Result<Session> {
        self.debug(container, &format!("trap 'exit {code}' TERM; while :; do sleep 0.1; done"))?;
        self.in_state("ephemeralContainerStatuses", container, "running")
    }

    /// A session that has ended, once the API says so.
    ///
    /// # Errors
    /// When it does not end.
    pub fn ended(&self, container: &str) -> Result<Session> {
        self.in_state("ephemeralContainerStatuses", container, "terminated")
    }

    /// The ordinary container.
    ///
    /// # Errors
    /// When it does not run.
    pub fn app(&self) -> Result<Session> {
        self.in_state("containerStatuses", "app", "running")
    }

    fn in_state(&self, statuses: &str, container: &str, state: &str) -> Result<Session> {
        let uri = self.pod.wait_for(&format!("a {state} {container}"), PATIENCE, |pod, _| {
            let status =
                pod["status"][statuses].as_array()?.iter().find(|status| status["name"] == container)?;
            status["state"][state].is_object().then(|| status["containerID"].as_str().map(str::to_owned))?
        })?;
        let id = uri.split("://").nth(1).context("a container id is SCHEME://ID")?.to_owned();
        let pid =
            self.tasks.so_far().get(&id).and_then(|task| task.pid).context("no pid from the runtime")?;
        Ok(Session { container: container.to_owned(), id, pid })
    }
}

/// A running session, or what could be taken for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its container's name.
    pub container: String,
    /// The runtime's id of it: the session id.
    pub id: String,
    /// Its main process on the host.
    pub pid: u32,
}

impl Session {
    /// Makes it exit. It does so within a tenth of a second.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn end(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Sends its main process a signal.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("no pid")?;
        kill_process(pid, signal).with_context(|| format!("{} has ended before", self.container))
    }

    /// Its records of this type.
    #[must_use]
    pub fn records<'a>(&self, kind: &str, records: &'a [Value]) -> Vec<&'a Value> {
        records
            .iter()
            .filter(|record| record["type"] == kind && record["session_id"] == self.id.as_str())
            .collect()
    }
}
