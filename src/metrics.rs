//! What can be counted of this service, and how is it called?
//!
//! Every label is bounded: it is one of a few words of ours, never text from outside.

mod labels;
mod process;
pub mod exchange_series;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use exchange_series::{ExchangeSeries, ProductSeries};
use labels::{ExchangeLabels, KeyLabel, Labels, ListenerLabel, NoLabels, Outcome, ProductLabel};
use process::ProcessCollector;

/// Upper ends of the histogram's buckets, in seconds: an exchange takes some 10 µs, one that waits for
/// the Login API up to seconds.
const BUCKETS: [f64; 18] = [
    0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
    2.0, 5.0,
];

/// Every metric. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    exchanges: Family<ExchangeLabels, Counter>,
    durations: Family<ProductLabel, Histogram, fn() -> Histogram>,
    verifications: Family<KeyLabel, Counter>,
    /// Not there while there are no keys.
    key_age: Family<NoLabels, Gauge<f64, AtomicU64>>,
    /// Not there without TLS.
    certificate_expiry: Family<NoLabels, Gauge>,
    requests_in_flight: Gauge,
    connections_open: Family<ListenerLabel, Gauge>,
    connections_refused: Family<ListenerLabel, Counter>,
    reloads: Family<Labels, Counter>,
    key_fetches: Family<Labels, Counter>,
    revocation_calls: Family<Labels, Counter>,
}

/// Something that counts as long as it is there: a connection, or a request.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut all = Registry::default();
        all.register_collector(Box::new(ProcessCollector));
        let registry = all.sub_registry_with_prefix("zendesk_token");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Release that runs", build);
        let exchanges =
            registered(registry, "exchanges", "Answers by product, and by outcome: issued, or a refusal's code");
        let durations: Family<ProductLabel, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let help = "From the headers to the answer, by product";
        registry.register("exchange_duration_seconds", help, durations.clone());
        let verifications = registered(registry, "verifications", "Logins by the key that verified them");
        let key_age = registered(registry, "key_age_seconds", "Age of the login project's published keys (RS256)");
        let help = "When the certificate of the public listener ends, since 1970 (TLS)";
        let certificate_expiry = registered(registry, "certificate_expiry_timestamp_seconds", help);
        let requests_in_flight = registered(registry, "requests_in_flight", "Requests that are being answered");
        let connections_open = registered(registry, "connections_open", "Connections that are open");
        let connections_refused =
            registered(registry, "connections_refused", "Connections closed at once, for want of room");
        let reloads =
            outcomes(registry, "reloads", "Reloads of settings and secrets; after a failed one the old ones serve");
        let key_fetches = outcomes(registry, "key_fetches", "Fetches of the login project's published keys (RS256)");
        let help = "Calls that ask the Login API whether a token was revoked";
        let revocation_calls = outcomes(registry, "revocation_calls", help);
        Self {
            registry: Arc::new(all),
            exchanges,
            durations,
            verifications,
            key_age,
            certificate_expiry,
            requests_in_flight,
            connections_open,
            connections_refused,
            reloads,
            key_fetches,
            revocation_calls,
        }
    }

    /// The series of the exchanges, by the words for the products, for the outcomes and for the keys that verify
    /// logins. All are there from the start: a rate can't be taken of one that begins at 1.
    #[must_use]
    pub fn exchange_series(
        &self,
        products: &[&'static str],
        outcomes: &[&'static str],
        keys: &[&'static str],
    ) -> ExchangeSeries {
        let of_product = |product: &'static str| ProductSeries {
            product,
            outcomes: outcomes
                .iter()
                .map(|outcome| (*outcome, self.exchanges.get_or_create_owned(&ExchangeLabels { product, outcome })))
                .collect(),
            duration: self.durations.get_or_create_owned(&ProductLabel { product }),
        };
        ExchangeSeries {
            products: products.iter().copied().map(of_product).collect(),
            keys: keys.iter().map(|key| (*key, self.verifications.get_or_create_owned(&KeyLabel { key }))).collect(),
        }
    }

    /// Says how old the published keys are, or that there are none.
    pub fn set_key_age(&self, age: Option<Duration>) {
        match age {
            Some(age) => drop(self.key_age.get_or_create(&[]).set(age.as_secs_f64())),
            None => self.key_age.clear(),
        }
    }

    /// Says when the certificate ends, in seconds since 1970.
    pub fn set_certificate_expiry(&self, at: i64) {
        self.certificate_expiry.get_or_create(&[]).set(at);
    }

    /// Counts a request until the result is dropped.
    #[must_use]
    pub fn request(&self) -> Counted {
        Counted::new(self.requests_in_flight.clone())
    }

    /// Counts a connection of a listener until the result is dropped.
    #[must_use]
    pub fn connection(&self, listener: &'static str) -> Counted {
        Counted::new(self.connections_open.get_or_create_owned(&ListenerLabel { listener }))
    }

    /// Has a listener's series there from the start.
    pub fn expect_connections(&self, listener: &'static str) {
        drop(self.connections_open.get_or_create(&ListenerLabel { listener }));
        drop(self.connections_refused.get_or_create(&ListenerLabel { listener }));
    }

    /// Counts a connection that was closed at once.
    pub fn count_refused_connection(&self, listener: &'static str) {
        self.connections_refused.get_or_create(&ListenerLabel { listener }).inc();
    }

    /// Counts a reload.
    pub fn count_reload(&self, is_done: bool) {
        count(&self.reloads, is_done);
    }

    /// Counts a fetch of published keys.
    pub fn count_key_fetch(&self, is_done: bool) {
        count(&self.key_fetches, is_done);
    }

    /// Counts a call about revocation; done when the Login API gave an answer, whichever.
    pub fn count_revocation_call(&self, is_done: bool) {
        count(&self.revocation_calls, is_done);
    }

    /// Every metric in the text format of `OpenMetrics` 1.0.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn registered<M: prometheus_client::registry::Metric + Default + Clone>(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// A counter of what was done and what failed; both are there from the start.
fn outcomes(registry: &mut Registry, name: &str, help: &str) -> Family<Labels, Counter> {
    let family: Family<Labels, Counter> = registered(registry, name, help);
    for outcome in [Outcome::Done, Outcome::Failed] {
        drop(family.get_or_create(&Labels { outcome }));
    }
    family
}

fn count(family: &Family<Labels, Counter>, is_done: bool) {
    let outcome = if is_done { Outcome::Done } else { Outcome::Failed };
    family.get_or_create(&Labels { outcome }).inc();
}
