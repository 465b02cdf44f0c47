//! Settings of a deployment, from a TOML file and the environment.
//!
//! [`Config::load`] is the only way to a [`Config`], and checks everything in it.

pub mod settings;
pub mod problem;
mod reader;
pub mod watched;
pub mod secret;
pub mod origin;
pub mod login;
pub mod products;
pub mod desk;

use std::ffi::OsString;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use tracing::Level;

use crate::telemetry::Format;

use desk::{ChatApi, Conversations};
use login::{Login, Signature};
use origin::OriginPattern;
use problem::{ConfigError, Problem, Source};
use products::{PRODUCTS, Product, ProductKey, Section};
use reader::Reader;
use secret::Secret;
use watched::WatchedFiles;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// Most that can be set of what is counted: past a million nothing is limited.
const MOST: usize = 1_000_000;

/// What a request may need that waits for the Login API: its 5 s and a little.
const LOGIN_API_TIME: Duration = Duration::from_secs(6);

/// Settings of a whole deployment, checked.
#[derive(Debug)]
pub struct Config {
    /// `listen`
    pub listen: SocketAddr,
    /// `admin.listen`
    pub admin_listen: SocketAddr,
    /// `[login]`
    pub login: Login,
    /// `cors.origins`
    pub origins: Vec<OriginPattern>,
    /// `[chat]`, `[messaging]`, `[help_center]` and `[support_sdk]`, those that are there.
    pub products: Vec<Section>,
    /// `[tls]`, when it is on.
    pub tls: Option<Tls>,
    /// `[proxy]`
    pub proxy: Proxy,
    /// `[rate_limit]`, when it is on.
    pub rate_limit: Option<RateLimit>,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
    /// What a person should know and may leave as it is, a line each.
    pub warnings: Vec<Problem>,
    /// Files that settings name: a change of one is a change of the settings.
    pub files: WatchedFiles,
    /// Every setting as it came out, for a person; secrets as their length.
    pub effective: Vec<Effective>,
}

/// `[tls]`: the certificate of the public listener.
#[derive(Debug)]
pub struct Tls {
    /// The certificate chain, in PEM.
    pub certificate: Vec<u8>,
    /// Its private key, in PEM.
    pub key: Secret,
}

/// `[proxy]`: the reverse proxies that are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Networks of the reverse proxies.
    pub trusted: Vec<IpNet>,
}

/// `[rate_limit]`: how much one client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second.
    pub per_second: NonZeroU32,
    /// Requests at once, when there were none for a while.
    pub burst: NonZeroU32,
}

/// `[limits]`: sizes, counts and times that no client gets beyond.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// Of them one client's at most; see [`Proxy::is_many_clients`] for who is not counted.
    pub connections_per_client: usize,
    /// Requests answered at once.
    pub requests_in_flight: usize,
    /// Most bytes of request line and headers.
    pub header_bytes: usize,
    /// To the end of the headers.
    pub header_timeout: Duration,
    /// Between two requests.
    pub idle_timeout: Duration,
    /// For an answer.
    pub request_timeout: Duration,
    /// To finish what is in flight.
    pub drain: Duration,
    /// Still accepting while `/ready` already says no.
    pub drain_delay: Duration,
}

/// `[log]`: the log on standard output.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// JSON or text.
    pub format: Format,
    /// The least level that is written.
    pub level: Level,
}

/// One setting as it came out.
#[derive(Debug)]
pub struct Effective {
    /// Its key.
    pub key: &'static str,
    /// Its value, or a secret's length.
    pub value: String,
    /// Where it stands.
    pub source: Source,
}

/// An environment, as [`environment`] gives it.
pub trait Variables: IntoIterator<Item = (OsString, OsString)> {}

impl<T: IntoIterator<Item = (OsString, OsString)>> Variables for T {}

/// The process's environment, for [`Config::load`].
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
#[must_use]
pub fn environment() -> impl Variables {
    std::env::vars_os()
}

impl Config {
    /// Loads and checks everything that `serve` needs.
    ///
    /// `file` is the settings file; without one, `ZENDESK_TOKEN_CONFIG` in `environment` may name
    /// it. Variables of the environment win over the file. Where none of them sets `listen`, the variable `PORT` does.
    ///
    /// # Errors
    /// All that is wrong at once, each with key, source and fix.
    pub fn load(file: Option<&Path>, environment: impl Variables) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(file, environment);
        let mut config = Self::read(&mut reader);
        config.effective = reader.effective();
        config.files = reader.files.clone();
        config.warnings = mem::take(&mut reader.warnings);
        reader.finish(config, |_| true)
    }

    /// Loads what `inspect` needs to judge a login token: the login side, and how the products name players.
    /// A product's secret that nobody set is made up: the token is not for anybody.
    ///
    /// # Errors
    /// What is wrong with that.
    pub fn load_for_login(file: Option<&Path>, environment: impl Variables) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(file, environment);
        products::make_up_secrets(&mut reader);
        let config = Self::read(&mut reader);
        let is_of_product = |key: &str| PRODUCTS.into_iter().any(|product| product.has_setting(key));
        reader.finish(config, |problem| problem.key.starts_with("login.") || is_of_product(&problem.key))
    }

    /// Loads what the tokens of one product are signed with, and the secrets of the others where set.
    ///
    /// # Errors
    /// What is wrong with that product's secret, or with the file.
    pub fn load_for_product(
        file: Option<&Path>,
        environment: impl Variables,
        product: Product,
    ) -> Result<(ProductKey, Vec<(Product, Secret)>), ConfigError> {
        let mut reader = Reader::new(file, environment);
        let keys = products::keys(&mut reader, product);
        let [key, file_key] = product.secret_keys();
        let own = [key, file_key, "messaging.key_id", "allow_weak_secrets"];
        reader.finish(keys, |problem| own.contains(&problem.key.as_str()))
    }

    /// Loads `[conversations]` alone.
    ///
    /// # Errors
    /// What is wrong with that section or the file.
    pub fn load_conversations(file: Option<&Path>, environment: impl Variables) -> Result<Conversations, ConfigError> {
        load_section(Reader::new(file, environment), "conversations.", desk::conversations)
    }

    /// Loads `[chat_api]` alone.
    ///
    /// # Errors
    /// What is wrong with that section or the file.
    pub fn load_chat_api(file: Option<&Path>, environment: impl Variables) -> Result<ChatApi, ConfigError> {
        load_section(Reader::new(file, environment), "chat_api.", desk::chat_api)
    }

    /// Loads `admin.listen` alone, for a command that only talks to a running service.
    ///
    /// # Errors
    /// What is wrong with the file or that one setting.
    pub fn load_admin_listen(file: Option<&Path>, environment: impl Variables) -> Result<SocketAddr, ConfigError> {
        load_section(Reader::new(file, environment), "admin.listen", |reader| address(reader, "admin.listen"))
    }

    /// Reads every section. What is wrong has a stand-in in its place, so the result counts only when nothing is.
    fn read(reader: &mut Reader) -> Self {
        let limits = limits(reader);
        let products = products::read(reader);
        let login = login::read(reader, limits.requests_in_flight);
        let config = Self {
            listen: address(reader, settings::LISTEN),
            admin_listen: address(reader, "admin.listen"),
            origins: origins(reader),
            tls: tls(reader),
            proxy: Proxy { trusted: reader.entries("proxy.trusted", network) },
            rate_limit: rate_limit(reader),
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
            let what = "is less than 6s: while the Login API is slow, players get 503 00-12 and not 00-07";
            reader.warn("limits.request_timeout", what);
        }
        check_secrets(reader, &config.login, &config.products);
        reader.refuse_shown_secrets();
        reader.warn_of_open_files();
        config
    }
}

impl Proxy {
    /// Whether the proxy at this address is believed.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.trusted.iter().any(|network| network.contains(&ip))
    }

    /// Whether connections of this address are many clients', so that `limits.connections_per_client` does not hold for
    /// it: a trusted proxy, or whatever runs on this machine.
    #[must_use]
    pub fn is_many_clients(&self, peer: IpAddr) -> bool {
        peer.to_canonical().is_loopback() || self.trusts(peer)
    }
}

/// Reads one section, for a command that needs no other.
fn load_section<T>(mut reader: Reader, section: &str, read: impl FnOnce(&mut Reader) -> T) -> Result<T, ConfigError> {
    let section_read = read(&mut reader);
    // A slip in the section's name is this command's to report.
    let slip = format!("did you mean {section}");
    reader.finish(section_read, |problem| problem.key.starts_with(section) || problem.what.contains(&slip))
}

fn address(reader: &mut Reader, key: &'static str) -> SocketAddr {
    let needs = "needs an address and a port: 127.0.0.1:8001, 0.0.0.0:8001 or [::1]:8001";
    let address = reader.parsed(key, |text| text.parse().map_err(|_| needs.to_owned()));
    address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

/// None are needed: a page of the service's own host sends no `Origin` with its request, nor does an app.
fn origins(reader: &mut Reader) -> Vec<OriginPattern> {
    let key = "cors.origins";
    let origins = reader.entries(key, OriginPattern::parse);
    if origins.iter().any(OriginPattern::is_open_to_the_wire) {
        reader.warn(key, "has a plain http origin, whose tokens anyone on the wire can read");
    }
    origins
}

/// Whether the two fit together is for the listener to say.
fn tls(reader: &mut Reader) -> Option<Tls> {
    for (key, other) in [("tls.certificate", "tls.key"), ("tls.key", "tls.certificate")] {
        if !reader.has(key) && reader.has(other) {
            let source = reader.source(other);
            reader.reject(key, format!("is needed, since {other} ({source}) is set; give both files, or neither"));
        }
    }
    let certificate = reader.file("tls.certificate")?;
    Some(Tls { certificate, key: Secret::new(reader.file("tls.key")?) })
}

/// A network, or one address as a network of its own. Never every address: whoever is believed may pass for any
/// client.
fn network(text: &str) -> Result<IpNet, &'static str> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    match network {
        Ok(network) if network.prefix_len() == 0 => Err("trusts every address; name the proxy's network"),
        // Addresses are judged as what they stand for, so that no such network would ever hold one (RFC 4291 §2.5.5.2).
        Ok(IpNet::V6(network)) if network.addr().to_ipv4_mapped().is_some() => {
            Err("is an IPv4 address in IPv6's dress; write it as 10.0.0.0/8")
        }
        Ok(network) => Ok(network),
        Err(_) => Err("is no network; write it as 10.0.0.0/8, fd00::/8 or 127.0.0.1"),
    }
}

fn rate_limit(reader: &mut Reader) -> Option<RateLimit> {
    let [per_second, burst] = ["rate_limit.per_second", "rate_limit.burst"].map(|key| {
        let number = reader.has(key).then(|| reader.number(key, 1..=MOST))?;
        NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX))
    });
    if per_second.is_none() && burst.is_some() {
        reader.reject("rate_limit.burst", "is of no use without rate_limit.per_second; set that too, or drop this");
    }
    let per_second = per_second?;
    Some(RateLimit { per_second, burst: burst.unwrap_or(per_second) })
}

fn limits(reader: &mut Reader) -> Limits {
    let time = || SECOND / 10..=HOUR;
    let pause = || Duration::ZERO..=HOUR;
    Limits {
        connections: reader.number("limits.connections", 1..=MOST),
        connections_per_client: reader.number("limits.connections_per_client", 1..=MOST),
        requests_in_flight: reader.number("limits.requests_in_flight", 1..=MOST),
        header_bytes: reader.number("limits.header_bytes", 8192..=1 << 20),
        header_timeout: reader.duration("limits.header_timeout", time()),
        idle_timeout: reader.duration("limits.idle_timeout", time()),
        request_timeout: reader.duration("limits.request_timeout", time()),
        drain: reader.duration("limits.drain", pause()),
        drain_delay: reader.duration("limits.drain_delay", pause()),
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

/// Judges each secret alone and beside the others.
///
/// The same secret in two places means that one is misplaced: whoever holds the weaker side's secret could then
/// sign for both.
fn check_secrets(reader: &mut Reader, login: &Login, products: &[Section]) {
    let allow_weak = reader.flag("allow_weak_secrets");
    let (current, previous) = match &login.signature {
        Signature::Secret { current, previous } => (Some(current), previous.as_ref()),
        Signature::Published { .. } => (None, None),
    };
    let own = [(login::SECRET, current), (login::PREVIOUS_SECRET, previous)];
    let products = products.iter().map(|section| (section.claims.product().secret_keys(), Some(&section.secret)));
    let mut seen: Vec<(&str, &Secret)> = Vec::new();
    for (keys, secret) in own.into_iter().chain(products) {
        let Some((key, secret)) = reader.read_from(keys).zip(secret) else { continue };
        products::check_secret(reader, key, secret, allow_weak);
        if let Some((twin, _)) = seen.iter().find(|(_, other)| other.is_same(secret)) {
            let what = format!("is the same secret as {twin}; each has its own, so one of the two is misplaced");
            reader.reject(key, what);
        }
        seen.push((key, secret));
    }
}
