//! Which values make sense in each section, alone and beside the others?

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tracing::Level;

use super::load::Reader;
use super::origin::OriginPattern;
use super::product_sections::{self, MissingSecret};
use super::products::Product;
use super::secret::Secret;
use super::watched::WatchedFiles;
use super::{Config, Limits, Log, Tls, clients, login, secret_places};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// What a request may need that waits for the Login API: its 5 s and a little.
const LOGIN_API_TIME: Duration = Duration::from_secs(6);

/// Reads every section. What is wrong is left in `reader.problems`, with a stand-in in its place, so
/// the result counts only when there are none.
pub fn read(reader: &mut Reader, missing: MissingSecret) -> Config {
    let limits = limits(reader);
    let products = product_sections::read(reader, missing);
    let login = login::read(reader, limits.requests_in_flight);
    let config = Config {
        listen: address(reader, "listen"),
        admin_listen: address(reader, "admin.listen"),
        origins: origins(reader, login.bearer),
        tls: tls(reader),
        proxy: clients::proxy(reader),
        rate_limit: clients::rate_limit(reader),
        login,
        products,
        limits,
        log: log(reader),
        files: WatchedFiles::default(),
        warnings: Vec::new(),
        effective: Vec::new(),
    };
    if config.listen == config.admin_listen && config.listen.port() != 0 {
        reader.reject("admin.listen", "is the same as listen; give the admin listener a port of its own");
    }
    if config.login.asks_api() && config.limits.request_timeout < LOGIN_API_TIME {
        reader.warn(
            "limits.request_timeout",
            "is less than 6s: while the Login API is slow, players get 503 00-12 and not 00-07",
        );
    }
    secret_places::check(reader, &config.login, &config.products);
    config
}

/// Reads an address with a port.
pub fn address(reader: &mut Reader, key: &'static str) -> SocketAddr {
    let needs = "needs an address and a port: 127.0.0.1:8001, 0.0.0.0:8001 or [::1]:8001";
    let address = reader.parsed(key, |text| text.parse().map_err(|_| needs.to_owned()));
    address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

fn origins(reader: &mut Reader, takes_bearer: bool) -> Vec<OriginPattern> {
    let key = "cors.origins";
    let mut origins = Vec::new();
    for (index, text) in reader.list(key).iter().enumerate() {
        match OriginPattern::parse(text) {
            Ok(origin) => origins.push(origin),
            Err(error) => reader.reject(key, format!("entry {} {error}", index + 1)),
        }
    }
    if origins.iter().any(OriginPattern::is_open_to_the_wire) {
        reader.warn(key, "has a plain http origin, whose tokens anyone on the wire can read");
    }
    let is_unset = origins.is_empty() && !reader.problems.iter().any(|problem| problem.key == key);
    let is_for_apps = |product| takes_bearer && product == Product::Messaging;
    let for_pages: Vec<Product> = product_sections::wanted(reader).filter(|product| product.is_for_pages()).collect();
    if is_unset && !for_pages.iter().all(|product| is_for_apps(*product)) {
        reader.reject(key, "is needed, since pages ask for tokens; list the origins of the shop's pages");
    } else if is_unset && !for_pages.is_empty() {
        reader.warn(key, "is not there, so that no page gets a Messaging token, but only apps");
    }
    origins
}

/// Whether the two fit together is for the listener to say.
fn tls(reader: &mut Reader) -> Option<Tls> {
    for (key, other) in [("tls.certificate", "tls.key"), ("tls.key", "tls.certificate")] {
        if !reader.has(key) && reader.has(other) {
            let what =
                format!("is needed, since {other} ({}) is set; give both files, or neither", reader.source(other));
            reader.reject(key, what);
        }
    }
    let certificate = reader.file("tls.certificate")?;
    let key = reader.file("tls.key")?;
    Some(Tls { certificate, key: Secret::new(key) })
}

fn limits(reader: &mut Reader) -> Limits {
    let time = |reader: &mut Reader, key| reader.duration(key, SECOND / 10..=HOUR).unwrap_or_default();
    let pause = |reader: &mut Reader, key| reader.duration(key, Duration::ZERO..=HOUR).unwrap_or_default();
    Limits {
        connections: reader.number("limits.connections", 1..=1_000_000),
        connections_per_client: reader.number("limits.connections_per_client", 1..=1_000_000),
        requests_in_flight: reader.number("limits.requests_in_flight", 1..=1_000_000),
        header_bytes: reader.number("limits.header_bytes", 8192..=1 << 20),
        header_timeout: time(reader, "limits.header_timeout"),
        idle_timeout: time(reader, "limits.idle_timeout"),
        request_timeout: time(reader, "limits.request_timeout"),
        drain: pause(reader, "limits.drain"),
        drain_delay: pause(reader, "limits.drain_delay"),
    }
}

fn log(reader: &mut Reader) -> Log {
    let format = |text: &str| text.parse().map_err(|()| "needs to be json or text".to_owned());
    let levels = ["error", "warn", "info", "debug", "trace"];
    let level = |text: &str| {
        let level = text.parse().ok().filter(|_| levels.contains(&text));
        level.ok_or_else(|| format!("needs to be one of {}", levels.join(", ")))
    };
    Log {
        format: reader.parsed("log.format", format).unwrap_or_default(),
        level: reader.parsed("log.level", level).unwrap_or(Level::INFO),
    }
}
