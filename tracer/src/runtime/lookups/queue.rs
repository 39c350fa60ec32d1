//! What waits for a worker: thousands of unknown containers hold up no new one.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::ids::ContainerId;

/// Containers that wait to be looked up.
const QUEUED: usize = 8192;

/// A container to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub id: ContainerId,
    pub asked: Instant,
    /// It has just come, or come further: its bundle may be gone soon.
    pub is_news: bool,
}

/// The jobs of one worker.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The newest is the next.
    news: Vec<Job>,
    /// Asked for in vain before.
    again: VecDeque<Job>,
    /// To be looked at again when it is time.
    aside: VecDeque<Job>,
    due: Option<Instant>,
    over: bool,
}

impl Queue {
    /// Whether there was room for it.
    pub(super) fn push(&self, job: Job) -> bool {
        let mut waiting = self.lock();
        let room = waiting.news.len() + waiting.again.len() + waiting.aside.len() < QUEUED;
        if room {
            if job.is_news {
                waiting.news.push(job);
            } else {
                waiting.again.push_back(job);
            }
            self.changed.notify_one();
        }
        room
    }

    /// To be looked at again at `due`, with all others of which that is said until then.
    pub(super) fn put_aside(&self, job: Job, due: Instant) {
        let mut waiting = self.lock();
        waiting.aside.push_back(job);
        waiting.due.get_or_insert(due);
    }

    /// No more is to be done.
    pub(super) fn close(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Waits for a job; `None` at the end.
    pub(super) fn next(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            if waiting.over {
                return None;
            }
            let now = Instant::now();
            if let Some(job) = waiting.next(now) {
                return Some(job);
            }
            waiting = match waiting.due {
                Some(due) => {
                    let left = due.saturating_duration_since(now);
                    self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn next(&mut self, now: Instant) -> Option<Job> {
        if self.due.is_some_and(|due| due <= now)
            && let Some(job) = self.aside.pop_front()
        {
            // One look is enough to know what all of them wait for.
            self.due = None;
            self.again.append(&mut self.aside);
            return Some(job);
        }
        self.news.pop().or_else(|| self.again.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn job(n: u64, is_news: bool) -> Job {
        let id = ContainerId::parse(&format!("{n:064x}")).expect("64 hex digits");
        Job { id, asked: Instant::now(), is_news }
    }

    fn next(queue: &Queue) -> Option<u64> {
        let job = queue.next()?;
        u64::from_str_radix(&job.id.as_str()[48..], 16).ok()
    }

    #[test]
    fn the_newest_goes_before_all_that_were_asked_for_in_vain() {
        let queue = Queue::default();
        for (n, is_news) in [(1, false), (2, true), (3, false), (4, true)] {
            assert!(queue.push(job(n, is_news)));
        }
        assert_eq!([4, 2, 1, 3].map(Some), [(); 4].map(|()| next(&queue)));
    }

    #[test]
    fn a_job_put_aside_holds_up_no_other() {
        let (queue, now) = (Queue::default(), Instant::now());
        queue.put_aside(job(1, true), now + Duration::from_secs(3600));
        queue.put_aside(job(3, true), now + Duration::from_secs(7200));
        queue.push(job(2, false));
        assert_eq!(next(&queue), Some(2));
        let mut waiting = queue.lock();
        assert_eq!(waiting.next(now), None);
        let later = waiting.next(now + Duration::from_secs(3600)).map(|found| found.id);
        assert_eq!((later, waiting.due), (Some(job(1, true).id), None));
        // News go before those that waited beside it.
        waiting.news.push(job(4, true));
        drop(waiting);
        assert_eq!((next(&queue), next(&queue)), (Some(4), Some(3)));
    }

    #[test]
    fn there_is_room_for_so_many_and_none_after_the_end() {
        let queue = Queue::default();
        assert!((0..QUEUED as u64).all(|n| queue.push(job(n, n % 2 == 0))));
        assert!(!queue.push(job(9999, true)));
        queue.close();
        assert_eq!(queue.next(), None);
    }
}
