//! Defines every metric of the service.
//!
//! The values of a label are a few constants and names of the settings, never text from outside.

mod process;

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use process::ProcessCollector;

/// Upper bounds of the histogram's buckets, in seconds: an exchange takes about 10 µs, or seconds if it waits for the Login
/// API.
const BUCKETS: [f64; 18] = [
    0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
    2.0, 5.0,
];

/// Name and value of each label. The names of logins come from the settings; all other values are constants.
type Labels<const COUNT: usize> = [(&'static str, Cow<'static, str>); COUNT];

/// All metrics. Clones share their values.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    exchanges: Family<Labels<2>, Counter>,
    durations: Family<Labels<1>, Histogram, fn() -> Histogram>,
    verifications: Family<Labels<2>, Counter>,
    /// Without a value until there are keys.
    key_age: Family<Labels<1>, Gauge<f64, AtomicU64>>,
    /// Without a value if TLS is off.
    certificate_expiry: Family<Labels<0>, Gauge>,
    requests_in_flight: Gauge,
    requests_not_found: Counter,
    connections_open: Family<Labels<1>, Gauge>,
    connections_refused: Family<Labels<1>, Counter>,
    reloads: Family<Labels<1>, Counter>,
    key_fetches: Family<Labels<2>, Counter>,
    revocation_calls: Family<Labels<2>, Counter>,
}

/// Counts a connection or a request in a gauge until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

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
        all.sub_registry_with_prefix("process").register_collector(Box::new(ProcessCollector::new()));
        let registry = all.sub_registry_with_prefix("zendesk_token");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version that is running", build);
        let help = "Time from request headers to response, by product";
        let durations: Family<Labels<1>, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register("exchange_duration_seconds", help, durations.clone());
        let help = "Responses by product and outcome: issued, or an error code";
        let exchanges = registered(registry, "exchanges", help);
        let verifications =
            registered(registry, "verifications", "Logins by name in the settings, and by the key that verified them");
        let key_age = registered(registry, "key_age_seconds", "Age of a login's published keys");
        let help = "Expiry of the public listener's certificate, in seconds since 1970 (TLS)";
        let certificate_expiry = registered(registry, "certificate_expiry_timestamp_seconds", help);
        let requests_in_flight = registered(registry, "requests_in_flight", "Requests that are being answered");
        let requests_not_found = registered(registry, "requests_not_found", "Requests for a path that is not served");
        let connections_open = registered(registry, "connections_open", "Connections that are open");
        let help = "Connections closed at once because a limit was reached";
        let connections_refused = registered(registry, "connections_refused", help);
        let help = "Reloads of settings and secrets; after a failed one the old ones stay in use";
        let reloads: Family<Labels<1>, Counter> = registered(registry, "reloads", help);
        for is_done in [true, false] {
            drop(reloads.get_or_create(&[outcome(is_done)]));
        }
        let key_fetches = registered(registry, "key_fetches", "Fetches of a login's published keys");
        let help = "Calls that ask the Login API whether a token was revoked";
        let revocation_calls = registered(registry, "revocation_calls", help);
        Self {
            registry: Arc::new(Mutex::new(all)),
            exchanges,
            durations,
            verifications,
            key_age,
            certificate_expiry,
            requests_in_flight,
            requests_not_found,
            connections_open,
            connections_refused,
            reloads,
            key_fetches,
            revocation_calls,
        }
    }

    /// Creates the series of exchanges for these label values, with the value 0. A series that began at 1 would hide its
    /// first increase.
    pub fn init_exchanges(&self, products: &[&'static str], outcomes: &[&'static str]) {
        for product in products {
            drop(self.durations.get_or_create(&[label("product", product)]));
            for outcome in outcomes {
                drop(self.exchanges.get_or_create(&[label("product", product), label("outcome", outcome)]));
            }
        }
    }

    /// Creates the series of a login, with the value 0.
    pub fn init_login(&self, login: &str, keys: &[&'static str]) {
        for key in keys {
            drop(self.verifications.get_or_create(&[label("key", key), ("login", login.to_owned().into())]));
        }
        for is_done in [true, false] {
            let labels = [outcome(is_done), ("login", login.to_owned().into())];
            drop(self.key_fetches.get_or_create(&labels));
            drop(self.revocation_calls.get_or_create(&labels));
        }
    }

    /// Counts a response to a request for a product's token.
    pub(crate) fn count_exchange(&self, product: &'static str, outcome: &'static str, duration: Duration) {
        self.exchanges.get_or_create(&[label("product", product), label("outcome", outcome)]).inc();
        self.durations.get_or_create(&[label("product", product)]).observe(duration.as_secs_f64());
    }

    /// Counts a verified login and the key that verified it.
    pub(crate) fn count_verification(&self, login: Cow<'static, str>, key: &'static str) {
        self.verifications.get_or_create(&[label("key", key), ("login", login)]).inc();
    }

    /// Sets when the certificate expires, in seconds since 1970.
    pub fn set_certificate_expiry(&self, at: i64) {
        self.certificate_expiry.get_or_create(&[]).set(at);
    }

    /// Counts a request until the result is dropped.
    pub(crate) fn request(&self) -> Counted {
        Counted::new(self.requests_in_flight.clone())
    }

    /// Counts a request for a path that is not served.
    pub(crate) fn count_not_found(&self) {
        self.requests_not_found.inc();
    }

    /// Counts a connection of a listener until the result is dropped.
    pub(crate) fn connection(&self, listener: &'static str) -> Counted {
        Counted::new(self.connections_open.get_or_create(&[label("listener", listener)]).clone())
    }

    /// Creates a listener's series with the value 0.
    pub fn init_connections(&self, listener: &'static str) {
        drop(self.connections_open.get_or_create(&[label("listener", listener)]));
        drop(self.connections_refused.get_or_create(&[label("listener", listener)]));
    }

    /// Counts a connection that was closed at once.
    pub(crate) fn count_refused_connection(&self, listener: &'static str) {
        self.connections_refused.get_or_create(&[label("listener", listener)]).inc();
    }

    /// Counts a reload.
    pub(crate) fn count_reload(&self, is_done: bool) {
        self.reloads.get_or_create(&[outcome(is_done)]).inc();
    }

    /// Counts a fetch of published keys.
    pub(crate) fn count_key_fetch(&self, login: Cow<'static, str>, is_done: bool) {
        self.key_fetches.get_or_create(&[outcome(is_done), ("login", login)]).inc();
    }

    /// Counts a revocation call; done if the Login API gave any usable answer.
    pub(crate) fn count_revocation_call(&self, login: Cow<'static, str>, is_done: bool) {
        self.revocation_calls.get_or_create(&[outcome(is_done), ("login", login)]).inc();
    }

    /// All metrics in the text format of `OpenMetrics` 1.0. `key_ages` are those of the logins that have published keys; `None`
    /// while there are no keys yet.
    #[must_use]
    pub fn text(&self, key_ages: impl Iterator<Item = (Cow<'static, str>, Option<Duration>)>) -> String {
        // Locked, so that another scrape does not clear these ages.
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.key_age.clear();
        for (login, age) in key_ages.filter_map(|(login, age)| Some((login, age?))) {
            self.key_age.get_or_create(&[("login", login)]).set(age.as_secs_f64());
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn registered<M: Metric + Default + Clone>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

const fn label(name: &'static str, value: &'static str) -> (&'static str, Cow<'static, str>) {
    (name, Cow::Borrowed(value))
}

const fn outcome(is_done: bool) -> (&'static str, Cow<'static, str>) {
    label("outcome", if is_done { "done" } else { "failed" })
}
