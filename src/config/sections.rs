//! Which values make sense in each section, alone and beside the others?

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tracing::Level;

use super::load::Reader;
use super::origin::OriginPattern;
use super::secret::Secret;
use super::{Chat, Config, Limits, Log, Login};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// Longest leeway. Clocks further apart are broken, and an ended login would live on too long.
const MAX_LEEWAY: Duration = Duration::from_mins(5);

/// Longest life of a Chat token that Zendesk accepts: `exp` at most 420 s after `iat`
/// (support.zendesk.com, article 4408838925082).
const CHAT_MAX_LIFETIME: Duration = Duration::from_mins(7);

/// Reads every section. What is wrong is left in `reader.problems`, with a stand-in in its place, so
/// the result counts only when there are none.
pub fn read(reader: &mut Reader) -> Config {
    let config = Config {
        listen: address(reader, "listen"),
        admin_listen: address(reader, "admin.listen"),
        login: login(reader),
        origins: origins(reader),
        chat: chat(reader),
        limits: limits(reader),
        log: log(reader),
        warnings: Vec::new(),
        effective: Vec::new(),
    };
    if config.listen == config.admin_listen && config.listen.port() != 0 {
        reader.reject("admin.listen", "is the same as listen; give the admin listener a port of its own");
    }
    check_secrets(reader, &config);
    config
}

/// Reads an address with a port.
pub fn address(reader: &mut Reader, key: &'static str) -> SocketAddr {
    let needs = "needs an address and a port: 127.0.0.1:8001, 0.0.0.0:8001 or [::1]:8001";
    let address = reader.parsed(key, |text| text.parse().map_err(|_| needs.to_owned()));
    address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

fn login(reader: &mut Reader) -> Login {
    reader.parsed("login.algorithm", |text| if text == "HS256" { Ok(()) } else { Err("needs to be HS256".to_owned()) });
    Login {
        cookie: reader.parsed("login.cookie", cookie_name).unwrap_or_default(),
        secret: required_secret(reader, "login.secret", "login.secret_file"),
        previous_secret: reader.secret("login.previous_secret", "login.previous_secret_file"),
        project_id: reader.parsed("login.project_id", |text| Ok(text.to_owned())),
        issuer: reader.parsed("login.issuer", |text| Ok(text.to_owned())),
        leeway: reader.seconds("login.leeway", Duration::ZERO..=MAX_LEEWAY).unwrap_or_default(),
        max_lifetime: reader.seconds("login.max_lifetime", SECOND..=HOUR * 24 * 365),
    }
}

/// A token of RFC 9110 §5.6.2, which RFC 6265 §4.1.1 asks a cookie's name to be.
fn cookie_name(text: &str) -> Result<String, String> {
    let is_token = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if is_token { Ok(text.to_owned()) } else { Err("is no cookie name; use letters, digits, '-' and '_'".to_owned()) }
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
        secret: required_secret(reader, "chat.secret", "chat.secret_file"),
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

fn required_secret(reader: &mut Reader, key: &'static str, file_key: &'static str) -> Secret {
    if !reader.has(key) && !reader.has(file_key) {
        reader.reject(key, format!("is needed; give it, or in {file_key} the path of a file that holds it"));
    }
    reader.secret(key, file_key).unwrap_or_else(|| Secret::new(Vec::new()))
}

/// Judges each secret alone and beside the others.
///
/// One secret in two places is one slot filled with the other's secret: whoever holds the weaker
/// side's secret could then mint for both.
fn check_secrets(reader: &mut Reader, config: &Config) {
    let allow_weak = reader.flag("allow_weak_secrets");
    let all = [
        (["login.secret", "login.secret_file"], Some(&config.login.secret)),
        (["login.previous_secret", "login.previous_secret_file"], config.login.previous_secret.as_ref()),
        (["chat.secret", "chat.secret_file"], Some(&config.chat.secret)),
    ];
    let mut seen: Vec<(&str, &Secret)> = Vec::new();
    for (keys, secret) in all {
        let Some((key, secret)) = keys.into_iter().find(|key| reader.was_read(key)).zip(secret) else { continue };
        match secret.weakness() {
            Some(weakness) if weakness.may_be_allowed() && allow_weak => {
                reader.warn(key, format!("WEAK SECRET: {weakness}"));
            }
            Some(weakness) => reader.reject(key, weakness.to_string()),
            None => {}
        }
        if secret.has_wrapping() {
            reader.warn(key, "has white space or quotes around it, which count as part of it; is that meant?");
        }
        if let Some((twin, _)) = seen.iter().find(|(_, other)| other.bytes() == secret.bytes()) {
            reader
                .reject(key, format!("is the same secret as {twin}; each has its own, so one of the two is misplaced"));
        }
        seen.push((key, secret));
    }
}
