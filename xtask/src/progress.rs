//! Long steps: a spinner on a terminal, plain lines elsewhere.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::times;

/// How often a step says that it is still at it where there is no terminal.
const PLAIN_PERIOD: Duration = Duration::from_secs(15);

/// A step that takes a while; says so when it begins and when it is done.
#[derive(Debug)]
pub struct Step {
    what: String,
    began: Instant,
    last_line: Cell<Instant>,
    bar: Option<ProgressBar>,
}

impl Step {
    /// Begins a step and says what is done and why.
    #[must_use]
    pub fn begin(what: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| spinner(what));
        if bar.is_none() {
            eprintln!("   ... {what}");
        }
        let now = Instant::now();
        Self { what: what.to_owned(), began: now, last_line: Cell::new(now), bar }
    }

    /// Shows how far the step is; where there is no terminal, now and then.
    pub fn detail(&self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {}", self.what, detail.trim()));
        } else if self.last_line.get().elapsed() >= PLAIN_PERIOD {
            self.last_line.set(Instant::now());
            eprintln!("       {:3.0} s: {}", self.began.elapsed().as_secs_f64(), detail.trim());
        }
    }

    /// Says that the step is done and how long it took.
    pub fn done(self) {
        let took = self.began.elapsed();
        times::step(&self.what, took);
        let line = format!("    ok {} ({:.1} s)", self.what, took.as_secs_f64());
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{line}");
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// A heading between groups of steps.
pub fn heading(text: &str) {
    times::begin(text);
    eprintln!("\n=== {text}");
}

fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template(" {spinner} [{elapsed}] {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
