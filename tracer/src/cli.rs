//! The command line: one file per subcommand. stdout is data, stderr is for people.
//!
//! Exit codes: 0 the work was done, or was ended by SIGINT, SIGTERM or the reader of the output; 1 something
//! failed, and one line on stderr says what to do; 2 the command line is wrong.

mod agent;
mod log;
mod trace;
mod witness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How every Kubernetes debug session ended, witnessed by the kernel.
#[derive(Debug, Parser)]
#[command(
    name = "debugtrail",
    version,
    after_help = "\
Exit codes: 0 done, also when ended by SIGINT, SIGTERM or a closed pipe; 1 failed, stderr says what to do; \
2 wrong usage.
Environment: DEBUGTRAIL_LOG sets what is logged on stderr, such as `debug` (default: info)."
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
    Trace(trace::Trace),
    /// Watch this node for good: records durable in a ledger, then on stdout; health and metrics over HTTP
    ///
    /// What the DaemonSet runs. After a restart it goes on where it was: what happened meanwhile is told from the API,
    /// once, and the time without a witness is a gap. Needs what `trace` needs, and its ledger's folder.
    Agent(agent::Agent),
}

/// Does what the command line says.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    log::start();
    let result = match cli.command {
        Command::Trace(trace) => trace::run(trace),
        Command::Agent(agent) => agent::run(agent),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("debugtrail: {error:#}");
            ExitCode::FAILURE
        }
    }
}
