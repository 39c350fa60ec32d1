//! Logs for people, on stderr.

pub mod filter;

use std::fmt::Debug;
use std::io;

use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::colours;
use crate::visible;
use filter::{BadFilter, Filter};

/// The variable that says what is logged.
const VARIABLE: &str = "DEBUGTRAIL_LOG";

/// # Errors
///
/// Where the variable says nothing that is known.
pub(super) fn start() -> Result<(), BadFilter> {
    let value = std::env::var_os(VARIABLE).unwrap_or_default();
    let filter = value.to_str().ok_or_else(|| BadFilter::not_text(&value))?.parse::<Filter>()?;
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(debug_fn(field).delimited(" "))
        .with_ansi(colours::on(&io::stderr()))
        .with_writer(io::stderr)
        // It would say so on stderr, and panic where that is full.
        .log_internal_errors(false);
    tracing_subscriber::registry().with(lines).with(filter.targets()).init();
    Ok(())
}

/// What is logged has names and messages from outside in it.
fn field(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let value = format!("{value:?}");
    match field.name() {
        "message" => write!(out, "{}", visible::line(&value)),
        // Where a library's own log comes from.
        name if name.starts_with("log.") => Ok(()),
        name => write!(out, "{name}={}", visible::line(&value)),
    }
}
