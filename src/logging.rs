//! Where log lines go: stderr, as text on a terminal and as JSON elsewhere, unless the configuration says.
//!
//! A thread of its own writes them, from a bounded queue: a log that is not read, or whose reader is gone,
//! costs lines and never a session. Lines that were dropped are counted.

use std::io::IsTerminal;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Lines that wait for a slow reader; about 3 MB at most.
const QUEUE: usize = 8_192;

/// Logging as long as it lives; dropped at the end, it writes what is left.
pub struct Logging {
    _writer: WorkerGuard,
    /// How many lines were dropped.
    pub dropped: ErrorCounter,
}

/// Starts logging for the whole process. A level that cannot be understood is an error, with its text.
pub fn start(log: &Log) -> Result<Logging, String> {
    let filter = EnvFilter::try_new(&log.level).map_err(|error| {
        format!("log.level = \"{}\" cannot be understood: {error}; try \"info\"", log.level)
    })?;
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(QUEUE).finish(std::io::stderr());
    let dropped = writer.error_counter();
    // Its own complaint about a broken stderr would go to stderr, and panic.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false).with_writer(writer);
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let started = if json {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
    // Somebody who embeds us may have set up logging before; theirs holds.
    drop(started);
    Ok(Logging { _writer: guard, dropped })
}
