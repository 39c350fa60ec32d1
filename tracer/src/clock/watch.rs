//! Measuring the offset between boot time and wall time: every few seconds, and at once when the clock is set.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::OffsetSample;
use crate::ids::BootNanos;

/// Between two samples while nothing happens: a slewed clock moves some milliseconds meanwhile.
const PERIOD: Duration = Duration::from_secs(10);

/// Between two samples while the clock is set again and again, as root in a privileged session may. A step is
/// a record, and records of steps alone would fill a ledger.
const PAUSE: Duration = Duration::from_secs(1);

/// Readings of which the tightest is taken.
const READINGS: usize = 5;

/// Now, by the boot clock.
#[must_use]
pub fn boot_now() -> BootNanos {
    BootNanos(u64::try_from(nanos(clock_gettime(ClockId::Boottime))).unwrap_or(0))
}

/// Measures the offset: of a few readings the one that took least time between its two boot times, good to well under
/// a microsecond.
#[must_use]
pub fn sample() -> OffsetSample {
    let readings = std::iter::repeat_with(reading).take(READINGS);
    let tightest = readings.min_by_key(|(width, _)| *width);
    tightest.map_or_else(|| reading().1, |(_, sample)| sample)
}

/// Wall time between two boot times, which its sample puts in their middle; and how far they are apart.
fn reading() -> (i64, OffsetSample) {
    let before = nanos(clock_gettime(ClockId::Boottime));
    let wall = nanos(clock_gettime(ClockId::Realtime));
    let after = nanos(clock_gettime(ClockId::Boottime));
    let middle = before + (after - before) / 2;
    let boot = BootNanos(u64::try_from(middle).unwrap_or(0));
    (after - before, OffsetSample { boot, offset_ns: wall.saturating_sub(middle) })
}

fn nanos(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// Wakes with a fresh sample at every step of the clock, and every ten seconds.
#[derive(Debug)]
pub struct ClockWatch {
    set: AsyncFd<OwnedFd>,
    tick: Interval,
    /// Until then the next step waits.
    not_before: Instant,
}

impl ClockWatch {
    /// Starts watching. Within a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// Where the kernel gives no timer descriptor (the process has too many open files).
    pub fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        // A timer that never comes, but is cancelled by every step.
        let never = Timespec { tv_sec: i64::MAX, tv_nsec: 0 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: never };
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &once)?;
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // SAFETY: an OwnedFd is one open descriptor and stays it until it is dropped, here with the AsyncFd.
        let set = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?;
        Ok(Self { set, tick, not_before: Instant::now() })
    }

    /// The next sample; the first one at once. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Where the timer cannot be read, which no kernel is known to do.
    pub async fn next(&mut self) -> io::Result<OffsetSample> {
        tokio::select! {
            set = was_set(&self.set, self.not_before) => {
                set?;
                self.not_before = Instant::now() + PAUSE;
            }
            _ = self.tick.tick() => {}
        }
        Ok(sample())
    }
}

/// Waits until the clock was stepped, and at least until then.
async fn was_set(timer: &AsyncFd<OwnedFd>, not_before: Instant) -> io::Result<()> {
    tokio::time::sleep_until(not_before).await;
    loop {
        let mut ready = timer.readable().await?;
        let mut expirations = [0; 8];
        match rustix::io::read(timer.get_ref(), &mut expirations) {
            // Cancelled by a step; the timer stays armed for the next one.
            Ok(_) | Err(Errno::CANCELED) => return Ok(()),
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::EventfdFlags;

    use super::*;

    #[test]
    fn a_sample_turns_boot_time_into_wall_time() {
        let wall = sample().wall_at(boot_now()).0;
        let distance = jiff::Timestamp::now().duration_since(wall).abs();
        assert!(distance.as_millis() < 1_000, "{distance:?}");
    }

    #[tokio::test]
    async fn the_first_sample_comes_at_once() {
        let mut watch = ClockWatch::new().unwrap();
        let before = boot_now();
        assert!(watch.next().await.unwrap().boot >= before);
    }

    #[tokio::test]
    async fn the_timer_is_quiet_while_the_clock_is_not_set() {
        let watch = ClockWatch::new().unwrap();
        let mut expirations = [0; 8];
        let read = rustix::io::read(watch.set.get_ref(), &mut expirations);
        assert_eq!(read, Err(Errno::AGAIN));
    }

    #[tokio::test]
    async fn a_clock_that_is_set_all_the_time_is_sampled_with_pauses() {
        let flags = EventfdFlags::SEMAPHORE | EventfdFlags::NONBLOCK;
        let counter = rustix::event::eventfd(1000, flags).unwrap();
        // SAFETY: an OwnedFd is one open descriptor and stays it until it is dropped, here with the AsyncFd.
        let always = unsafe { AsyncFd::register_with_interest(counter, Interest::READABLE) }.unwrap();
        let mut watch = ClockWatch { set: always, ..ClockWatch::new().unwrap() };
        // Those of the tick and of the first step come at once.
        watch.next().await.unwrap();
        watch.next().await.unwrap();
        let third = tokio::time::timeout(PAUSE / 4, watch.next()).await;
        assert!(third.is_err(), "{third:?}");
    }
}
