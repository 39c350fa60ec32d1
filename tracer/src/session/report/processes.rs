//! Records of a session's processes, the main one left out. Pure.

use super::super::container::Container;
use super::super::processes::{Chunk, EndedProcess, Totals};
use super::{Context, evidence, exit_of, identity};
use crate::kernel::Used;
use crate::kernel::event::{MemberEnded, Origin};
use crate::record::{
    ClosedRecord, Entered, EnteredBy, Evidence, Exit, LeftTo, ProcessEnd, ProcessesRecord, SessionId,
    SessionUsage, Usage,
};

/// The record of some processes that ended.
#[must_use]
pub fn processes(container: &Container, chunk: Chunk, context: Context<'_>) -> ProcessesRecord {
    let session = SessionId::of_container(&container.id);
    let ends = chunk.processes.into_iter().map(|ended| process(ended, context)).collect();
    ProcessesRecord::new(session, identity(container, context), chunk.n, ends, context.clock.clone())
}

fn process(ended: EndedProcess, context: Context<'_>) -> ProcessEnd {
    let EndedProcess { end, program } = ended;
    let exit = Exit::observed(end.status, false);
    let args = program.as_ref().and_then(|program| program.args.as_ref());
    let argv = args.and_then(|args| context.argv.show(&args.words()));
    ProcessEnd {
        pid: end.process.pid,
        pid_in_container: end.pid_in_container,
        parent_pid: end.parent,
        entered: entered(&end, context),
        left: left(&end),
        // One that was freed some time after its end, and seen only then, has an end at no known time.
        times: context.history.session_times(Some(end.process.forked), (!end.late).then_some(end.ended)),
        max_rss_bytes: end.max_rss_pages.map(|pages| pages * context.page_size),
        comm: end.comm,
        argv_truncated: argv.as_ref().and(args).map(|args| args.truncated),
        argv,
        exe: program.and_then(|program| program.exe),
        exit_code: exit.exit_code,
        signal: exit.signal,
        signal_name: exit.signal_name,
        core_dumped: exit.core_dumped,
    }
}

fn entered(end: &MemberEnded, context: Context<'_>) -> Option<Entered> {
    let by = match end.origin {
        Origin::Forked => return None,
        Origin::Attached => EnteredBy::Attach,
        Origin::ClonedInto => EnteredBy::CloneIntoCgroup,
        Origin::Namespace => EnteredBy::MountNamespace,
        Origin::Found => EnteredBy::Found,
    };
    Some(Entered { by, at: context.history.wall_at(end.since), boot_ns: end.since })
}

fn left(end: &MemberEnded) -> Vec<LeftTo> {
    let cgroup = end.left.cgroup.then_some(LeftTo::Cgroup);
    let namespace = end.left.mount_namespace.then_some(LeftTo::MountNamespace);
    cgroup.into_iter().chain(namespace).collect()
}

/// The record of a session of which nothing more is to come.
#[must_use]
pub fn closed(container: &Container, totals: Totals, context: Context<'_>) -> ClosedRecord {
    let members = container.members();
    let main_end = container.ended_at();
    let closed_at = totals.last_end.max(main_end);
    let (_, kernel) = exit_of(container);
    ClosedRecord {
        head: ClosedRecord::head(SessionId::of_container(&container.id)),
        identity: identity(container, context),
        closed_at: closed_at.map(|at| context.history.wall_at(at)),
        closed_boot_ns: closed_at,
        processes: members.all.max(totals.ends_seen),
        recorded: totals.reported.processes,
        lost: members.all.saturating_sub(totals.ends_seen),
        programs_dropped: totals.programs_dropped,
        truncated: members.all.max(totals.ends_seen) > totals.reported.processes || members.unkept > 0,
        runtime_processes: members.runtime,
        entered: members.entered,
        escaped: members.left,
        usage: usage(container, totals, context.page_size),
        evidence: Evidence { kernel, ..evidence(container, context.index) },
        clock: context.clock.clone(),
    }
}

fn usage(container: &Container, totals: Totals, page_size: u64) -> SessionUsage {
    let main = container.main_used();
    let all = container.members_used() + main.unwrap_or_default();
    let all = Used { max_rss_pages: totals.max_rss_pages.max(all.max_rss_pages), ..all };
    SessionUsage {
        main: main.map(|used| in_bytes(used, page_size)),
        session: (all.processes > 0).then(|| in_bytes(all, page_size)),
    }
}

fn in_bytes(used: Used, page_size: u64) -> Usage {
    Usage {
        processes: used.processes,
        cpu_ns: used.cpu_ns,
        minor_faults: used.minor_faults,
        major_faults: used.major_faults,
        max_rss_bytes: used.max_rss_pages.map(|pages| pages * page_size),
    }
}

#[cfg(test)]
mod tests;
