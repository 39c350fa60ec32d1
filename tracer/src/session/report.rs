//! Records of sessions, from all that is known of a container. Pure.

use super::container::{Container, Ended};
use super::killed::{RUNTIME_STOP, killed_by};
use super::naming::Naming;
use crate::clock::{ClockState, OffsetHistory, SessionTimes};
use crate::kernel::{EndSeen, Killer, MainSeen};
use crate::pods::{ContainerStatus, PodIndex};
use crate::record::{
    ApiEvidence, Convention, Evidence, Exit, Identity, KernelEvidence, KillerPlace, MainProcess,
    RuntimeEvidence, SessionId, SessionRecord,
};

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
}

/// The record of a session's start.
#[must_use]
pub fn started(container: &Container, context: Context<'_>) -> SessionRecord {
    let execed = container.execed();
    let evidence = Evidence { kernel: KernelEvidence::Full, ..evidence(container) };
    let session = SessionId::of_container(&container.id);
    SessionRecord {
        identity: identity(container, context),
        times: context.history.session_times(execed, None),
        main: container.main().map(|main| main_process(container, main)),
        ..SessionRecord::started(session, evidence, context.clock.clone())
    }
}

/// The record of a session's end.
#[must_use]
pub fn ended(container: &Container, context: Context<'_>) -> SessionRecord {
    let (exit, kernel, times) = match container.ended() {
        Some(Ended::Witnessed(_, end)) => witnessed(container, end, context.history),
        // Where events were lost, its start may be among them.
        Some(Ended::NeverStarted) if container.lost_events > 0 => {
            (Exit::unknown(), KernelEvidence::None, SessionTimes::default())
        }
        Some(Ended::NeverStarted) => (Exit::start_error(), KernelEvidence::None, SessionTimes::default()),
        Some(Ended::Unseen) | None => (Exit::unknown(), KernelEvidence::None, SessionTimes::default()),
    };
    let killed_by = killed_by(container);
    let stopped_by_runtime =
        killed_by.as_ref().is_some_and(|killer| killer.place == Some(KillerPlace::Runtime));
    let api = api_evidence(container, context.index, &exit);
    let evidence = Evidence { kernel, api, ..evidence(container) };
    let session = SessionId::of_container(&container.id);
    SessionRecord {
        identity: identity(container, context),
        exit_meaning: context.convention.meaning(&exit),
        cause: stopped_by_runtime.then(|| RUNTIME_STOP.to_owned()),
        killed_by,
        times,
        main: container.main().map(|main| main_process(container, main)),
        ..SessionRecord::ended(session, exit, evidence, context.clock.clone())
    }
}

fn witnessed(
    container: &Container,
    end: EndSeen,
    history: &OffsetHistory,
) -> (Exit, KernelEvidence, SessionTimes) {
    let execed = container.execed();
    let kernel = match execed {
        Some(_) => KernelEvidence::Full,
        None => KernelEvidence::ExitOnly,
    };
    // One found running whose end was first heard when it was freed had ended before the programs were there, and
    // waited for its parent: how it ended is known, when is not.
    let at = (execed.is_some() || !end.late).then_some(end.at);
    // The OOM killer also marks what somebody else has killed.
    let oom_victim = end.oom_victim && !matches!(container.killer(), Some(Killer::Process(_)));
    (Exit::witnessed(end.status, oom_victim), kernel, history.session_times(execed, at))
}

fn identity(container: &Container, context: Context<'_>) -> Identity {
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
    index.status(&container.pod, naming.container_name.as_deref()?)
}

fn evidence(container: &Container) -> Evidence {
    let naming = container.naming();
    let runtime = container.runtime.as_ref().map(|facts| RuntimeEvidence {
        init_pid: facts.init_pid,
        agrees: facts.init_pid.zip(container.main()).map(|(init, main)| init == main.pid),
    });
    Evidence {
        named_by: naming.and_then(|naming| naming.named_by),
        kind_by: naming.and_then(|naming| naming.kind_by),
        runtime,
        lost_events: container.lost_events,
        ..Evidence::of_kernel(KernelEvidence::None)
    }
}

/// What the kubelet has said of this very container by now; at the moment of an end it is mostly nothing.
fn api_evidence(container: &Container, index: &PodIndex, exit: &Exit) -> Option<ApiEvidence> {
    let status = status_of(container, container.naming()?, index)?;
    status.end_of(&container.id).map(|end| end.evidence(exit.container_exit_code))
}

fn main_process(container: &Container, main: &MainSeen) -> MainProcess {
    MainProcess {
        pid: main.pid,
        pid_in_container: main.pid_in_container,
        comm: Some(main.comm.clone()),
        exe: container.exe.clone().or_else(|| container.remembered.as_ref()?.main.as_ref()?.exe.clone()),
        argv: None,
    }
}

#[cfg(test)]
mod tests;
