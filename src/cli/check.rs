//! `check`: prints the settings in effect and the endpoints; with `--online`, also asks the Login API or the provider.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, ensure};

use crate::config::login::{Api, Login, PlayerClaims, Signature, TokenType};
use crate::config::products::{Product, Section, UserTokens};
use crate::config::reader::Reader;
use crate::config::{Config, Effective, Source, environment};
#[cfg(feature = "desk")]
use crate::desk;
use crate::exchange::Exchange;
use crate::http::token::path;
use crate::http::{health, openapi, script, user_token};
use crate::http_client::CallError;
use crate::login::api::{LoginApi, LoginApiError};
use crate::login::{Timestamp, now};
use crate::metrics::Metrics;

use crate::terminal::{block_on, print, printable, span};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Also ask the Login API or the provider of each login: fetch published keys and compare the clocks. Keys of the support
    /// desk are tried too
    #[arg(long)]
    online: bool,
}

/// Checks all settings, and prints them with their sources, the endpoints, advice and warnings.
pub(crate) fn run(arguments: &Arguments, file: Option<&Path>) -> anyhow::Result<()> {
    let merged = Reader::merge(file, &environment());
    #[cfg(feature = "desk")]
    if desk::check::is_alone(&merged)? {
        let failures = desk::check::Desk::of(&merged)?.check(arguments.online)?;
        ensure!(failures.is_empty(), "{}", failures.join("\n"));
        return Ok(());
    }
    let config = Config::of(merged.clone())?;
    Exchange::new(&config, &Metrics::new(), None)?;
    // Before the report, which ends with "No errors".
    #[cfg(feature = "desk")]
    let desk = arguments.online.then(|| desk::check::Desk::of(&merged)).transpose()?;
    print(report(&config)?)?;
    if !arguments.online {
        return Ok(());
    }
    let failures = config.logins.iter().filter_map(|login| Some(check_online(login).err()?.to_string()));
    #[cfg_attr(not(feature = "desk"), expect(unused_mut, reason = "only the support desk adds to them"))]
    let mut failures: Vec<String> = failures.collect();
    #[cfg(feature = "desk")]
    if let Some(desk) = desk {
        failures.extend(desk.check(true)?);
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// Makes each kind of call to the Login API or the provider that a login needs, and compares the clocks.
fn check_online(login: &Login) -> anyhow::Result<()> {
    let api = LoginApi::new(&login.api)?;
    let answer = block_on(async {
        let revocation = match login.revocation_cache {
            // The API refuses an empty token; any answer shows that it can be asked.
            Some(_) => match api.validate("").await {
                Ok(_) => "\n  answers revocation checks".to_owned(),
                Err(error) => format!("\n  revocation check of an empty token: {error}"),
            },
            None => String::new(),
        };
        let (text, clock) = match &login.signature {
            Signature::Published { keys, .. } => {
                let (keys, clock) = api.keys(keys).await?;
                let (usable, ignored) = keys.counts();
                let mut ids: Vec<String> = keys.ids().map(printable).collect();
                ids.sort_unstable();
                (format!("{usable} usable key(s) ({}), {ignored} ignored", ids.join(", ")), clock)
            }
            Signature::Secret { .. } => ("answers".to_owned(), api.clock().await?),
        };
        Ok((text + &revocation, clock))
    })?;
    let Api { url, url_key, .. } = &login.api;
    let (text, api_clock) =
        answer.map_err(|error: LoginApiError| anyhow!("{url_key}: {error}; {}", fix(error, login)))?;
    let skew = api_clock.map(|clock| clock.skew(now()));
    let service = if login.is_xsolla() { "Login API" } else { "Provider" };
    print(format!("\nLogin {}: {service} {url}\n  {text}\n  {}\n", login.name.as_str(), clock(skew)))?;
    let is_off = skew.is_some_and(|skew| skew.unsigned_abs() > login.leeway.as_secs() + 1);
    ensure!(
        !is_off,
        "this machine's clock is off by more than login.leeway; synchronize it (NTP), otherwise good login tokens can be refused"
    );
    Ok(())
}

fn fix(error: LoginApiError, login: &Login) -> String {
    let url = &login.api.url;
    let service = if login.is_xsolla() { "the Login API" } else { "the provider" };
    match error {
        LoginApiError::Call(CallError::Unreachable | CallError::TimedOut) => {
            format!("check that this machine can reach {url} (DNS, firewall)")
        }
        LoginApiError::Call(CallError::Untrusted) => {
            let ca_file = login.name.key("ca_file");
            format!("check that {url} is {service}, and that {ca_file} has the CA of its certificate")
        }
        LoginApiError::Status(404) if login.is_xsolla() => {
            let project_id = login.name.key("project_id");
            format!("check that {project_id} is the id of a login project that signs with RS256")
        }
        LoginApiError::Status(500..) => format!("{url} has a server error; try again later"),
        LoginApiError::Status(_) | LoginApiError::Call(CallError::TooLarge | CallError::Broken) => {
            format!("check that {url} is {service}")
        }
        LoginApiError::Discovery(_) => {
            let issuer = url.trim_end_matches('/');
            format!("compare the setting with issuer in {issuer}/.well-known/openid-configuration")
        }
        LoginApiError::KeySet(_) => format!("check which keys {service} publishes"),
    }
}

/// Compares the clocks. A difference of one second is ignored: `Date` has whole seconds, and the answer takes time.
fn clock(skew: Option<Timestamp>) -> String {
    match skew {
        None => "the answer has no Date header or comes from a cache, so the clocks can't be compared".to_owned(),
        Some(-1..=1) => "this machine's clock agrees with it".to_owned(),
        Some(skew @ 2..) => format!("this machine's clock is {skew} s ahead of it"),
        Some(skew) => format!("this machine's clock is {} s behind it", -skew),
    }
}

fn report(config: &Config) -> anyhow::Result<String> {
    let mut text = String::from("Settings\n");
    let (unset, set): (Vec<_>, Vec<_>) = config.effective.iter().partition(|setting| setting.source == Source::Missing);
    for Effective { key, value, source } in set {
        writeln!(text, "  {key:<38} {value:<32} ({source})")?;
    }
    let unset: Vec<&str> = unset.iter().map(|setting| setting.key.as_str()).collect();
    writeln!(text, "  not set: {}\n", unset.join(", "))?;
    for login in &config.logins {
        write_login(&mut text, login, config.logins.len() > 1)?;
    }
    write_routes(&mut text, config)?;
    let user_tokens = config.products.iter().find_map(|section| section.user_tokens);
    if config.products.iter().any(|section| section.product.is_for_pages()) || user_tokens.is_some() {
        write_login_cookie(&mut text, &config.login_cookie)?;
        if config.origins.is_empty() {
            text.push_str(OWN_HOST_ONLY);
        }
    }
    let has_no_names = config.logins.iter().any(|login| login.player.names.is_none());
    let shows_email = |section: &Section| {
        has_no_names
            && section.product == Product::Chat
            && section.name_from.first().is_some_and(|claim| claim == "email")
    };
    if config.products.iter().any(shows_email) {
        text.push_str(CHAT_SHOWS_THE_EMAIL);
    }
    let has_xsolla = config.logins.iter().any(Login::is_xsolla);
    if has_xsolla && config.products.iter().any(|section| section.product.knows_by_email()) {
        text.push_str(EMAIL_IS_THE_PLAYER);
    }
    if config.bearer {
        text.push_str(BEARER);
    }
    if let Some(section) = config.products.iter().find(|section| section.outlives_login) {
        write_outlives_login(&mut text, section.lifetime.unwrap_or_default())?;
    }
    if let Some(UserTokens { lifetime, .. }) = user_tokens {
        write_user_tokens(&mut text, lifetime)?;
    }
    for warning in &config.warnings {
        writeln!(text, "Warning: {warning}")?;
    }
    writeln!(text, "No errors, {} warning(s).", config.warnings.len())?;
    Ok(text)
}

/// What a login accepts, and who its players are in Zendesk.
fn write_login(text: &mut String, login: &Login, is_one_of_several: bool) -> fmt::Result {
    let PlayerClaims { external_id, email, names, external_id_prefix } = &*login.player;
    writeln!(text, "Login {}", login.name.as_str())?;
    let accepted = match (login.token_type, &login.signature) {
        (Some(TokenType::Id), _) => "ID tokens of",
        (Some(TokenType::Access), _) => "access tokens of",
        (Some(TokenType::Any), _) => "ID tokens and access tokens of",
        (None, Signature::Secret { .. }) => "HS256 login tokens of Xsolla",
        (None, Signature::Published { .. }) => "RS256 login tokens of Xsolla, with keys of",
    };
    let from = if matches!(login.signature, Signature::Published { .. }) { login.api.url.as_str() } else { "" };
    writeln!(text, "  accepts      {}", format!("{accepted} {from}").trim_end())?;
    if is_one_of_several {
        writeln!(text, "  selected by  {}", login.selected_by())?;
    }
    let prefix = if external_id_prefix.is_empty() { "" } else { ", with the prefix " };
    writeln!(text, "  external id  claim {external_id}{prefix}{external_id_prefix}")?;
    let proof = if login.is_xsolla() { "" } else { "; confirmed only with email_verified: true" };
    writeln!(text, "  email        claim {email}{proof}")?;
    if let Some(names) = names {
        writeln!(text, "  name         claims {}", names.join(", "))?;
    }
    text.push('\n');
    Ok(())
}

const OWN_HOST_ONLY: &str = "\
cors.origins is not set: only apps and pages of the service's own host (same origin) get tokens; other pages get 403 00-05

";

const CHAT_SHOWS_THE_EMAIL: &str = "\
Chat shows agents the email as the player's name, with a check mark, even if it was never confirmed.
To show the name instead: chat.name_from = [\"name\", \"username\", \"email\"]

";

const EMAIL_IS_THE_PLAYER: &str = "\
Help Center and Support SDK identify a player by the email alone, and Xsolla's tokens do not prove that it was confirmed.
Make the login project require a confirmed email; otherwise a person who signs up with a player's email is taken for that player.

";

const BEARER: &str = "\
login.bearer is on: apps and pages can also send the login token as Authorization: Bearer

";

/// Says which hosts can set and read a login cookie of this name (RFC 6265bis §4.1.3), and when browsers send it.
fn write_login_cookie(text: &mut String, name: &str) -> fmt::Result {
    if name.starts_with("__Host-") {
        writeln!(
            text,
            "\
The login cookie \"{name}\" can be set only by the shop's own host, and is sent to no other host. The service gets it only if
  - the service has a path on that host, and the proxy removes this path: \"location /support-token/\" in config/nginx.conf
  - the shop sets it over HTTPS, without Domain: {name}=<the login token>; Path=/; Secure; HttpOnly; SameSite=Lax
"
        )
    } else {
        writeln!(
            text,
            "\
The login cookie \"{name}\" can be set by any subdomain of the shop's domain, and read by each subdomain that its Domain covers.
Safer: login.cookie = \"__Host-token\", with the service under a path of the shop's own host (documentation: Deploy).
The service gets the cookie only if
  - the page sends it: fetch(url, {{ credentials: \"include\" }}), as jwt_fn.js does
  - service and shop share a registrable domain, or the cookie has SameSite=None; Secure
  - the cookie's Domain covers the service's host: Domain=example.com, not host-only
"
        )
    }
}

fn write_outlives_login(text: &mut String, lifetime: Duration) -> fmt::Result {
    writeln!(
        text,
        "\
messaging.outlives_login is on: a Messaging token lives for {}, even if the login ends before.
After a sign-out, a revocation or the end of the login, whoever has the token can read and write as the player until it expires.
At a sign-out, pages and apps must call logoutUser.
",
        humantime::format_duration(lifetime)
    )
}

fn write_user_tokens(text: &mut String, lifetime: Duration) -> fmt::Result {
    writeln!(
        text,
        "\
support_sdk.user_token_lifetime is on: an app gets a user token that lives for {}, and stays the same until half of its life is over.
It outlives sign-out, revocation and the end of the login: whoever has it can read and write as the player until it expires.
At a sign-out, the app must set an anonymous identity and delete the token. support_sdk.user_tokens_valid_from ends all that were
issued before a time. A new support_sdk.secret ends them too, and so does the removal of a login or of its name.
",
        span(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX))
    )
}

fn write_routes(text: &mut String, config: &Config) -> fmt::Result {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let public = format!("{scheme}://{}", shown(config.listen));
    writeln!(text, "Endpoints")?;
    for section in &config.products {
        writeln!(text, "  {public}{:<23} {}", path(section.product), name(section.product))?;
        if section.user_tokens.is_some() {
            writeln!(text, "  {public}{:<23} user tokens for apps with the Support SDK (POST)", user_token::PATH)?;
        }
    }
    writeln!(text, "  {public}{:<23} script for pages; OpenAPI document: {}", script::PATH, openapi::PATH)?;
    writeln!(text, "  {public}{:<23} health check for platforms that use one port", health::PATH)?;
    let admin = shown(config.admin_listen);
    writeln!(text, "  http://{admin}/live, /ready, /metrics   for the orchestrator and Prometheus; keep them private\n")
}

const fn name(product: Product) -> &'static str {
    match product {
        Product::Chat => "Zendesk Chat, Web Widget (Classic)",
        Product::Messaging => "Messaging, on the web and in apps",
        Product::HelpCenter => "Help Center in the Web Widget (Classic)",
        Product::SupportSdk => "Support SDK; Zendesk's servers send POST requests here: set it as the JWT URL",
    }
}

fn shown(address: SocketAddr) -> String {
    if address.port() == 0 { format!("{}:(a free port)", address.ip()) } else { address.to_string() }
}
