use std::sync::{Mutex, mpsc};

use super::*;
use crate::clock::ClockState;
use crate::ledger::segments::path_of;
use crate::record::{GapRecord, Record, RecordNumber, RecordRange};

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

/// Takes nothing until its other end is dropped, and then says that there is no reader.
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
        assert_eq!(ledger.send(format!("{{\"n\":{n}}}")), Sent::Queued);
    }
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("{{\"n\":{n}}}\n")).collect()
}

fn durable(folder: &Path) -> String {
    std::fs::read_to_string(path_of(&folder.join("records"), 0)).unwrap()
}

#[test]
fn records_are_durable_first_and_on_stdout_once() {
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
fn kept_state_is_there_at_the_next_start() {
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

/// Runs an agent's ledger that says what is missing and then these lines: what stdout got of lines, and what was missing.
fn run(folder: &Path, range: std::ops::Range<u32>) -> (String, Option<Missing>) {
    let reader = Reader::default();
    let ledger = open(folder).writing.start(reader.clone()).unwrap();
    let missing = ledger.missing();
    if let Some(Missing { reason, records }) = missing.clone() {
        let clock = ClockState { boot_id: BootId::new("b0"), synchronized: None, max_error_us: None };
        let gap = GapRecord { records, ..GapRecord::new(reason, &RecordNumber::test(1), clock) };
        assert_eq!(ledger.send(Record::Gap(gap).to_json_line().unwrap()), Sent::Queued);
        ledger.missing_reported();
        assert_eq!(ledger.missing(), None);
    }
    say(&ledger, range);
    Box::new(ledger).finish().unwrap();
    let text = reader.text();
    (text.split_inclusive('\n').filter(|line| line.starts_with("{\"n\"")).collect(), missing)
}

fn damaged(first: u64, last: u64) -> Option<Missing> {
    Some(Missing { reason: GapReason::LedgerDamaged, records: vec![RecordRange { first, last }] })
}

#[test]
fn stdout_goes_on_where_records_were_emptied() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), 0..10), (lines(0..10), None));
    std::fs::remove_file(path_of(&folder.path().join("records"), 0)).unwrap();
    assert_eq!(run(folder.path(), 10..12), (lines(10..12), damaged(0, 9)));
    assert_eq!(run(folder.path(), 12..14), (lines(12..14), None));
}

#[test]
fn stdout_goes_on_where_its_cursor_is_ahead() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 0..3);
    std::fs::write(folder.path().join("stdout.cursor"), "{\"record\":7,\"segment\":0,\"offset\":900}")
        .unwrap();
    assert_eq!(run(folder.path(), 7..9), (lines(7..9), damaged(3, 6)));
    assert_eq!(run(folder.path(), 9..10), (lines(9..10), None));
}

#[test]
fn a_step_over_damage_waits_for_its_report() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 0..3);
    let segment = path_of(&folder.path().join("records"), 0);
    std::fs::write(&segment, b"{\"n\":0}\n\xff\n{\"n\":2}\n").unwrap();
    std::fs::remove_file(folder.path().join("stdout.cursor")).unwrap();
    let reader = Reader::default();
    let ledger = open(folder.path()).writing.start(reader.clone()).unwrap();
    assert_eq!(ledger.missing(), damaged(1, 1));
    Box::new(ledger).finish().unwrap();
    let all = [lines(0..1), lines(2..3)].concat();
    assert_eq!(reader.text(), all);
    // Nothing was reported, and so all comes again.
    assert_eq!(run(folder.path(), 3..4), ([all, lines(3..4)].concat(), damaged(1, 1)));
    assert_eq!(run(folder.path(), 4..5), (lines(4..5), None));
}

#[test]
fn records_truncated_during_writing_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let reader = Reader::default();
    let ledger = open(folder.path()).writing.start(reader.clone()).unwrap();
    say(&ledger, 0..5);
    let health = ledger.health();
    while health.on_stdout.load(Ordering::Relaxed) < 5 {
        std::thread::yield_now();
    }
    let segment = path_of(&folder.path().join("records"), 0);
    std::fs::OpenOptions::new().write(true).open(segment).unwrap().set_len(0).unwrap();
    say(&ledger, 5..7);
    while ledger.durable() < 7 {
        std::thread::yield_now();
    }
    assert_eq!(ledger.missing(), damaged(0, 4));
    Box::new(ledger).finish().unwrap();
    assert_eq!(reader.text(), lines(0..7));
}

#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    run(&ledger, 0..1);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!([mode(&ledger), mode(&ledger.join("records"))], [0o700, 0o700]);
    let files = [&ledger, &ledger.join("records")].map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.into_iter().flatten().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let modes: Vec<_> = files.map(|path| mode(&path)).collect();
    assert_eq!(modes, [0o600; 4]);
}
