//! A program that runs beside us and whose output is awaited: `debugtrail trace`, `kubectl get --watch`, `ctr events`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{interrupt, poll};

/// How much of a program's stderr an error shows.
const STDERR_LINES: usize = 12;

/// How long a program's end may come after it has closed its stdout.
const ENDING: Duration = Duration::from_secs(1);

/// A running program and the items it has written so far. Dropping it ends the program, and so does Ctrl-C.
#[derive(Debug)]
pub struct Feed<T> {
    name: String,
    child: Mutex<Child>,
    pid: Pid,
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: Vec<T>,
    ended: bool,
    stderr: Vec<String>,
    stderr_ended: bool,
}

impl<T: Send + 'static> Feed<T> {
    /// Starts a program; `decode` turns its stdout into items, in a thread of its own.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start<I>(
        mut command: Command,
        decode: impl FnOnce(BufReader<ChildStdout>) -> I + Send + 'static,
    ) -> Result<Self>
    where
        I: Iterator<Item = T>,
    {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let state = State { items: Vec::new(), ended: false, stderr: Vec::new(), stderr_ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        if let Some(stderr) = child.stderr.take() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.keep_stderr(stderr));
        }
        if let Some(stdout) = child.stdout.take() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.keep_items(decode(BufReader::new(stdout))));
        }
        let pid = Pid::from_child(&child);
        Ok(Self { name, child: Mutex::new(child), pid, shared })
    }

    /// The program's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits until `found` finds what it looks for among all items so far.
    ///
    /// # Errors
    /// When `timeout` has passed or the program has ended before; the error names `what` was awaited.
    pub fn wait_for<R>(
        &self,
        what: &str,
        timeout: Duration,
        mut found: impl FnMut(&[T]) -> Option<R>,
    ) -> Result<R> {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        loop {
            if let Some(result) = found(&state.items) {
                return Ok(result);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                interrupt::wait_if_interrupted();
                let (ended, items) = (state.ended, state.items.len());
                drop(state);
                let why = if ended { self.how_it_ended() } else { "is still silent".to_owned() };
                bail!("waited for {what}, but {} {why} after {items} items\n{}", self.name, self.stderr());
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Looks at the items so far.
    pub fn look<R>(&self, look: impl FnOnce(&[T]) -> R) -> R {
        look(&self.shared.lock().items)
    }

    /// Whether more can come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.shared.lock().ended
    }

    /// The last lines of the program's stderr.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.shared.lock().stderr.join("\n")
    }

    /// Sends a signal to the program.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits for the program's end.
    ///
    /// # Errors
    /// When it has not closed its stdout within `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let state = self.shared.lock();
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, timeout, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        if !state.ended {
            bail!("{} did not end within {} s\n{}", self.name, timeout.as_secs(), state.stderr.join("\n"));
        }
        drop(state);
        self.child().wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Of a program that has closed its stdout. The end of its stderr is in afterwards.
    fn how_it_ended(&self) -> String {
        let mut status = None;
        poll::until(ENDING, || {
            status = self.child().try_wait().ok().flatten();
            status.is_some() && self.shared.lock().stderr_ended
        });
        status.map_or_else(|| "closed its output".to_owned(), |status| format!("ended with {status}"))
    }
}

impl<T> Feed<T> {
    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        // On Ctrl-C one thread ends all programs and undoes everything; this one would be in its way.
        interrupt::wait_if_interrupted();
        let mut child = self.child();
        if matches!(child.try_wait(), Ok(None)) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_items(&self, items: impl Iterator<Item = T>) {
        for item in items {
            self.lock().items.push(item);
            self.changed.notify_all();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    fn keep_stderr(&self, stderr: impl Read) {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let lines = &mut self.lock().stderr;
            lines.push(line);
            if lines.len() > STDERR_LINES {
                lines.remove(0);
            }
        }
        self.lock().stderr_ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::Feed;
    use std::io::BufRead;
    use std::process::Command;
    use std::time::Duration;

    fn shell(script: &str) -> Feed<String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Feed::start(command, |stdout| stdout.lines().map_while(Result::ok)).unwrap()
    }

    #[test]
    fn items_are_awaited() {
        let mut feed = shell("echo one; echo two; exec cat /dev/null");
        let second =
            feed.wait_for("a second line", Duration::from_secs(10), |lines| lines.get(1).cloned()).unwrap();
        assert_eq!(second, "two");
        assert!(feed.wait(Duration::from_secs(10)).unwrap().success());
    }

    #[test]
    fn an_early_end_is_an_error_with_the_reason() {
        let mut feed = shell("echo fix this >&2; exit 3");
        let status = feed.wait(Duration::from_secs(10)).unwrap();
        assert_eq!(status.code(), Some(3));
        let error =
            feed.wait_for("a line", Duration::from_secs(10), |lines| lines.first().cloned()).unwrap_err();
        let expected = "waited for a line, but sh ended with exit status: 3 after 0 items\nfix this";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn silence_ends_with_the_deadline() {
        let feed = shell("exec sleep 60");
        let error =
            feed.wait_for("a line", Duration::from_millis(10), |lines| lines.first().cloned()).unwrap_err();
        assert!(error.to_string().contains("is still silent"), "{error}");
    }
}
