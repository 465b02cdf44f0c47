//! Settings of a deployment, from a TOML file and the environment.
//!
//! [`Config::load`] makes a [`Config`] and checks everything in it; for `inspect`, a product's secret may be missing.

#[cfg(feature = "generate")]
pub mod schema;
pub mod settings;
pub(crate) mod reader;
pub mod files;
pub mod secret;
pub mod origin;
pub(crate) mod tls;
pub mod login;
pub mod products;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use tracing::Level;

use crate::telemetry::Format;

use files::WatchedFiles;
use login::Login;
use origin::OriginPattern;
use products::{PRODUCTS, Product, ProductKeys, Section};
use reader::Reader;
use settings::LOGINS;
use tls::CertifiedKey;

pub use reader::{ConfigError, Effective, Problem, Source};

/// Least time that a request needs to wait for the Login API, which has 5 s, and to be answered.
const LOGIN_API_TIME: Duration = Duration::from_secs(6);

/// Settings of a whole deployment, checked.
#[derive(Debug)]
#[expect(missing_docs, reason = "most fields are the settings of these names, which the table describes")]
pub struct Config {
    pub listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
    /// The cookie with the login token: `login.cookie`.
    pub login_cookie: String,
    /// Whether `Authorization: Bearer` is read: `login.bearer`.
    pub(crate) bearer: bool,
    /// At least one.
    pub logins: Vec<Login>,
    pub origins: Vec<OriginPattern>,
    /// The sections of products that are set.
    pub products: Vec<Section>,
    pub(crate) tls: Option<CertifiedKey>,
    pub proxy: Proxy,
    /// `None` without a limit.
    pub rate_limit: Option<RateLimit>,
    pub limits: Limits,
    pub log: Log,
    /// The files that settings name; a change of one needs a reload.
    pub(crate) files: WatchedFiles,
    /// Every setting, for a report.
    pub effective: Vec<Effective>,
    /// Values that are accepted but are likely mistakes.
    pub warnings: Vec<Problem>,
}

/// `[proxy]`: the trusted reverse proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(crate) trusted: Vec<IpNet>,
}

/// `[rate_limit]`: requests for tokens of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per second.
    pub per_second: NonZeroU32,
    /// Requests at once, after a pause.
    pub burst: NonZeroU32,
}

/// `[limits]`: sizes, counts and times for every client.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields are the settings of these names, which the table describes")]
pub struct Limits {
    pub connections: usize,
    /// See [`Proxy::is_many_clients`] for addresses without this limit.
    pub connections_per_client: usize,
    pub requests_in_flight: usize,
    pub header_bytes: usize,
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    pub request_timeout: Duration,
    pub drain: Duration,
    pub drain_delay: Duration,
}

/// `[log]`: the log on standard output.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// JSON or text.
    pub format: Format,
    pub(crate) level: Level,
}

/// Environment variables, by name.
pub type Variables = BTreeMap<OsString, OsString>;

/// The process's environment, for [`Config::load`].
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
#[must_use]
pub fn environment() -> Variables {
    std::env::vars_os().collect()
}

impl Config {
    /// Loads and checks everything that `serve` needs.
    ///
    /// `file` is the settings file; without one, `ZENDESK_TOKEN_CONFIG` in `environment` may name it. Variables of the
    /// environment win over the file. If neither sets `listen`, the variable `PORT` does.
    ///
    /// # Errors
    /// Everything that is wrong, each with key, source and fix. The functions below report only problems of what they load.
    pub fn load(file: Option<&Path>, environment: &Variables) -> Result<Self, ConfigError> {
        Self::of(Reader::merge(file, environment))
    }

    /// The same, of settings that are merged already.
    pub(crate) fn of(merged: Reader) -> Result<Self, ConfigError> {
        merged.load(Self::read, |_| true)
    }

    /// Loads what `inspect` needs to judge a login token: the login side, and the products' rules for identities.
    /// A product's secret may be missing; it is empty then, and the tokens signed with it must not be shown.
    pub(crate) fn load_for_login(file: Option<&Path>, environment: &Variables) -> Result<Self, ConfigError> {
        let is_of_product = |key: &str| PRODUCTS.into_iter().any(|product| product.has_key(key));
        Reader::merge(file, environment).load(Self::read, |Problem { key, source, .. }| {
            key.starts_with("login.") || key.starts_with(LOGINS) || is_of_product(key) && *source != Source::Missing
        })
    }

    /// Loads what the tokens of one product are signed with, and the secrets of the others that are set.
    pub(crate) fn load_for_product(
        file: Option<&Path>,
        environment: &Variables,
        product: Product,
    ) -> Result<ProductKeys, ConfigError> {
        let key = product.secret_key();
        let file_key = settings::file_key(key);
        let own = [key, &file_key, "messaging.key_id", "allow_weak_secrets"];
        let keys = |reader: &mut Reader| products::keys(reader, product);
        Reader::merge(file, environment).load(keys, |problem| own.contains(&problem.key.as_str()))
    }

    fn read(reader: &mut Reader) -> Self {
        let [listen, admin_listen] = ["listen", "admin.listen"].map(|key| reader.address(key));
        if listen == admin_listen && listen.port() != 0 {
            reader.reject("admin.listen", "is the same as listen; give the admin listener a port of its own");
        }
        let limits = limits(reader);
        let logins = login::read(reader, limits.requests_in_flight);
        if logins.iter().any(Login::asks_api) && limits.request_timeout < LOGIN_API_TIME {
            let what = "is less than 6s: while the Login API is slow, players get 503 00-12 and not 00-07";
            reader.warn("limits.request_timeout", what);
        }
        let products = products::read(reader, &logins);
        reader.check_secrets();
        reader.refuse_shown_secrets();
        reader.warn_of_open_files();
        Self {
            listen,
            admin_listen,
            origins: origins(reader),
            tls: tls::read(reader),
            proxy: Proxy { trusted: reader.entries("proxy.trusted", network) },
            rate_limit: rate_limit(reader),
            login_cookie: reader.value("login.cookie"),
            bearer: reader.value("login.bearer"),
            logins,
            products,
            limits,
            log: Log { format: reader.value("log.format"), level: reader.get("log.level").unwrap_or(Level::INFO) },
            files: reader.files.clone(),
            effective: reader.effective(),
            warnings: mem::take(&mut reader.warnings),
        }
    }
}

/// Loads one section, for a command that needs no other. Of the problems, only those of the section and of the settings
/// file are reported.
pub(crate) fn load_section<T>(
    merged: Reader,
    section: &str,
    read: impl FnOnce(&mut Reader) -> T,
) -> Result<T, ConfigError> {
    let misspelled = format!("did you mean {section}");
    let is_own = |problem: &Problem| problem.key.starts_with(section) || problem.what.contains(&misspelled);
    merged.load(read, is_own)
}

impl Proxy {
    /// Whether the proxy at this address is trusted.
    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.trusted.iter().any(|network| network.contains(&ip))
    }

    /// Whether connections from this address belong to many clients, so that `limits.connections_per_client` does not
    /// apply: a trusted proxy, or a process on this machine.
    #[must_use]
    pub fn is_many_clients(&self, peer: IpAddr) -> bool {
        peer.to_canonical().is_loopback() || self.trusts(peer)
    }
}

/// The list may be empty: browsers send no `Origin` for a GET to the page's own host, and most apps send none.
fn origins(reader: &mut Reader) -> Vec<OriginPattern> {
    let key = "cors.origins";
    let origins = reader.entries(key, OriginPattern::parse);
    if origins.iter().any(OriginPattern::is_unencrypted) {
        reader.warn(key, "has a plain http origin: anyone on the network can read its tokens");
    }
    origins
}

/// A network, or one address. Not all addresses: a trusted client can claim any address as its own.
fn network(text: &str) -> Result<IpNet, &'static str> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    match network {
        Ok(network) if network.prefix_len() == 0 => Err("trusts every address; name the proxy's network"),
        // A peer's IPv4-mapped address is compared as IPv4 (RFC 4291 §2.5.5.2), so such a network would never match.
        Ok(IpNet::V6(network)) if network.addr().to_ipv4_mapped().is_some() => {
            Err("is an IPv4-mapped IPv6 network; write it as IPv4, e.g. 10.0.0.0/8")
        }
        Ok(network) => Ok(network),
        Err(_) => Err("is not a network; write it as 10.0.0.0/8, fd00::/8 or 127.0.0.1"),
    }
}

fn rate_limit(reader: &mut Reader) -> Option<RateLimit> {
    reader.reject_alone("rate_limit.burst", "rate_limit.per_second");
    let burst = reader.get("rate_limit.burst");
    let per_second = reader.get("rate_limit.per_second")?;
    Some(RateLimit { per_second, burst: burst.unwrap_or(per_second) })
}

fn limits(reader: &mut Reader) -> Limits {
    Limits {
        connections: reader.value("limits.connections"),
        connections_per_client: reader.value("limits.connections_per_client"),
        requests_in_flight: reader.value("limits.requests_in_flight"),
        header_bytes: reader.value("limits.header_bytes"),
        header_timeout: reader.time("limits.header_timeout"),
        idle_timeout: reader.time("limits.idle_timeout"),
        request_timeout: reader.time("limits.request_timeout"),
        drain: reader.time("limits.drain"),
        drain_delay: reader.time("limits.drain_delay"),
    }
}
