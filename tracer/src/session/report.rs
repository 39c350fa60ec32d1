//! Records of sessions, from all that is known of a container. Pure.

use super::agreement::disagreements;
use super::cause::cause;
use super::container::{Container, Ended};
use super::killed::{killed_by, stop};
use super::naming::Naming;
use crate::clock::{ClockState, OffsetHistory, SessionTimes};
use crate::kernel::{Killer, MainSeen};
use crate::pods::{ContainerStatus, PodEnding, PodIndex};
use crate::record::{
    ApiEvidence, Convention, Evidence, Exit, Identity, KernelEvidence, MainProcess, RuntimeEvidence,
    SessionId, SessionRecord, redact::Argv,
};

mod processes;

pub use processes::{closed, processes};

/// What a record needs besides the container.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Pods, for what the API says of the end.
    pub index: &'a PodIndex,
    /// The clock's history, for wall times.
    pub history: &'a OffsetHistory,
    /// The clock's state now.
    pub clock: &'a ClockState,
    /// What the team's exit codes mean.
    pub convention: &'a Convention,
    /// The node.
    pub node_name: Option<&'a str>,
    /// Which arguments are shown.
    pub argv: Argv,
    /// Bytes of a page of memory.
    pub page_size: u64,
}

/// The record of a session's start.
#[must_use]
pub fn started(container: &Container, context: Context<'_>) -> SessionRecord {
    let execed = container.execed();
    let evidence = Evidence { kernel: KernelEvidence::Full, ..evidence(container, context.index) };
    let session = SessionId::of_container(&container.id);
    SessionRecord {
        identity: identity(container, context),
        times: context.history.session_times(execed, None),
        main: container.main().map(|main| main_process(container, main, context.argv)),
        ..SessionRecord::started(session, evidence, context.clock.clone())
    }
}

/// The record of a session's end.
#[must_use]
pub fn ended(container: &Container, context: Context<'_>) -> SessionRecord {
    let (exit, kernel) = exit_of(container);
    let ending = container.pod().and_then(|pod| context.index.ending(&pod));
    let api = api_evidence(container, context.index, &exit);
    let pod = ending.as_ref().map(PodEnding::evidence);
    let evidence = Evidence { kernel, api, pod, ..evidence(container, context.index) };
    let session = SessionId::of_container(&container.id);
    SessionRecord {
        identity: identity(container, context),
        exit_meaning: context.convention.meaning(&exit),
        cause: cause(stop(container), ending.as_ref()).map(str::to_owned),
        killed_by: killed_by(container),
        times: times_of(container, context.history),
        main: container.main().map(|main| main_process(container, main, context.argv)),
        ..SessionRecord::ended(session, exit, evidence, context.clock.clone())
    }
}

pub(super) fn identity(container: &Container, context: Context<'_>) -> Identity {
    let naming = container.naming().cloned().unwrap_or_default();
    let status = status_of(container, &naming, context.index);
    Identity {
        container_id: naming.scheme.as_deref().map(|scheme| container.id.url(scheme)),
        attempt: status.and_then(|status| status.attempt_of(&container.id)).or(container.attempt),
        image_id: status.and_then(|status| status.image_id.clone()),
        namespace: naming.namespace,
        pod_name: naming.pod_name,
        pod_uid: naming.pod_uid,
        container_name: naming.container_name,
        image: naming.image,
        target_container: naming.target,
        node_name: context.node_name.map(str::to_owned),
        session_kind: naming.kind,
    }
}

fn status_of<'a>(container: &Container, naming: &Naming, index: &'a PodIndex) -> Option<&'a ContainerStatus> {
    index.status(&container.pod()?, naming.container_name.as_deref()?)
}

/// What is known of how a container ended, and what the kernel saw of it.
fn exit_of(container: &Container) -> (Exit, KernelEvidence) {
    match container.ended() {
        Some(Ended::Observed(_, end)) => {
            // The OOM killer also marks what another process has killed.
            let oom_victim = end.oom_victim && !matches!(container.killer(), Some(Killer::Process(_)));
            let kernel =
                if container.execed().is_some() { KernelEvidence::Full } else { KernelEvidence::ExitOnly };
            (Exit::observed(end.status, oom_victim), kernel)
        }
        // Where events were lost, its start may be among them.
        Some(Ended::NeverStarted) if container.lost_events() == 0 => {
            (Exit::start_error(), KernelEvidence::None)
        }
        _ => (Exit::unknown(), KernelEvidence::None),
    }
}

fn times_of(container: &Container, history: &OffsetHistory) -> SessionTimes {
    match container.ended() {
        Some(Ended::Observed(..)) => history.session_times(container.execed(), container.ended_at()),
        _ => SessionTimes::default(),
    }
}

pub(super) fn evidence(container: &Container, index: &PodIndex) -> Evidence {
    let naming = container.naming();
    let runtime = container.runtime.as_ref().map(|facts| RuntimeEvidence {
        init_pid: facts.init_pid,
        agrees: facts.init_pid.zip(container.main()).map(|(init, main)| init == main.pid),
    });
    Evidence {
        named_by: naming.and_then(|naming| naming.named_by),
        kind_by: naming.and_then(|naming| naming.kind_by),
        runtime,
        disagreements: disagreements(container, index),
        lost_events: container.lost_events(),
        ..Evidence::of_kernel(KernelEvidence::None)
    }
}

/// What the kubelet has said of this very container by now; at the moment of an end it is mostly nothing.
fn api_evidence(container: &Container, index: &PodIndex, exit: &Exit) -> Option<ApiEvidence> {
    let status = status_of(container, container.naming()?, index)?;
    status.end_of(&container.id).map(|end| end.evidence(exit.container_exit_code))
}

fn main_process(container: &Container, main: &MainSeen, argv: Argv) -> MainProcess {
    let remembered = || container.remembered.as_ref()?.main.as_ref();
    let args = container.main_args.as_ref();
    let shown = args.and_then(|args| argv.show(&args.words()));
    MainProcess {
        pid: main.pid,
        pid_in_container: main.pid_in_container,
        comm: Some(main.comm.clone()),
        exe: main.exe.clone().or_else(|| container.exe.clone()).or_else(|| remembered()?.exe.clone()),
        argv_truncated: shown.as_ref().and(args).map(|args| args.truncated),
        argv: shown.or_else(|| remembered()?.argv.clone()),
    }
}

#[cfg(test)]
mod tests;
