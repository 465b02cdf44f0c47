//! How does an event become a line of JSON?
//!
//! As one object: `timestamp` (RFC 3339, in UTC), `level`, and the event's own fields, of which `message` is one. The
//! library's own formatter takes each piece through several writers, and a request's line costs more than its exchange.

use std::fmt;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::writer::Writer;

/// Room for the line of a request, in bytes.
const USUAL_BYTES: usize = 1000;

/// Writes every event it is given as a line.
pub(super) struct JsonLines(pub(super) Writer);

impl<S: Subscriber> Layer<S> for JsonLines {
    #[expect(clippy::disallowed_methods, reason = "the time of a line, by which nothing is decided")]
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // The library takes no time before 1970, nor after the year 9999.
        let now = SystemTime::now().max(UNIX_EPOCH);
        let mut line = Line(Vec::with_capacity(USUAL_BYTES));
        line.formatted("{", "timestamp", format_args!("{}", humantime::format_rfc3339_micros(now)));
        line.member(",", "level", event.metadata().level().as_str());
        event.record(&mut line);
        line.0.extend_from_slice(b"}\n");
        let _ = (&self.0).write(&line.0);
    }
}

/// A line as far as it is written.
struct Line(Vec<u8>);

impl Line {
    /// Names are words of code and have nothing to escape. Memory does not fail to be written to.
    fn member(&mut self, before: &str, name: &str, value: &(impl Serialize + ?Sized)) {
        for part in [before, "\"", name, "\":"] {
            self.0.extend_from_slice(part.as_bytes());
        }
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    /// A value that fails to be written ends there; the library would panic over it.
    fn formatted(&mut self, before: &str, name: &str, value: fmt::Arguments<'_>) {
        let mut text = String::new();
        let _ = fmt::Write::write_fmt(&mut text, value);
        self.member(before, name, &text);
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(",", field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(",", field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(",", field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(",", field.name(), &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(",", field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.formatted(",", field.name(), format_args!("{value:?}"));
    }
}
