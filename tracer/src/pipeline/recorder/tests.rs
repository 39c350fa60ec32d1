use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};

use serde_json::Value;

use super::*;
use crate::ids::BootId;
use crate::sinks::stdout::Stdout;

/// Takes nothing until its other end is dropped.
struct Stalled(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _released = self.0.recv();
        self.1.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn recorder(out: Stdout) -> Recorder {
    let node = NodeFacts {
        node_name: Some("node1".into()),
        boot_id: BootId::new("b0"),
        kernel_release: "6.18.0".into(),
    };
    let style =
        Style { format: Format::Json, namespace: None, convention: Convention::default(), argv: Argv::Off };
    Recorder::new(node, RecorderId::draw().unwrap(), style, Box::new(out))
}

#[test]
fn records_lost_to_a_stalled_reader_are_reported_later() {
    let (release, stalled) = mpsc::channel();
    let written = Arc::new(Mutex::new(Vec::new()));
    let mut recorder = recorder(Stdout::writing_to(Stalled(stalled, Arc::clone(&written))).unwrap());
    // Some 20 MB.
    let reported: u64 = 40_000;
    for _ in 0..reported {
        recorder.agent_started();
        recorder.report_unwritten();
    }
    drop(release);
    recorder.agent_stopped(StopReason::Interrupted).unwrap();

    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind| records.iter().filter(|record| record["type"] == kind).collect::<Vec<_>>();
    let gaps: u64 = of("gap").iter().filter_map(|gap| gap["lost"].as_u64()).sum();
    assert!(gaps > 0);
    assert_eq!(of("agent_started").len() as u64 + gaps, reported);
    assert_eq!(records.last().unwrap()["type"], "agent_stopped");
}
