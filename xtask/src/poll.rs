//! Bounded polling of what the kernel or another program gives no event for.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);

/// Asks until the answer is yes or the time is up; the last answer.
pub fn until(patience: Duration, mut ask: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if ask() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}
