//! Where the time of a chore went: its parts and their long steps.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};

/// Shorter steps are not shown.
const SHOWN: Duration = Duration::from_secs(10);

static PARTS: Mutex<Vec<Part>> = Mutex::new(Vec::new());

/// What stands under one heading.
#[derive(Debug)]
struct Part {
    name: String,
    began: Instant,
    took: Option<Duration>,
    steps: Vec<(String, Duration)>,
}

/// Begins a part; the one before it ends.
pub fn begin(name: &str) {
    let mut parts = parts();
    end_last(&mut parts);
    parts.push(Part { name: name.to_owned(), began: Instant::now(), took: None, steps: Vec::new() });
}

/// A step of the part that runs.
pub fn step(name: &str, took: Duration) {
    if let Some(part) = parts().last_mut() {
        part.steps.push((name.to_owned(), took));
    }
}

/// Ends the last part and prints all of them.
pub fn print() {
    let mut parts = parts();
    end_last(&mut parts);
    eprintln!("\n{}", table(&parts));
}

fn end_last(parts: &mut [Part]) {
    if let Some(last) = parts.last_mut() {
        last.took.get_or_insert_with(|| last.began.elapsed());
    }
}

fn table(parts: &[Part]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["where the time went", "s"]);
    let row = |name: &str, took: Duration| [name.to_owned(), format!("{:.0}", took.as_secs_f64())];
    let mut all = Duration::ZERO;
    for part in parts {
        let took = part.took.unwrap_or_default();
        all += took;
        table.add_row(row(&part.name, took));
        for (name, took) in part.steps.iter().filter(|(_, took)| *took >= SHOWN) {
            table.add_row(row(&format!("  {name}"), *took));
        }
    }
    table.add_row(row("in all", all));
    if let Some(seconds) = table.column_mut(1) {
        seconds.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn parts() -> MutexGuard<'static, Vec<Part>> {
    PARTS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_shows_its_long_steps() {
        let part = |name: &str, seconds, steps: &[(&str, u64)]| Part {
            name: name.to_owned(),
            began: Instant::now(),
            took: Some(Duration::from_secs(seconds)),
            steps: steps.iter().map(|(name, s)| ((*name).to_owned(), Duration::from_secs(*s))).collect(),
        };
        let parts = [part("setup", 70, &[("apt-get", 3), ("bpf-linker", 60)]), part("unit tier", 100, &[])];
        let table = table(&parts);
        let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            words[1..],
            [
                vec!["setup", "70"],
                vec!["bpf-linker", "60"],
                vec!["unit", "tier", "100"],
                vec!["in", "all", "170"],
            ]
        );
    }
}
