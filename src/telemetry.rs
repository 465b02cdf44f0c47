//! Sends log lines to standard output and, with the feature `otlp`, spans to a collector.

mod output;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod spans;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::panic::{self, PanicHookInfo};
use std::str::FromStr;

use tracing::{Level, Subscriber};
use tracing_appender::non_blocking::NonBlocking;
#[cfg(feature = "otlp")]
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use output::OutputGuard;

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

/// Target of what is said at any level: where the service listens, for port 0 names no port.
pub const ALWAYS: &str = concat!(env!("CARGO_CRATE_NAME"), "::always");

/// The log, until the end of the process.
///
/// Its drop waits for the last lines, but not for a reader that has stopped reading.
pub struct Log {
    // Fields are dropped in this order: the end of the export may be something to log.
    #[cfg(feature = "otlp")]
    _export: Option<otlp::Export>,
    _output: Option<OutputGuard>,
}

/// Sends log lines of at least `level` to standard output, for the rest of the process.
///
/// Crates other than this one never speak below `warn`: what they would say of a request is not
/// ours to vouch for. Spans are not in it; with the feature `otlp` they go where the `OTEL_` variables
/// say. A second call changes nothing.
#[must_use]
pub fn start(format: Format, level: Level) -> Log {
    panic::set_hook(Box::new(report_panic));
    // Whoever closed standard output wants no log.
    let stdout = io::stdout().as_fd().try_clone_to_owned().ok();
    let (lines, output) = stdout.map(|stdout| output::start(File::from(stdout))).unzip();
    let level = LevelFilter::from_level(level);
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_target(ALWAYS, level.max(LevelFilter::INFO));
    #[cfg(feature = "otlp")]
    let targets = targets.and(filter_fn(otlp::may_be_told));
    let lines = lines.map(|lines| layer(format, lines).with_filter(targets));
    let subscriber = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otlp")]
    let export = otlp::is_wanted().then(otlp::Export::start).flatten();
    #[cfg(feature = "otlp")]
    let subscriber = subscriber.with(export.as_ref().map(|export| export.layer(spans::TARGET)));
    let _ = subscriber.try_init();
    #[cfg(feature = "otlp")]
    if otlp::is_wanted() && export.is_none() {
        tracing::warn!(
            "no spans are sent: the OTEL_EXPORTER_OTLP_ variables name no collector that there can be, or no certificate"
        );
    }
    Log {
        #[cfg(feature = "otlp")]
        _export: export,
        _output: output,
    }
}

/// Writes each event as one line. A line that can't be written is reported by [`output`].
fn layer<S>(format: Format, lines: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = fmt::layer().with_writer(lines).with_ansi(false).with_target(false);
    let layer = layer.log_internal_errors(false);
    match format {
        Format::Json => layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        Format::Text => layer.boxed(),
    }
}

/// Names the place only: a panic's message may quote what the code was working on.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, "panicked");
}
