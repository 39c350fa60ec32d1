//! The command line: one file per subcommand. stdout is data, stderr is for people.
//!
//! What the exit codes say: `exit_code`.

mod agent;
mod colours;
pub mod convention;
mod doctor;
pub(crate) mod exit_code;
pub mod log;
mod shared_options;
mod signals;
mod trace;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::visible;
use exit_code::Failure;

/// How every Kubernetes debug session ended, as the kernel saw it.
#[derive(Debug, Parser)]
#[command(
    name = "debugtrail",
    version,
    after_help = help()
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch this node in the foreground and print a record of each debug session's start and end
    ///
    /// Needs root, or the capabilities CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, and read
    /// access to the API's pods. Loads programs into the kernel and leaves none behind.
    Trace(trace::TraceOptions),
    /// Watch this node for good: records durable in a ledger, then on stdout; health and metrics over HTTP
    ///
    /// What the DaemonSet runs. After a restart it goes on where it was: what happened meanwhile is reported
    /// from the API, once, and the downtime is a gap. Needs what `trace` needs, and its ledger's folder.
    Agent(agent::AgentOptions),
    /// Check whether this node and cluster can record debug sessions, with a hint for each problem
    ///
    /// Loads the programs into the kernel for a moment and asks the API what `trace` and `agent` ask it;
    /// changes nothing. Ends with 0 where it can record, else with the exit code of what fails first.
    Doctor(doctor::DoctorOptions),
}

fn help() -> String {
    let log = "Environment: DEBUGTRAIL_LOG sets what is logged on stderr: a level such as `debug` (default: info), \
               or `info,kube=debug`.";
    format!("{}\n\n{log}", exit_code::HELP)
}

/// The command line; where it is none, says so and ends.
#[must_use]
pub fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        let text = error.render().to_string();
        let lines = text.lines().map(visible::line).collect::<Vec<_>>().join("\n");
        let _ = writeln!(std::io::stderr(), "{lines}");
        std::process::exit(error.exit_code());
    })
}

/// Does what the command line says.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let result = log::start().map_err(anyhow::Error::from).and_then(|()| match cli.command {
        Command::Trace(trace) => trace::run(trace).map(|()| ExitCode::SUCCESS),
        Command::Agent(agent) => agent::run(agent).map(|()| ExitCode::SUCCESS),
        Command::Doctor(doctor) => doctor::run(&doctor),
    });
    result.unwrap_or_else(|error| {
        // Where stderr is full or closed, the exit code still says it.
        let _ = writeln!(std::io::stderr(), "debugtrail: {}", visible::line(&format!("{error:#}")));
        Failure::of(&error).into()
    })
}
