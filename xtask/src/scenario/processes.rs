//! Do the records of a session's processes fit what a scenario expects, and each other? Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::check::about;
use super::matcher::mismatches;

/// What is wrong; empty when all is as expected. `expected` has partial processes by container.
#[must_use]
pub fn findings(expected: &BTreeMap<String, Vec<Value>>, records: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for (container, wanted) in expected {
        found.extend(missing(container, wanted, records));
    }
    for closed in of("session_closed", records) {
        found.extend(adds_up(closed, records).into_iter().map(|line| format!("{}: {line}", about(closed))));
    }
    found
}

fn of<'a>(kind: &'static str, records: &'a [Value]) -> impl Iterator<Item = &'a Value> {
    records.iter().filter(move |record| record["type"] == kind)
}

/// Each expected process takes the first one that fits and that no other has taken.
fn missing(container: &str, wanted: &[Value], records: &[Value]) -> Vec<String> {
    let chunks = of("session_processes", records).filter(|record| record["container_name"] == container);
    let mut left: Vec<&Value> = chunks.flat_map(processes).collect();
    let mut found = Vec::new();
    for process in wanted {
        match left.iter().position(|given| mismatches(process, given).is_empty()) {
            Some(at) => drop(left.swap_remove(at)),
            None => found.push(format!("processes of {container}: none like {process}")),
        }
    }
    if !found.is_empty() {
        let ran: Vec<_> = left.iter().map(|process| format!("{process}")).collect();
        found.push(format!("processes of {container}: the others are {}", ran.join(", ")));
    }
    found
}

fn processes(record: &Value) -> impl Iterator<Item = &Value> {
    record["processes"].as_array().into_iter().flatten()
}

/// What a closed session says of its processes is what its records of them hold, each process once.
fn adds_up(closed: &Value, records: &[Value]) -> Vec<String> {
    let session = &closed["session_id"];
    let once = of("session_closed", records).filter(|record| record["session_id"] == *session).count();
    let chunks: Vec<&Value> =
        of("session_processes", records).filter(|record| record["session_id"] == *session).collect();
    let recorded: Vec<&Value> = chunks.iter().flat_map(|record| processes(record)).collect();
    let mut who: Vec<_> = recorded
        .iter()
        .map(|process| (process["pid"].to_string(), process["started_boot_ns"].to_string()))
        .collect();
    who.sort();
    who.dedup();
    let number = |field: &str| closed[field].as_u64().unwrap_or(u64::MAX);
    let numbers: Vec<_> = chunks.iter().map(|record| record["chunk"].as_u64()).collect();
    let in_order: Vec<_> = (0..chunks.len() as u64).map(Some).collect();
    let all_there = number("recorded") == number("processes");
    let checks = [
        (once == 1, "recorded more than once"),
        (numbers == in_order, "the chunks before it are not numbered one by one"),
        (who.len() == recorded.len(), "a process stands twice in session_processes"),
        (number("recorded") == recorded.len() as u64, "recorded is not what session_processes hold"),
        (closed["truncated"].as_bool() == Some(!all_there), "truncated does not fit recorded and processes"),
        (
            number("lost") <= number("processes") - number("recorded"),
            "lost does not fit recorded and processes",
        ),
        (number("entered") <= number("processes"), "more entered than there were"),
    ];
    checks.into_iter().filter(|(holds, _)| !holds).map(|(_, finding)| finding.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chunk(n: u64, pids: &[u64]) -> Value {
        let process = |pid: &u64| json!({"pid": pid, "started_boot_ns": "1", "comm": "ls", "exit_code": 0});
        json!({"type": "session_processes", "session_id": "a1", "container_name": "dbg", "chunk": n,
               "processes": pids.iter().map(process).collect::<Vec<_>>()})
    }

    fn closed(processes: u64, recorded: u64) -> Value {
        json!({"type": "session_closed", "session_id": "a1", "container_name": "dbg", "processes": processes,
               "recorded": recorded, "truncated": processes > recorded, "lost": processes - recorded, "entered": 0})
    }

    fn wanted(processes: &[Value]) -> BTreeMap<String, Vec<Value>> {
        BTreeMap::from([("dbg".to_owned(), processes.to_vec())])
    }

    #[test]
    fn each_expected_process_needs_one_of_its_own() {
        let records = [chunk(0, &[7]), chunk(1, &[8]), closed(2, 2)];
        let ls = json!({"comm": "ls"});
        assert_eq!(findings(&wanted(&[ls.clone(), ls.clone()]), &records), [""; 0]);
        assert_eq!(findings(&wanted(&[ls.clone(), ls.clone(), ls]), &records).len(), 2);
        assert_eq!(findings(&wanted(&[json!({"comm": "cat"})]), &records).len(), 2);
    }

    #[test]
    fn totals_have_to_add_up() {
        let found = |records: &[Value]| findings(&BTreeMap::new(), records);
        assert_eq!(found(&[chunk(0, &[7, 8]), closed(3, 2)]), [""; 0]);
        for wrong in [
            vec![chunk(0, &[7]), closed(2, 2)],
            vec![chunk(0, &[7, 7]), closed(2, 2)],
            vec![chunk(1, &[7, 8]), closed(2, 2)],
            vec![chunk(0, &[7, 8]), closed(2, 2), closed(2, 2)],
        ] {
            assert!(!found(&wrong).is_empty(), "{wrong:?}");
        }
    }
}
