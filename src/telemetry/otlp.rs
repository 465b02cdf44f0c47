//! Sends spans to a collector, as OTLP over HTTP.
//!
//! It does so if `OTEL_EXPORTER_OTLP_ENDPOINT` is set; the other `OTEL_` variables say how. See
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter as Exporter};
use reqwest::blocking::Client;
use reqwest::{Certificate, redirect};
use tracing::{Metadata, Span, Subscriber};
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

/// Variables that name a file of the authorities to believe, in PEM.
const AUTHORITIES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];

/// Spans on their way to the collector, until the end of the process.
pub struct Export(SdkTracerProvider);

/// Whether anybody is to get spans.
#[must_use]
pub fn is_wanted() -> bool {
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    !is_off && COLLECTORS.iter().any(|name| variable(name).is_some())
}

/// A variable that is set to something.
#[expect(clippy::disallowed_methods, reason = "these are no settings of ours: the SDK reads all the others")]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl Export {
    /// Begins to send, unless the variables are such that nobody could get anything.
    pub fn start() -> Option<Self> {
        // A blocking client must not be made on a thread of the runtime.
        let client = thread::spawn(client).join().ok()??;
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build().ok()?;
        let exporter = Telling { exporter, has_failed: AtomicBool::new(false) };
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

/// What the crates of OpenTelemetry say that the log takes: how many spans were dropped, since they came too fast.
const DROPS: [&str; 2] = ["BatchSpanProcessor.SpanDroppingStarted", "BatchSpanProcessor.SpansDropped"];

/// Whether an event may stand in the log. Others of those crates quote the collector's answer, at any length.
pub(super) fn may_be_told(event: &Metadata<'_>) -> bool {
    !event.target().starts_with("opentelemetry") || DROPS.contains(&event.name())
}

/// An exporter that tells the log when the collector stops taking spans, and when it takes them again.
#[derive(Debug)]
struct Telling {
    exporter: SpanExporter,
    has_failed: AtomicBool,
}

impl Exporter for Telling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        let had_failed = self.has_failed.swap(exported.is_err(), Ordering::Relaxed);
        if exported.is_err() && !had_failed {
            tracing::warn!("the collector of OTEL_EXPORTER_OTLP_ENDPOINT does not take spans; they are lost");
        } else if exported.is_ok() && had_failed {
            tracing::info!("the collector takes spans again");
        }
        exported
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(limit)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
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

/// A client that believes the authorities of `OTEL_EXPORTER_OTLP_CERTIFICATE`, or else the public ones that the binary brings.
/// Nothing where the file can't be read.
fn client() -> Option<Client> {
    let pem = AUTHORITIES.iter().find_map(|name| variable(name)).map(fs::read).transpose().ok()?;
    let public = || webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der)).collect();
    let authorities: Result<Vec<_>, _> = pem.map_or_else(public, |pem| Certificate::from_pem_bundle(&pem));
    let authorities = authorities.ok().filter(|authorities| !authorities.is_empty())?;
    Client::builder()
        .tls_certs_only(authorities)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(CALL_LIMIT)
        .build()
        .ok()
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
