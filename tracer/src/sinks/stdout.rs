//! Lines to standard output, from a thread of its own: a slow reader must not stall the kernel side. What does
//! not fit into the bounded queue is counted.

use std::{
    io::{self, BufWriter, Write},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::queue::{LineQueue, ROOM};
use super::{Output, Sent, standard_output};
use crate::record::GapReason;

/// How long the end waits for a reader that has stopped reading.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// Standard output.
pub struct Stdout {
    lines: Arc<LineQueue>,
    closed: Arc<Notify>,
    writer: JoinHandle<io::Result<()>>,
}

impl Stdout {
    /// Starts the thread that writes.
    ///
    /// # Errors
    ///
    /// Where no thread can be started.
    pub fn start() -> io::Result<Self> {
        Self::writing_to(standard_output()?)
    }

    pub(crate) fn writing_to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Arc::new(LineQueue::new(ROOM));
        let closed = Arc::new(Notify::new());
        let (queue, notify) = (Arc::clone(&lines), Arc::clone(&closed));
        let writer = std::thread::Builder::new().name("stdout".into()).spawn(move || {
            let result = write_all(&queue, BufWriter::new(out));
            // First the queue, so that whoever is notified finds it closed.
            queue.close();
            notify.notify_one();
            result
        })?;
        Ok(Self { lines, closed, writer })
    }
}

impl Output for Stdout {
    fn send(&self, line: String) -> Sent {
        self.lines.push(line)
    }

    fn room(&self) -> usize {
        self.lines.room()
    }

    /// The reader is gone, or the disk is full.
    fn closed(&self) -> Arc<Notify> {
        Arc::clone(&self.closed)
    }

    fn full(&self) -> GapReason {
        GapReason::OutputFull
    }

    /// Waits for two seconds at most; a reader that went away is no error.
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.lines.end();
        let deadline = Instant::now() + LAST_FLUSH;
        while !self.writer.is_finished() {
            if Instant::now() > deadline {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the reader of the output stopped reading",
                ));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.writer.join().unwrap_or(Ok(()))
    }
}

/// Writes lines as they come, and flushes whenever none is waiting.
fn write_all(queue: &LineQueue, mut out: impl Write) -> io::Result<()> {
    while let Some(first) = queue.take() {
        let mut next = Some(first);
        while let Some(batch) = next {
            let result = batch.lines.iter().try_for_each(|line| writeln!(out, "{line}"));
            queue.done(&batch);
            if result.is_err() {
                return quiet_if_closed(result);
            }
            next = queue.take_waiting();
        }
        let flushed = out.flush();
        if flushed.is_err() {
            return quiet_if_closed(flushed);
        }
    }
    Ok(())
}

/// A reader that goes away is the ordinary end of `debugtrail trace | head`.
fn quiet_if_closed(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes nothing until it is allowed to.
    struct Stalled(mpsc::Receiver<()>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            let _ = self.0.recv();
            Ok(())
        }
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let out = Shared::default();
        let stdout = Stdout::writing_to(out.clone()).unwrap();
        for n in 0..100 {
            assert_eq!(stdout.send(format!("line {n}")), Sent::Queued);
        }
        Box::new(stdout).finish().unwrap();
        let expected: String = (0..100).map(|n| format!("line {n}\n")).collect();
        assert_eq!(String::from_utf8(out.0.lock().unwrap().clone()).unwrap(), expected);
    }

    #[test]
    fn a_stalled_reader_costs_lines_and_never_waits() {
        let (release, stalled) = mpsc::channel();
        let stdout = Stdout::writing_to(Stalled(stalled)).unwrap();
        let line = "x".repeat(10_000);
        let sent: Vec<Sent> = (0..ROOM / line.len()).map(|_| stdout.send(line.clone())).collect();
        assert_eq!((sent.first(), sent.last()), (Some(&Sent::Queued), Some(&Sent::Full)));
        drop(release);
        Box::new(stdout).finish().unwrap();
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_is_a_quiet_end() {
        let stdout = Stdout::writing_to(Gone).unwrap();
        let closed = stdout.closed();
        stdout.send("line".into());
        closed.notified().await;
        assert_eq!(stdout.send("line".into()), Sent::Closed);
        Box::new(stdout).finish().unwrap();
    }
}
