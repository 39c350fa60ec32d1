//! `debugtrail trace`: this node, in the foreground.

use anyhow::Context;
use clap::Args;

use super::shared_options::{Keeping, SharedOptions};
use super::signals::Hangup;
use crate::ids::RecorderId;
use crate::kernel::{Kernel, LoadOptions, Started};
use crate::pipeline::{Format, Memory, Recorder, Style};
use crate::pods::access::Refused;
use crate::sinks::stdout::Stdout;

/// Options of `trace`.
#[derive(Debug, Args)]
pub struct TraceOptions {
    /// How records are printed
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Only sessions of this namespace
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    shared: SharedOptions,
}

pub(super) fn run(trace: TraceOptions) -> anyhow::Result<()> {
    let TraceOptions { output, namespace, shared } = trace;
    let wanted = namespace.clone();
    let start = |options: LoadOptions| Kernel::load(options).map(Started::of_loaded);
    shared.run(Hangup::Ends, wanted.as_deref(), Refused::Ends, start, |node, convention, argv| {
        let out = Stdout::start().context("can't start the thread that writes to stdout")?;
        let style = Style { format: output, namespace, convention, argv };
        let id = RecorderId::draw().context("the kernel gives no random bytes")?;
        let recorder = Recorder::new(node, id, style, Box::new(out));
        Ok(Keeping { recorder, memory: Memory::default(), agent: None })
    })
}
