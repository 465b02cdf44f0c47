//! Which values make sense in each section, alone and beside the others?

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tracing::Level;

use super::load::Reader;
use super::login::Signature;
use super::origin::OriginPattern;
use super::products::{CHAT_MAX_LIFETIME, Product};
use super::watched::WatchedFiles;
use super::{Chat, Config, Limits, Log, login, products};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// What a request may need that waits for the Login API: its 5 s and a little.
const LOGIN_API_TIME: Duration = Duration::from_secs(6);

/// Reads every section. What is wrong is left in `reader.problems`, with a stand-in in its place, so
/// the result counts only when there are none.
pub fn read(reader: &mut Reader) -> Config {
    let limits = limits(reader);
    let config = Config {
        listen: address(reader, "listen"),
        admin_listen: address(reader, "admin.listen"),
        login: login::read(reader, limits.requests_in_flight),
        origins: origins(reader),
        chat: chat(reader),
        limits,
        log: log(reader),
        files: WatchedFiles::default(),
        warnings: Vec::new(),
        effective: Vec::new(),
    };
    if config.listen == config.admin_listen && config.listen.port() != 0 {
        reader.reject("admin.listen", "is the same as listen; give the admin listener a port of its own");
    }
    let asks_api =
        config.login.revocation_cache.is_some() || matches!(config.login.signature, Signature::Published { .. });
    if asks_api && config.limits.request_timeout < LOGIN_API_TIME {
        reader.warn(
            "limits.request_timeout",
            "is less than 6s: while the Login API is slow, players get 408 and not 503",
        );
    }
    products::check_secrets(reader, &config.login, &config.chat);
    config
}

/// Reads an address with a port.
pub fn address(reader: &mut Reader, key: &'static str) -> SocketAddr {
    let needs = "needs an address and a port: 127.0.0.1:8001, 0.0.0.0:8001 or [::1]:8001";
    let address = reader.parsed(key, |text| text.parse().map_err(|_| needs.to_owned()));
    address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

fn origins(reader: &mut Reader) -> Vec<OriginPattern> {
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
    if origins.is_empty() && !reader.problems.iter().any(|problem| problem.key == key) {
        reader.reject(key, "is needed, since browsers call for Chat; list the origins of the shop's pages");
    }
    origins
}

fn chat(reader: &mut Reader) -> Chat {
    Chat {
        secret: reader.required_secret(Product::Chat.secret_keys(), ""),
        lifetime: reader.seconds("chat.lifetime", SECOND..=CHAT_MAX_LIFETIME).unwrap_or_default(),
        name_from: reader.list("chat.name_from"),
        fallback_email_domain: reader.parsed("chat.fallback_email_domain", domain),
    }
}

fn domain(text: &str) -> Result<String, String> {
    let is_host = OriginPattern::parse(&format!("https://{text}")).is_ok_and(|origin| origin.is_exact());
    let is_domain =
        is_host && text.contains('.') && !text.contains(':') && text.ends_with(|last: char| !last.is_ascii_digit());
    let needs = "needs a domain in lower case that is yours and takes no mail: players.example.com";
    if is_domain { Ok(text.to_owned()) } else { Err(needs.to_owned()) }
}

fn limits(reader: &mut Reader) -> Limits {
    let time = |reader: &mut Reader, key| reader.duration(key, SECOND / 10..=HOUR).unwrap_or_default();
    let pause = |reader: &mut Reader, key| reader.duration(key, Duration::ZERO..=HOUR).unwrap_or_default();
    Limits {
        connections: reader.number("limits.connections", 1..=1_000_000),
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
