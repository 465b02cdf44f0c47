//! The spans of a request: what its steps are, and how long each takes.
//!
//! Spans that nobody collects cost next to nothing: the log leaves them out, and only the feature `otlp` sends them on.

use tracing::Span;
use tracing::field::Empty;

/// Target of all spans.
pub const TARGET: &str = "spans";

/// A request that is being answered, by the semantic conventions of OpenTelemetry for HTTP servers. No address,
/// path, origin or user is in it.
#[must_use]
pub fn request(method: &str, route: &str, request_id: &str) -> Span {
    // The conventions' word for a method that is none.
    let method = if method == "other" { "_OTHER" } else { method };
    tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        error.type = Empty,
        zendesk_token.refusal = Empty,
        zendesk_token.request_id = request_id,
    )
}

/// Makes a request's span part of the trace that its `traceparent` names, and gives the id of the trace; nothing
/// where nobody collects.
#[must_use]
pub fn adopt(span: &Span, traceparent: Option<&str>) -> Option<String> {
    #[cfg(feature = "otlp")]
    return super::otlp::adopt(span, traceparent);
    #[cfg(not(feature = "otlp"))]
    {
        let _ = (span, traceparent);
        None
    }
}

/// What became of a request: the answer's status, and the refusal's code if it was one.
pub fn end(span: &Span, status: u16, refusal: Option<&'static str>) {
    // An integer for the collector, which has no unsigned ones.
    span.record("http.response.status_code", i64::from(status));
    if let Some(refusal) = refusal {
        span.record("zendesk_token.refusal", refusal);
    }
    // A server's span is an error when the server is at fault.
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", refusal.unwrap_or("_OTHER"));
    }
}

/// A call to the Login API; `name` says what for.
#[must_use]
pub fn call(name: &'static str, method: &str) -> Span {
    tracing::info_span!(target: TARGET, "call", otel.name = name, otel.kind = "client", http.request.method = method)
}
