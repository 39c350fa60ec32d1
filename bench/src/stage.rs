//! The cluster that everything is measured on: idle pods, pods to debug, an image that holds the load.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use xtask::cluster::{BUSYBOX_IMAGE, Cluster, Options};
use xtask::progress::Step;
use xtask::repo;
use xtask::scenario::access::Access;
use xtask::scenario::pod::{self, Namespace, Pod};

use crate::trace::TimedTrace;

/// Pods that do nothing, as on an ordinary node.
pub const IDLE_PODS: usize = 50;
/// Pods that are debugged: so many sessions run at a time.
pub const PATIENTS: usize = 3;
/// The image of the debug containers: `bench-load` and nothing else.
const LOAD_IMAGE: &str = "local/bench-load:1";
const LOAD_PATH: &str = "/bench-load";

/// The cluster and its pods; gone when dropped, unless the cluster was there before. Fields are dropped in this order.
pub struct Stage {
    /// How to reach it.
    pub access: Access,
    /// Pods to debug.
    pub patients: Vec<Pod>,
    namespace: Namespace,
    /// The cluster.
    pub cluster: Cluster,
    is_kept: bool,
}

impl Stage {
    /// Brings everything up. A cluster that `cargo xtask cluster up` left is used, and stays.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn set() -> Result<Self> {
        let (cluster, is_kept) = match Cluster::attach()? {
            Some(cluster) => (cluster, true),
            None => (Cluster::up(&Options::default())?, false),
        };
        let access = Access::embedded(&cluster);
        let rootfs = tempfile::tempdir()?;
        fs::copy(repo::bench_load_binary(), rootfs.path().join("bench-load"))?;
        // Mounted over in the container.
        for folder in ["etc", "proc", "sys", "dev"] {
            fs::create_dir(rootfs.path().join(folder))?;
        }
        cluster.add_image(LOAD_IMAGE, rootfs.path(), &[LOAD_PATH])?;
        let namespace = Namespace::create(&access, "bench")?;
        let step = Step::begin(&format!("{IDLE_PODS} idle pods"));
        run_idle_pods(&access, &namespace.name)?;
        step.done();
        let manifest = repo::root().join("scenarios/05-ephemeral-exit/pod.yaml");
        let text = fs::read_to_string(&manifest).context("cannot read the manifest of scenario 05")?;
        let mut patients = Vec::new();
        for number in 0..PATIENTS {
            let named = rootfs.path().join("pod.yaml");
            fs::write(&named, text.replace("name: web", &format!("name: patient-{number}")))?;
            patients.push(Pod::run(&access, &namespace.name, &named)?);
        }
        Ok(Self { access, patients, namespace, cluster, is_kept })
    }

    /// The namespace of the pods.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace.name
    }

    /// `kubectl debug` of a pod with `bench-load`; returns when the API has accepted it.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn debug(&self, pod: &Pod, container: &str, load: &[&str]) -> Result<()> {
        let (image, container) = (format!("--image={LOAD_IMAGE}"), format!("--container={container}"));
        let session = ["debug", &pod.name, "-n", &pod.namespace, &image, &container];
        let how = ["--image-pull-policy=Never", "--profile=general", "--target=app", "--attach=false", "--"];
        self.access.kubectl_output(&[&session[..], &how, &[LOAD_PATH], load].concat()).map(drop)
    }

    /// A session that lives until [`Live::end`], begun and named.
    ///
    /// # Errors
    /// When it does not begin.
    pub fn live_session(&self, trace: &TimedTrace, pod: &Pod, container: &str) -> Result<Live> {
        self.debug(pod, container, &["hold"])?;
        let started = trace.wait_for_session("session_started", &pod.uid, container)?;
        let pid = started.record["main"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).context("the record names no main process")?;
        Ok(Live { pid, pod_uid: pod.uid.clone(), container: container.to_owned() })
    }

    /// Takes everything down that was not there before.
    ///
    /// # Errors
    /// When something is left.
    pub fn clear(self) -> Result<()> {
        let Self { patients, namespace, cluster, is_kept, .. } = self;
        drop((patients, namespace));
        if is_kept { Ok(()) } else { cluster.down() }
    }
}

/// A session that waits for a signal.
pub struct Live {
    pid: Pid,
    /// Its pod's UID.
    pub pod_uid: String,
    /// Its container.
    pub container: String,
}

impl Live {
    /// Ends it by SIGTERM.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn end(&self) -> Result<()> {
        kill_process(self.pid, Signal::TERM).with_context(|| format!("{} has ended before", self.container))
    }
}

fn run_idle_pods(access: &Access, namespace: &str) -> Result<()> {
    let container = json!({
        "name": "idle", "image": BUSYBOX_IMAGE, "imagePullPolicy": "Never", "command": ["sleep", "infinity"],
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "idle"},
        "spec": {
            "replicas": IDLE_PODS, "selector": {"matchLabels": {"app": "idle"}},
            "template": {
                "metadata": {"labels": {"app": "idle"}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
        },
    });
    pod::create(access, &["-n", namespace], &deployment)?;
    let ready = ["rollout", "status", "deployment/idle", "-n", namespace, "--timeout=300s"];
    access.kubectl_output(&ready).map(drop)
}
