//! Sends spans to a collector, as OTLP over HTTP, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
//!
//! The other `OTEL_` variables configure it:
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

/// Timeout of one batch.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Timeout of the last batch, which delays the end of the process.
const LAST_LIMIT: Duration = Duration::from_secs(2);

/// Variables that name a collector.
const COLLECTORS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// Variables that name a CA bundle, in PEM.
const CA_BUNDLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];

/// Sends spans until it is dropped.
pub(super) struct Export(SdkTracerProvider);

/// Whether the variables enable the export.
pub(super) fn is_enabled() -> bool {
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    !is_off && COLLECTORS.iter().any(|name| variable(name).is_some())
}

/// A variable that is not empty.
#[expect(clippy::disallowed_methods, reason = "the SDK's variables, which are not settings of this service")]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl Export {
    /// Starts the export; `None` if a variable has an invalid value.
    pub(super) fn start() -> Option<Self> {
        // A blocking client must not be made on a thread of the runtime.
        let client = thread::spawn(client).join().ok()??;
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build().ok()?;
        let exporter = LoggingExporter { exporter, has_failed: AtomicBool::new(false) };
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource());
        Some(Self(provider.build()))
    }

    /// A layer that exports the spans of a target.
    pub(super) fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(&self, target: &str) -> impl Layer<S> + use<S> {
        let tracer = self.0.tracer(env!("CARGO_PKG_NAME"));
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        // No attributes about the code: file, thread, target.
        let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
        layer.with_filter(Targets::new().with_target(target, LevelFilter::INFO))
    }
}

/// The events of the OpenTelemetry crates that are logged: spans were dropped, because there were too many.
const DROPS: [&str; 2] = ["BatchSpanProcessor.SpanDroppingStarted", "BatchSpanProcessor.SpansDropped"];

/// Whether an event may be logged. Other events of the OpenTelemetry crates quote the collector's answer, of any length.
pub(super) fn is_loggable(event: &Metadata<'_>) -> bool {
    !event.target().starts_with("opentelemetry") || DROPS.contains(&event.name())
}

/// An exporter that logs when the collector stops accepting spans, and when it accepts them again.
#[derive(Debug)]
struct LoggingExporter {
    exporter: SpanExporter,
    has_failed: AtomicBool,
}

impl Exporter for LoggingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        let had_failed = self.has_failed.swap(exported.is_err(), Ordering::Relaxed);
        if exported.is_err() && !had_failed {
            tracing::warn!("the collector at OTEL_EXPORTER_OTLP_ENDPOINT does not accept spans; they are lost");
        } else if exported.is_ok() && had_failed {
            tracing::info!("the collector accepts spans again");
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

/// See [`super::spans::adopt`].
pub(super) fn adopt(span: &Span, traceparent: Option<&str>) -> Option<String> {
    if let Some(traceparent) = traceparent {
        let headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
        let _ = span.set_parent(TraceContextPropagator::new().extract(&headers));
    }
    let context = span.context();
    let id = context.span().span_context().trace_id();
    Some(id.to_string()).filter(|_| context.span().span_context().is_valid())
}

/// A client that trusts the CA bundle in [`CA_BUNDLES`], or else the public CAs; `None` if the file can't be read.
fn client() -> Option<Client> {
    let pem = CA_BUNDLES.iter().find_map(|name| variable(name)).map(fs::read).transpose().ok()?;
    let public = || webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der)).collect();
    let certificates: Result<Vec<_>, _> = pem.map_or_else(public, |pem| Certificate::from_pem_bundle(&pem));
    let certificates = certificates.ok().filter(|certificates| !certificates.is_empty())?;
    Client::builder()
        .tls_certs_only(certificates)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(CALL_LIMIT)
        .build()
        .ok()
}

/// The service's version and its name: from `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES`, or else the program's.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let is_named = Resource::builder()
        .build()
        .get(&Key::from_static_str("service.name"))
        .is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let resource = Resource::builder().with_attribute(version);
    if is_named { resource.build() } else { resource.with_service_name(env!("CARGO_PKG_NAME")).build() }
}
