use std::sync::{Mutex, mpsc};

use super::*;

const LIMITS: Limits = Limits { segment: 1 << 20, total: 16 << 20 };

/// What a reader of stdout got.
#[derive(Clone, Default)]
struct Reader(Arc<Mutex<Vec<u8>>>);

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Reader {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Takes nothing until its other end is dropped, and then says that nobody reads.
struct Gone(mpsc::Receiver<()>);

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        let _released = self.0.recv();
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(folder: &Path) -> Opened {
    Ledger::open(folder, LIMITS, BootId::new("b0")).unwrap()
}

fn say(ledger: &Ledger, range: std::ops::Range<u32>) {
    for n in range {
        assert_eq!(ledger.send(format!("line {n}")), Sent::Queued);
    }
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("line {n}\n")).collect()
}

fn durable(folder: &Path) -> String {
    std::fs::read_to_string(path_of(&folder.join("records"), 0)).unwrap()
}

#[test]
fn records_are_durable_and_then_on_stdout_each_once_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for range in [0..100, 100..150] {
        let reader = Reader::default();
        let ledger = open(folder.path()).writing.start(reader.clone()).unwrap();
        say(&ledger, range.clone());
        Box::new(ledger).finish().unwrap();
        assert_eq!(reader.text(), lines(range.clone()));
        assert_eq!(durable(folder.path()), lines(0..range.end));
    }
}

#[test]
fn a_reader_that_stalls_or_goes_costs_the_ledger_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (release, gone) = mpsc::channel();
    let ledger = open(folder.path()).writing.start(Gone(gone)).unwrap();
    say(&ledger, 0..100);
    drop(release);
    Box::new(ledger).finish().unwrap();
    assert_eq!(durable(folder.path()), lines(0..100));
    // What it did not get, the next one does.
    let reader = Reader::default();
    Box::new(open(folder.path()).writing.start(reader.clone()).unwrap()).finish().unwrap();
    assert_eq!(reader.text(), lines(0..100));
}

#[test]
fn what_is_kept_is_there_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    assert_eq!((opened.heartbeat.clone(), opened.snapshot.clone()), (None, Snapshot::default()));
    let ledger = opened.writing.start(io::sink()).unwrap();
    let beat = Heartbeat {
        boot_id: BootId::new("b0"),
        boot_ns: crate::ids::BootNanos(7),
        at: crate::clock::WallTime::from_unix_nanos(0),
    };
    ledger.keeper().beat(beat.clone());
    let snapshot = Snapshot { pods: vec![crate::session::samples::pod()], live: Vec::new() };
    assert!(ledger.keeper().keep(&snapshot));
    Box::new(ledger).finish().unwrap();
    let opened = open(folder.path());
    assert_eq!((opened.heartbeat, opened.snapshot), (Some(beat), snapshot));
}

#[test]
fn one_agent_a_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let second = Ledger::open(folder.path(), LIMITS, BootId::new("b0")).unwrap_err();
    assert!(matches!(second, LedgerError::Held { .. }), "{second}");
    drop(first);
    open(folder.path());
}
