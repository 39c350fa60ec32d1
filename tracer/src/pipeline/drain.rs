//! Reading the ring a part at a time: a session that fills it as fast as it is read holds up nothing else.

use super::Pipeline;
use crate::clock::boot_now;
use crate::kernel::{Event, KernelError, Ring};

/// Events that are read between two looks at the other inputs: a few milliseconds of work.
const EVENTS: usize = 512;

/// How far the ring was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    /// To its end.
    All,
    /// There may be more.
    InPart,
}

/// Takes in events, at most [`EVENTS`], until `next` says that there was none.
fn some<E>(mut next: impl FnMut() -> Result<bool, E>) -> Result<Drained, E> {
    for _ in 0..EVENTS {
        if !next()? {
            return Ok(Drained::All);
        }
    }
    Ok(Drained::InPart)
}

impl Pipeline {
    /// Takes in some of what the ring holds.
    pub(super) fn drain(&mut self, ring: &mut Ring) -> Result<Drained, KernelError> {
        let began = boot_now();
        let drained = some(|| {
            let Some(bytes) = ring.next() else { return Ok(false) };
            let event = self.kernel.event(&bytes);
            drop(bytes);
            self.take_in_event(event).map(|()| true)
        })?;
        if drained == Drained::All {
            self.tracker.ring_read_until(began);
        }
        let actions = self.tracker.read_on(&self.index, boot_now());
        self.act(actions)?;
        Ok(drained)
    }

    fn take_in_event(&mut self, event: Option<Event>) -> Result<(), KernelError> {
        match event {
            Some(Event::CgroupChanged(cgroup)) => self.look_at(cgroup)?,
            Some(Event::MemberEnded(member)) if self.legacy.knows_member(member.process) => {}
            Some(Event::MemberEnded(member)) => {
                self.tracker.ring_read_until(member.ended);
                let actions = self.tracker.member_ended(member);
                self.act(actions)?;
            }
            Some(Event::Executed(executed)) => {
                self.tracker.ring_read_until(executed.at);
                self.tracker.executed(executed);
            }
            None => tracing::error!("the ring holds an event of another version"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the ring gives until it has given `count`; `None` for a storm without an end.
    fn read(count: Option<usize>) -> (Vec<usize>, Drained) {
        let mut read = 0;
        let mut parts = Vec::new();
        loop {
            let before = read;
            let drained = some(|| {
                let any = count.is_none_or(|count| read < count);
                read += usize::from(any);
                Ok::<_, ()>(any)
            });
            parts.push(read - before);
            match drained.expect("no error") {
                Drained::InPart if parts.len() < 4 => {}
                drained => return (parts, drained),
            }
        }
    }

    #[test]
    fn a_storm_without_an_end_is_left_after_each_part() {
        assert_eq!(read(None), (vec![EVENTS; 4], Drained::InPart));
    }

    #[test]
    fn all_is_read_in_the_end() {
        assert_eq!(read(Some(0)), (vec![0], Drained::All));
        assert_eq!(read(Some(EVENTS - 1)), (vec![EVENTS - 1], Drained::All));
        assert_eq!(read(Some(2 * EVENTS)), (vec![EVENTS, EVENTS, 0], Drained::All));
    }

    #[test]
    fn an_error_ends_it() {
        let mut calls = 0;
        let failed = some(|| {
            calls += 1;
            if calls == 3 { Err("a failed map call") } else { Ok(true) }
        });
        assert_eq!((failed, calls), (Err("a failed map call"), 3));
    }
}
