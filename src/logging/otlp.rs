//! Where do the spans go?
//!
//! To a collector, as OTLP over HTTP, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set; the other `OTEL_` variables say how. See
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>.

use std::collections::HashMap;
use std::env;
use std::thread;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::blocking::Client;
use reqwest::{Certificate, redirect};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

/// For one batch, which nobody waits for.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// For the last batch, which the end of the process waits for.
const LAST_LIMIT: Duration = Duration::from_secs(2);

/// Variables that name a collector.
const COLLECTORS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// Spans on their way to the collector, until the end of the process.
pub struct Export(SdkTracerProvider);

/// Whether anybody is to get spans.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "these are no settings of ours: the SDK reads all the others")]
pub fn is_wanted() -> bool {
    COLLECTORS.iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}

impl Export {
    /// Begins to send, unless the variables are such that nobody could get anything.
    pub fn start() -> Option<Self> {
        // A blocking client must not be made on a thread of the runtime.
        let client = thread::spawn(client).join().ok()?.ok()?;
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build().ok()?;
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource());
        Some(Self(provider.build()))
    }

    /// What hears of the spans of a target.
    #[must_use]
    pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(&self, target: &str) -> impl Layer<S> + use<S> {
        let tracer = self.0.tracer(env!("CARGO_PKG_NAME"));
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        // Nothing else of where and how, which is the code's own business.
        let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
        layer.with_filter(Targets::new().with_target(target, LevelFilter::INFO))
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        let _ = self.0.shutdown_with_timeout(LAST_LIMIT);
    }
}

/// Makes a request's span part of the trace that its `traceparent` names, and gives the trace's id.
#[must_use]
pub fn adopt(span: &Span, traceparent: Option<&str>) -> Option<String> {
    if let Some(traceparent) = traceparent {
        let headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
        let _ = span.set_parent(TraceContextPropagator::new().extract(&headers));
    }
    let context = span.context();
    let id = context.span().span_context().trace_id();
    Some(id.to_string()).filter(|_| context.span().span_context().is_valid())
}

/// Believes the public authorities that the binary brings: the image has none.
fn client() -> reqwest::Result<Client> {
    let authorities: Result<Vec<Certificate>, _> =
        webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der)).collect();
    Client::builder()
        .tls_certs_only(authorities?)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(CALL_LIMIT)
        .build()
}

/// Who sends: as `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say, or by the program's own name.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let is_named = Resource::builder()
        .build()
        .get(&Key::from_static_str("service.name"))
        .is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let resource = Resource::builder().with_attribute(version);
    if is_named { resource.build() } else { resource.with_service_name(env!("CARGO_PKG_NAME")).build() }
}
