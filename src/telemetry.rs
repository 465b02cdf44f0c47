//! Writes log lines to standard output and, with the feature `otlp`, sends spans to a collector.

mod output;
#[cfg(feature = "otlp")]
mod otlp;
pub(crate) mod spans;

use std::fs::File;
use std::io;
#[cfg(unix)]
use std::os::fd::AsFd;
#[cfg(windows)]
use std::os::windows::io::AsHandle;
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

/// Target of lines that are logged at every level, such as a listener's address: with port 0 only the log shows it.
pub(crate) const ALWAYS: &str = concat!(env!("CARGO_CRATE_NAME"), "::always");

/// The log. Keep it until the end of the process: when dropped, it waits until the last lines are written, unless the reader
/// has stopped reading.
pub struct Log {
    // Dropped in this order: the end of the export may log something.
    #[cfg(feature = "otlp")]
    _export: Option<otlp::Export>,
    _output: Option<OutputGuard>,
}

/// Starts to write log lines of at least `level` to standard output and, with the feature `otlp`, to send spans as the `OTEL_`
/// variables say. A second call changes nothing.
///
/// Other crates log only warnings and errors: their lower levels may quote a request's secrets.
#[must_use]
pub fn start(format: Format, level: Level) -> Log {
    panic::set_hook(Box::new(report_panic));
    #[cfg(unix)]
    let stdout = io::stdout().as_fd().try_clone_to_owned().ok();
    #[cfg(windows)]
    let stdout = io::stdout().as_handle().try_clone_to_owned().ok();
    let (lines, output) = stdout.map(|stdout| output::start(File::from(stdout))).unzip();
    let level = LevelFilter::from_level(level);
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_target(ALWAYS, level.max(LevelFilter::INFO));
    #[cfg(feature = "otlp")]
    let targets = targets.and(filter_fn(otlp::is_loggable));
    let lines = lines.map(|lines| layer(format, lines).with_filter(targets));
    let subscriber = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otlp")]
    let export = otlp::is_enabled().then(otlp::Export::start).flatten();
    #[cfg(feature = "otlp")]
    let subscriber = subscriber.with(export.as_ref().map(|export| export.layer(spans::TARGET)));
    let _ = subscriber.try_init();
    #[cfg(feature = "otlp")]
    if otlp::is_enabled() && export.is_none() {
        tracing::warn!("no spans are sent: the OTEL_EXPORTER_OTLP_ variables have an invalid URL or certificate file");
    }
    Log {
        #[cfg(feature = "otlp")]
        _export: export,
        _output: output,
    }
}

/// Writes each event as one line. [`output`] reports lines that could not be written.
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

/// Logs only the location: a panic's message may quote secrets.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, "panicked");
}
