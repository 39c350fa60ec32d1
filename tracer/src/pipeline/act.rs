//! What the tracker wants done: in the kernel, and in the output.

use super::Pipeline;
use crate::clock::boot_now;
use crate::kernel::KernelError;
use crate::record::SessionRecord;
use crate::session::{Action, report};

impl Pipeline {
    /// Does what the tracker wants done, in its order.
    pub(super) fn act(&mut self, actions: Vec<Action>) -> Result<(), KernelError> {
        for action in actions {
            match action {
                Action::Forget(cgroup) => {
                    if self.legacy.forget(cgroup, self.recorder.durable()) {
                        self.kernel.forget(cgroup)?;
                    }
                }
                Action::Release(cgroup) => {
                    if self.legacy.release(cgroup) {
                        self.kernel.forget(cgroup)?;
                    }
                }
                Action::Settle(cgroup) => self.kernel.settle(cgroup)?,
                Action::Track { cgroup, root } => self.kernel.track(cgroup, root)?,
                Action::Started(container) => {
                    self.recorder.session(|context| report::started(&container, context), &self.index);
                }
                Action::Ended(mut container) => {
                    container.lost_events += self.lost_since_counted()?;
                    tracing::debug!(session = %container.id, members = container.members().all, "ended");
                    let record =
                        self.recorder.session(|context| report::ended(&container, context), &self.index);
                    self.legacy.reported(container.cgroups(), self.recorder.queued());
                    self.ended(record);
                }
                Action::Processes(container, chunk) => {
                    self.recorder
                        .processes(|context| report::processes(&container, chunk, context), &self.index);
                }
                Action::Closed(container, totals) => {
                    self.recorder.closed(|context| report::closed(&container, totals, context), &self.index);
                    self.legacy.reported(container.cgroups(), self.recorder.queued());
                }
                Action::Foreign(container) => self.foreign.note(&container, boot_now()),
                Action::GaveUp(container) => self.recorder.undecided(1, [&*container], boot_now()),
            }
        }
        Ok(())
    }

    /// What follows from an end that was reported.
    pub(super) fn ended(&mut self, record: Box<SessionRecord>) {
        if let Some(session) = record.head.session_id() {
            self.away.reported(session);
        }
        self.reconciler.ended(record, boot_now());
    }

    /// What the next count will find: an end that is reported now must not miss it.
    fn lost_since_counted(&self) -> Result<u64, KernelError> {
        self.loss.pending(&self.kernel)
    }
}
