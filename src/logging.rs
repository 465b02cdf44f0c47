//! How does the service speak of what it does?

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::panic::{self, PanicHookInfo};
use std::str::FromStr;
use std::sync::Arc;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// One line of text for a person.
    Text,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(()),
        }
    }
}

/// Sends log lines of at least `level` to standard output, for the rest of the process.
///
/// Crates other than this one never speak below `warn`: what they would say of a request is not
/// ours to vouch for. A second call changes nothing.
pub fn start(format: Format, level: Level) {
    panic::set_hook(Box::new(report_panic));
    let level = LevelFilter::from_level(level);
    let targets =
        Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(env!("CARGO_CRATE_NAME"), level);
    // Each line is one write(2) and needs no lock; `io::stdout` has one, and threads queue at it.
    // Whoever closed standard output wants no log.
    let Ok(stdout) = io::stdout().as_fd().try_clone_to_owned() else { return };
    let writer = Arc::new(File::from(stdout));
    let lines = fmt::layer().with_writer(writer).with_ansi(false).with_target(false).log_internal_errors(false);
    let lines = match format {
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        Format::Text => lines.boxed(),
    };
    let _ = tracing_subscriber::registry().with(lines.with_filter(targets)).try_init();
}

/// Names the place only: a panic's message may quote what the code was working on.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, "a request panicked");
}
