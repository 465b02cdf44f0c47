//! Creates the spans of a request and of its calls to other services.
//!
//! The log has no spans: only the feature `otlp` sends them, to a collector. Without one they cost almost nothing.

use tracing::Span;
use tracing::field::Empty;

/// Target of all spans.
pub(crate) const TARGET: &str = "spans";

/// The span of a request, by OpenTelemetry's conventions for HTTP servers. It has no address, path, origin or user.
pub(crate) fn request(method: &str, route: &str, request_id: &str) -> Span {
    // By the conventions, `_OTHER` is an unknown method.
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

/// Makes a request's span part of the trace in its header `traceparent`. Returns the trace's id; `None` without a collector.
pub(crate) fn adopt(span: &Span, traceparent: Option<&str>) -> Option<String> {
    #[cfg(feature = "otlp")]
    return super::otlp::adopt(span, traceparent);
    #[cfg(not(feature = "otlp"))]
    {
        let _ = (span, traceparent);
        None
    }
}

/// Records the response's status, and the error code if the request was refused.
pub(crate) fn end(span: &Span, status: u16, refusal: Option<&'static str>) {
    // OpenTelemetry has only signed integers.
    span.record("http.response.status_code", i64::from(status));
    if let Some(refusal) = refusal {
        span.record("zendesk_token.refusal", refusal);
    }
    // By the conventions, a server's span is an error only from status 500 on.
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", refusal.unwrap_or("_OTHER"));
    }
}

/// The span of a call to the Login API, named by its purpose.
pub(crate) fn call(name: &'static str, method: &str) -> Span {
    tracing::info_span!(target: TARGET, "call", otel.name = name, otel.kind = "client", http.request.method = method)
}
