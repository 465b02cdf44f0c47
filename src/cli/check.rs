//! `check`: reports the settings as they came out, what would run, and with `--online` what the Login API says.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{anyhow, ensure};

use crate::config::login::{Login, Signature};
use crate::config::problem::Source;
use crate::config::products::{Product, Section};
use crate::config::{Config, Effective, environment};
use crate::exchange::Exchange;
use crate::http::token::{now, path};
use crate::http::{health, openapi, script};
use crate::http_client::CallError;
use crate::login::Timestamp;
use crate::login::api::{ApiError, LoginApi};
use crate::metrics::Metrics;
use crate::server::tls::CertifiedKey;

use crate::terminal::{block_on, print, printable};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Also ask the Login API: fetch the keys of RS256, and compare the clocks
    #[arg(long)]
    online: bool,
}

/// Prints every setting as it came out, what would be served, and what to look at twice.
///
/// # Errors
/// Wrong settings, a closed standard output, and online what keeps the Login API from being of use.
pub fn run(arguments: &Arguments, file: Option<&Path>) -> anyhow::Result<()> {
    let config = Config::load(file, environment())?;
    Exchange::new(&config, &Metrics::new(), None)?;
    config.tls.as_ref().map(CertifiedKey::new).transpose()?;
    print(report(&config)?)?;
    if arguments.online { ask(&config.login) } else { Ok(()) }
}

/// Asks the Login API for what the settings need of it, and for the time.
fn ask(login: &Login) -> anyhow::Result<()> {
    let api = LoginApi::new(&login.api)?;
    let answer = block_on(async {
        let revocation = match login.revocation_cache {
            // No token, so the API should refuse it; how it does so is its own affair.
            Some(_) => match api.validate("").await {
                Ok(_) => "\n  answers when it is asked about revocation".to_owned(),
                Err(error) => format!("\n  asked about revocation of an empty token: {error}"),
            },
            None => String::new(),
        };
        match &login.signature {
            Signature::Published { project_id, .. } => {
                let (keys, clock) = api.keys(project_id).await?;
                let (fit, left_out) = keys.counts();
                let mut ids: Vec<String> = keys.ids().map(printable).collect();
                ids.sort_unstable();
                Ok((
                    format!("{fit} key(s) to verify with ({}), {left_out} left out{revocation}", ids.join(", ")),
                    clock,
                ))
            }
            Signature::Secret { .. } => Ok((format!("answers{revocation}"), api.clock().await?)),
        }
    })?;
    let (told, api_clock) =
        answer.map_err(|error: ApiError| anyhow!("login.api_url: {error}; {}", mend(error, login)))?;
    let skew = api_clock.map(|clock| clock.behind(now()));
    writeln!(io::stdout(), "\nLogin API {}\n  {told}\n  {}", login.api.url, clock(skew))?;
    let is_off = skew.is_some_and(|skew| skew.unsigned_abs() > login.leeway.as_secs() + 1);
    ensure!(
        !is_off,
        "this machine's clock is off by more than login.leeway; set it (NTP), or login tokens are misjudged"
    );
    Ok(())
}

/// What a person can do about it.
fn mend(error: ApiError, login: &Login) -> String {
    let url = &login.api.url;
    match error {
        ApiError::Call(CallError::Unreachable | CallError::TimedOut) => {
            format!("see that {url} can be reached from here (names, firewall)")
        }
        ApiError::Call(CallError::Untrusted) => {
            format!("see that {url} is the Login API, and login.ca_file its authority")
        }
        ApiError::Status(404) => {
            "see that login.project_id is the id of a login project that signs with RS256".to_owned()
        }
        ApiError::Status(500..) => format!("{url} is in trouble; try again later"),
        ApiError::Status(_) | ApiError::Call(CallError::TooLarge | CallError::Broken) => {
            format!("see that {url} is the Login API")
        }
        ApiError::KeySet(_) => "see what the login project publishes there".to_owned(),
    }
}

/// The `Date` header counts whole seconds and travels for a while, so one second is no difference.
fn clock(skew: Option<Timestamp>) -> String {
    match skew {
        None => "its answer has no Date, or comes from a cache, so the clocks can't be compared".to_owned(),
        Some(-1..=1) => "this machine's clock agrees with it".to_owned(),
        Some(skew @ 2..) => format!("this machine's clock is {skew} s ahead of it"),
        Some(skew) => format!("this machine's clock is {} s behind it", -skew),
    }
}

fn report(config: &Config) -> anyhow::Result<String> {
    let mut text = String::from("Settings\n");
    let (unset, set): (Vec<_>, Vec<_>) = config.effective.iter().partition(|setting| setting.source == Source::Missing);
    for Effective { key, value, source } in set {
        writeln!(text, "  {key:<28} {value:<32} ({source})")?;
    }
    let unset: Vec<&str> = unset.iter().map(|setting| setting.key).collect();
    writeln!(text, "  not set: {}\n", unset.join(", "))?;
    write_routes(&mut text, config)?;
    if config.products.iter().any(|section| section.claims.product().is_for_pages()) {
        write_login_cookie(&mut text, &config.login.cookie)?;
        if config.origins.is_empty() {
            text.push_str(OWN_HOST_ONLY);
        }
    }
    let shows_email = |section: &Section| {
        section.claims.product() == Product::Chat
            && section.identity.name_from.first().is_some_and(|claim| claim == "email")
    };
    if config.products.iter().any(shows_email) {
        text.push_str(CHAT_SHOWS_THE_EMAIL);
    }
    if config.products.iter().any(|section| section.claims.product().knows_by_email()) {
        text.push_str(EMAIL_IS_THE_PLAYER);
    }
    if config.login.bearer {
        text.push_str(
            "The login token may come as Authorization: Bearer, from apps and from pages whose cookie can't\n\n",
        );
    }
    for warning in &config.warnings {
        writeln!(text, "Warning: {warning}")?;
    }
    writeln!(text, "No errors, {} warning(s).", config.warnings.len())?;
    Ok(text)
}

const OWN_HOST_ONLY: &str = "\
cors.origins is not set: tokens go to apps and to pages of the service's own host (same origin); other pages get 403 00-05

";

const CHAT_SHOWS_THE_EMAIL: &str = "\
Chat shows agents the email as the player's name, with a check mark, also when it was never confirmed:
chat.name_from = [\"name\", \"username\", \"email\"] shows the name instead

";

const EMAIL_IS_THE_PLAYER: &str = "\
Help Center and Support SDK know a player by the email alone, and nothing in a login token says that it was confirmed:
see that the login project lets nobody in before it is, or whoever signs up with a player's email is that player there

";

/// Who can set and read the login cookie by its name (RFC 6265bis §4.1.3), and when it gets here.
fn write_login_cookie(text: &mut String, name: &str) -> fmt::Result {
    if name.starts_with("__Host-") {
        writeln!(
            text,
            "\
The login cookie {name} can be set by the shop's own host alone, and no other host gets it. It only gets here when
  - the service is under a path of that host, which the proxy takes off: \"location /support-token/\" in config/nginx.conf
  - the shop sets it over HTTPS, without a Domain: {name}=<the login token>; Path=/; Secure; HttpOnly; SameSite=Lax
"
        )
    } else {
        writeln!(
            text,
            "\
The login cookie {name} can be set by any subdomain of the shop's domain, and read by those that its Domain covers.
Safer: login.cookie = \"__Host-token\", and the service under a path of the shop's own host (README, Deploy).
The cookie {name} only gets here when
  - the page asks with credentials: fetch(url, {{ credentials: \"include\" }}), as jwt_fn.js does
  - service and shop share a registrable domain, or the cookie is SameSite=None; Secure
  - the cookie's Domain covers the service's host: Domain=example.com, not host-only
"
        )
    }
}

fn write_routes(text: &mut String, config: &Config) -> fmt::Result {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let public = format!("{scheme}://{}", place(config.listen));
    writeln!(text, "Would serve")?;
    for product in config.products.iter().map(|section| section.claims.product()) {
        writeln!(text, "  {public}{:<20} {}", path(product), name(product))?;
    }
    writeln!(text, "  {public}{:<20} for pages, and {} for tools", script::PATH, openapi::PATH)?;
    writeln!(text, "  {public}{:<20} for health checks of platforms with one port", health::PATH)?;
    let admin = place(config.admin_listen);
    writeln!(text, "  http://{admin}/live, /ready, /metrics   for the orchestrator, never for the public\n")
}

/// What a product is called, and who asks for its tokens.
const fn name(product: Product) -> &'static str {
    match product {
        Product::Chat => "Zendesk Chat, Web Widget (Classic)",
        Product::Messaging => "Messaging, on the web and in apps",
        Product::HelpCenter => "Help Center in the Web Widget (Classic)",
        Product::SupportSdk => "Support SDK: Zendesk's servers POST here, set it as the JWT URL",
    }
}

/// An address, or words for a port that is free only once it is bound.
fn place(address: SocketAddr) -> String {
    if address.port() == 0 { format!("{}:(a free port)", address.ip()) } else { address.to_string() }
}
