//! `debugtrail doctor`: whether this node and cluster can record debug sessions.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::colours;
use super::exit_code::Failure;
use crate::doctor::{Report, gather, judge};
use crate::sinks::OutputError;

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorOptions {
    /// How the findings are printed
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Kubeconfig of the node's cluster [default: $KUBECONFIG, else the service account, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Name of this node in the cluster [default: the node whose boot id is this machine's]
    #[arg(long, env = "NODE_NAME")]
    node: Option<String>,
    /// The folder of a ledger, to be checked as well
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A line for each, for people.
    Table,
    /// One JSON object, schema debugtrail.dev/doctor/v1.
    Json,
}

pub(super) fn run(doctor: &DoctorOptions) -> anyhow::Result<ExitCode> {
    let asked = gather::Asked {
        kubeconfig: doctor.kubeconfig.clone(),
        node: doctor.node.clone(),
        ledger: doctor.ledger.clone(),
    };
    let findings = judge::findings(&gather::facts(&asked));
    let report = Report(&findings);
    let text = match doctor.output {
        Format::Table => report.table(colours::on(&io::stdout())),
        Format::Json => report.json()? + "\n",
    };
    print(&text)?;
    Ok(judge::failure(&findings).map_or(ExitCode::SUCCESS, Failure::into))
}

/// A reader that went away is no error.
fn print(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(OutputError(error)),
        _ => Ok(()),
    }
}
