//! What a guest's output says of the tests.

use std::time::Duration;

use anyhow::Result;

use super::guest::Ran;

/// libtest's own count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Passed.
    pub(super) passed: u32,
    /// Failed.
    pub(super) failed: u32,
    /// Left out: never green here.
    pub(super) ignored: u32,
}

/// What came of one tier on one kernel.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The kernel's release.
    pub(super) release: String,
    /// The tier.
    pub(super) tier: String,
    /// libtest's count, where the tests came to their end.
    pub(super) counts: Option<Counts>,
    /// Why it did not pass.
    pub(super) complaint: Option<String>,
    /// All that was said.
    pub(super) said: String,
    took: Duration,
}

impl Outcome {
    /// Of a guest that has ended.
    pub(super) fn of(release: &str, tier: &str, ran: Result<Ran>) -> Self {
        let (release, tier) = (release.to_owned(), tier.to_owned());
        match ran {
            Ok(Ran { said, console, status, took }) => {
                let counts = counts(&said);
                let complaint = complaint(status, counts);
                let said = if status.is_some() { said } else { format!("{said}\n{console}") };
                Self { release, tier, counts, complaint, said, took }
            }
            Err(error) => {
                let complaint = Some(format!("{error:#}"));
                Self { release, tier, counts: None, complaint, said: String::new(), took: Duration::ZERO }
            }
        }
    }

    /// What tests are about and this kernel lacks: libtest counts these as passed, the matrix does not.
    pub(super) fn lacking(&self) -> Vec<String> {
        self.after("not on this kernel: ")
    }

    /// What else tests said that is worth keeping.
    pub(super) fn notes(&self) -> Vec<String> {
        self.after("note: ")
    }

    fn after(&self, mark: &str) -> Vec<String> {
        let after = |line: &str| Some(line.split_once(mark)?.1.to_owned());
        self.said.lines().filter_map(after).filter(|note| !note.contains("RUST_BACKTRACE")).collect()
    }

    /// Prints it in a line, and all of the output where it did not pass.
    pub(super) fn print(&self) {
        let (tier, release, seconds) = (&self.tier, &self.release, self.took.as_secs_f64());
        match (&self.complaint, self.counts) {
            (None, Some(Counts { passed, .. })) => {
                let lacking = self.lacking();
                let passed = (passed as usize).saturating_sub(lacking.len());
                eprintln!("    ok {tier} on Linux {release}: {passed} passed ({seconds:.1} s)");
                lacking.iter().for_each(|test| eprintln!("       not there: {test}"));
                self.notes().iter().for_each(|note| eprintln!("       {note}"));
            }
            (complaint, _) => {
                let complaint = complaint.as_deref().unwrap_or_default();
                eprintln!("{}\n failed {tier} on Linux {release}: {complaint} ({seconds:.1} s)", self.said);
            }
        }
    }

    /// In a line; `None` where it passed.
    pub(super) fn failure(&self) -> Option<String> {
        let complaint = self.complaint.as_ref()?;
        Some(format!("{} on Linux {}: {complaint}", self.tier, self.release))
    }
}

/// From the line `test result: ok. 57 passed; 0 failed; 0 ignored; ...`; `None` where there is none, as of a binary
/// that was killed.
fn counts(said: &str) -> Option<Counts> {
    let line = said.lines().rev().find_map(|line| line.strip_prefix("test result: "))?;
    let count = |what: &str| {
        let part = line.split(['.', ';']).find_map(|part| part.trim().strip_suffix(what))?;
        part.trim().parse().ok()
    };
    Some(Counts { passed: count("passed")?, failed: count("failed")?, ignored: count("ignored")? })
}

/// Why a tier did not pass; `None` where it did.
fn complaint(status: Option<i32>, counts: Option<Counts>) -> Option<String> {
    match (status, counts) {
        (None, _) => Some("the guest ended before its tests".to_owned()),
        (Some(_), None) => Some("the tests did not come to their end".to_owned()),
        (Some(_), Some(counts)) if counts.passed == 0 => Some("no test ran".to_owned()),
        (Some(_), Some(counts)) if counts.failed > 0 => Some(format!("{} tests failed", counts.failed)),
        (Some(_), Some(counts)) if counts.ignored > 0 => {
            Some(format!("{} tests were left out", counts.ignored))
        }
        (Some(0), Some(_)) => None,
        (Some(status), Some(_)) => Some(format!("the tests ended with {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = "test a ... ok\n\ntest result: ok. 57 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; \
                          finished in 3.21s\n\nguest: doctor\n";

    #[test]
    fn libtests_own_count_is_read() {
        assert_eq!(counts(RESULT), Some(Counts { passed: 57, failed: 0, ignored: 0 }));
        let failed = RESULT.replace("ok. 57 passed; 0 failed", "FAILED. 50 passed; 7 failed");
        assert_eq!(counts(&failed), Some(Counts { passed: 50, failed: 7, ignored: 0 }));
        assert_eq!(counts("test a ..."), None);
    }

    #[test]
    fn only_tests_that_ran_and_passed_are_well() {
        let counts = |passed, failed, ignored| Some(Counts { passed, failed, ignored });
        assert_eq!(complaint(Some(0), counts(57, 0, 0)), None);
        for (status, counts) in [
            (Some(0), counts(0, 0, 0)),
            (Some(0), counts(57, 0, 1)),
            (Some(101), counts(56, 1, 0)),
            (Some(1), counts(57, 0, 0)),
            (Some(0), None),
            (None, counts(57, 0, 0)),
        ] {
            assert!(complaint(status, counts).is_some(), "{status:?} {counts:?}");
        }
    }
}
