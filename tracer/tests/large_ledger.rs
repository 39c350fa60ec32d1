//! What an agent has in memory of a large ledger. A process of its own: its peak is what is measured.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use debugtrail::clock::ClockState;
use debugtrail::ids::{BootId, ContainerId};
use debugtrail::ledger::{Ledger, Limits};
use debugtrail::pipeline::Memory;
use debugtrail::record::{Evidence, Exit, KernelEvidence, Record, SessionId, SessionRecord};

/// Ends that wait for the API's status.
const ENDS: usize = 100_000;
/// Half of what deploy/ gives the agent: the other half is for what it does while it runs.
const MOST: u64 = 64 << 20;

/// 100,000 ends in some 200 MB, a tenth of the largest ledger that was tried: segments are read a line at a time, so that
/// more of them take more time and no more memory. The whole 2 GiB would take CI minutes.
#[test]
fn a_large_ledger_fits_into_memory_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let boot = BootId::new("b0");
    let bytes = write_ends(&folder.path().join("records"), &boot);
    assert!(bytes > 2 * MOST, "{bytes} bytes");
    let opened = Ledger::open(folder.path(), Limits::of_mebibytes(2048), boot.clone()).unwrap();
    assert_eq!(opened.history.unreadable, 0);
    let memory = Memory::of(opened.history, opened.heartbeat, opened.snapshot, &boot);
    let peak = peak_memory();
    drop(memory);
    println!("{bytes} bytes of ledger, {peak} bytes of memory");
    assert!(peak < MOST, "{peak} bytes");
}

fn write_ends(records: &Path, boot: &BootId) -> u64 {
    std::fs::create_dir_all(records).expect("a folder");
    let id = |n: usize| SessionId::of_container(&ContainerId::parse(&format!("{n:064x}")).expect("an id"));
    let clock = ClockState { boot_id: boot.clone(), synchronized: None, max_error_us: None };
    let evidence = Evidence::of_kernel(KernelEvidence::Full);
    let mut record = SessionRecord::ended(id(0), Exit::unknown(), evidence, clock);
    record.identity.image = Some("x".repeat(1024));
    let line = Record::Session(Box::new(record)).to_json_line().expect("a line");
    let first = format!("{:064x}", 0);
    let mut bytes = 0;
    for segment in (0..ENDS).step_by(ENDS / 10) {
        let file = File::create(records.join(format!("{segment:020}.jsonl"))).expect("a file");
        let mut file = BufWriter::new(file);
        for n in segment..segment + ENDS / 10 {
            let line = line.replace(&first, &format!("{n:064x}"));
            writeln!(file, "{line}").expect("room on the disk");
            bytes += line.len() as u64 + 1;
        }
        file.flush().expect("room on the disk");
    }
    bytes
}

/// `VmHWM` of proc(5).
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}
