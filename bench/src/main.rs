//! What debugtrail costs, keeps and reports, measured for real on this machine: run by `cargo xtask bench`,
//! which builds all that takes part. What the results mean is in [`report`].

mod empty;
mod exact;
mod hooks;
mod kernel;
mod load;
mod machine;
mod memory;
mod peers;
mod programs;
mod report;
mod samples;
mod sessions;
mod stage;
mod stats;
mod storm;
mod table;
mod trace;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use xtask::bench::Section;
use xtask::interrupt;

use report::{Report, SCHEMA};
use stage::Stage;

/// debugtrail's bench; run it with `cargo xtask bench`.
#[derive(Parser)]
struct Args {
    /// Write the results as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The part of `instructions` that runs in a virtual machine.
    #[arg(long, hide = true)]
    in_guest: bool,
    /// Which sections; all where none is named.
    #[arg(value_enum)]
    sections: Vec<Section>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = interrupt::install().and_then(|()| run(&args));
    interrupt::wait_if_interrupted();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if args.in_guest {
        return exact::guest::run();
    }
    let sections = if args.sections.is_empty() { Section::value_variants() } else { &args.sections };
    let machine = machine::describe()?;
    let (mut report, cleared) = if sections.iter().any(|section| *section != Section::Instructions) {
        let stage = Stage::set()?;
        let measured = measure(&stage, sections);
        let cleared = stage.clear();
        (measured?, cleared)
    } else {
        (Report::default(), Ok(()))
    };
    (report.schema, report.machine) = (SCHEMA, machine);
    if sections.contains(&Section::Instructions) {
        report.untracked_instructions = exact::measure()?;
    }
    println!("{}", table::text(&report));
    if let Some(file) = &args.json {
        let json = serde_json::to_string_pretty(&report)?;
        fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    cleared
}

/// Memory first, of a machine that is at rest, and the storms last, which leave it hot.
fn measure(stage: &Stage, sections: &[Section]) -> Result<Report> {
    let mut report = Report { versions: machine::versions(&stage.cluster)?, ..Report::default() };
    if sections.contains(&Section::Memory) {
        report.memory = memory::measure(stage)?;
    }
    if sections.contains(&Section::Sessions) {
        let sessions = sessions::measure(stage)?;
        (report.latency, report.durations) = (sessions.latency, sessions.durations);
    }
    if sections.contains(&Section::Hooks) {
        let hooks = hooks::measure(stage)?;
        report.hooks = hooks.hooks;
        report.memory.extend(hooks.memory);
    }
    if sections.contains(&Section::Storm) {
        report.storms = storm::measure(stage)?;
    }
    Ok(report)
}
