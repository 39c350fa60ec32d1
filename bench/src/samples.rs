//! What was measured of each program in each round, and the medians of it. Pure.

use std::collections::BTreeMap;

use crate::programs::Counts;
use crate::report::HookRow;
use crate::stats::{largest, median, smallest};

/// (hook, program) -> a sample for each round.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<(String, String), Vec<Sample>>);

#[derive(Clone, Copy, Debug)]
struct Sample {
    runs: u64,
    gross_ns: f64,
    empty_ns: f64,
}

impl Samples {
    /// Takes in a round: a program's counts and the empty program's for the same load. One that did not run is left out.
    pub fn add(&mut self, hook: &str, program: &str, counts: Counts, empty: Counts) {
        let (Some(gross_ns), Some(empty_ns)) = (counts.ns_per_run(), empty.ns_per_run()) else { return };
        let rounds = self.0.entry((hook.to_owned(), program.to_owned())).or_default();
        rounds.push(Sample { runs: counts.runs, gross_ns, empty_ns });
    }

    /// Takes in all of another's.
    pub fn extend(&mut self, other: Self) {
        for (key, samples) in other.0 {
            self.0.entry(key).or_default().extend(samples);
        }
    }

    /// The medians; `None` where it never ran. What they are compared with is of the same round each.
    #[must_use]
    pub fn row(&self, hook: &str, program: &str) -> Option<HookRow> {
        let samples = self.0.get(&(hook.to_owned(), program.to_owned()))?;
        let of = |value: fn(&Sample) -> f64| median(&samples.iter().map(value).collect::<Vec<_>>());
        let ratios: Vec<f64> = samples.iter().map(|sample| sample.gross_ns / sample.empty_ns).collect();
        Some(HookRow {
            hook: hook.to_owned(),
            program: program.to_owned(),
            case: "",
            rounds: samples.len(),
            runs: samples.iter().map(|sample| sample.runs).sum(),
            gross_ns: of(|sample| sample.gross_ns)?,
            net_ns: of(|sample| sample.gross_ns - sample.empty_ns)?,
            ratio_to_empty: median(&ratios)?,
            ratio_min: smallest(&ratios)?,
            ratio_max: largest(&ratios)?,
            aim_ratio: None,
            printed: None,
            lost: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(run_time_ns: u64) -> Counts {
        Counts { run_time_ns, runs: 10, skipped: 0 }
    }

    #[test]
    fn each_round_is_compared_with_its_own_empty_program() {
        let mut samples = Samples::default();
        for (ours, empty) in [(600, 500), (1000, 500), (900, 750)] {
            samples.add("exit", "ours", counts(ours), counts(empty));
        }
        let row = samples.row("exit", "ours").unwrap();
        assert_eq!((row.rounds, row.runs), (3, 30));
        assert_eq!((row.gross_ns, row.net_ns, row.ratio_to_empty), (90.0, 15.0, 1.2));
        assert_eq!((row.ratio_min, row.ratio_max), (1.2, 2.0));
    }

    #[test]
    fn a_program_that_never_ran_has_no_row() {
        let mut samples = Samples::default();
        samples.add("exit", "ours", Counts::default(), counts(1));
        assert!(samples.row("exit", "ours").is_none());
    }
}
