//! What does the service do, shown on this machine within a minute?

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{bail, ensure};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::config::Config;
use crate::config::origin::OriginPattern;
use crate::config::products::{PRODUCTS, Product};
use crate::config::secret::Secret;
use crate::config::settings;
use crate::http::token::path;
use crate::telemetry;

use super::journey::Journey;
use super::players::{Kind, LoginSecrets, jane};
use super::serve::{Sockets, bind, listen, serve};
use super::session::Session;
use super::shop::Shop;
use super::wire::Wire;

/// What `demo --help` says last.
pub const AFTER_HELP: &str = "\
Open the page that it names: a pretend shop that shows every step from the login cookie to what the agent sees, and
what goes wrong. It needs no settings and reads none. Its secrets are made at each start, shown where a line to paste
needs them, and kept nowhere; it listens on loopback and nowhere else. The page's address is new at each start: whoever
has it sees the login tokens that you paste.

A real login token, without a Zendesk account: give the login project's secret, open the page and paste the token.

  zendesk-token demo --login-secret-file login-secret.txt --origin https://shop.example.com";

/// Arguments of the demo.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Loopback address and port of the service [default: 127.0.0.1:8001, or a free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Put the shop on another site than the service, to see what `SameSite` does
    #[arg(long)]
    cross_site: bool,

    /// Verify with a real login project's secret, and take login tokens that are pasted in
    #[arg(long, value_name = "FILE")]
    login_secret_file: Option<PathBuf>,

    /// Another origin whose pages may ask, such as your real shop's
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
}

/// Requests a second that one page may send, and at once: few enough for a page to see what happens beyond.
const RATE_LIMIT: [(&str, &str); 2] = [("rate_limit.per_second", "1"), ("rate_limit.burst", "20")];

/// Says where the shop is, prints ready `curl` lines, and serves until SIGTERM or SIGINT.
///
/// # Errors
/// An address that is not loopback or is taken, or a secret that is not fit.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let login_secrets = LoginSecrets::generate()?;
    let secrets =
        PRODUCTS.into_iter().map(|product| Ok((product, Secret::generate()?))).collect::<anyhow::Result<Vec<_>>>()?;
    Runtime::new()?.block_on(async {
        if let Some(Err(error)) = arguments.origin.as_deref().map(OriginPattern::parse) {
            bail!("--origin: {error}");
        }
        let outer = bind_loopback(arguments.listen)?;
        let address = outer.local_addr()?;
        let is_usual = address.ip() == Ipv4Addr::LOCALHOST || address.ip() == Ipv6Addr::LOCALHOST;
        ensure!(
            is_usual || !arguments.cross_site,
            "--cross-site: localhost names 127.0.0.1 or ::1; leave --listen to them"
        );
        let [inner, admin, shop, foreign] = [(); 4].map(|()| bind(SocketAddr::new(address.ip(), 0)));
        let (inner, admin, shop, foreign) = (inner?, admin?, shop?, foreign?);
        let (service, cookie_home) = (format!("http://{address}"), format!("http://{}", shop.local_addr()?));
        let page = |port: u16| {
            let host = if arguments.cross_site { SITE_OF_ITS_OWN.to_owned() } else { host(address) };
            format!("http://{host}:{port}")
        };
        let origins = vec![page(shop.local_addr()?.port()), page(foreign.local_addr()?.port())];
        let allowed = [origins.first(), Some(&service), arguments.origin.as_ref()];
        let allowed = allowed.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(",");
        let load = || Config::load(None, settings(arguments, &login_secrets, &secrets, &allowed));
        let mut config = load()?;
        // The demo takes login tokens of every project and lifetime.
        config.warnings.retain(|warning| !matches!(&*warning.key, "login.project_id" | "login.max_lifetime"));
        let wire = Arc::new(Wire::new(inner.local_addr()?));
        let home = unguessable_path()?;
        let shop_page = format!("{}{home}", page(shop.local_addr()?.port()));
        write!(io::stdout(), "{}", arguments.greeting(&shop_page, &service, &login_secrets, &secrets)?)?;
        let _log = telemetry::start(config.log.format, config.log.level);
        let carrying = tokio::spawn(Arc::clone(&wire).carry(outer));
        let shop_router = Shop {
            wire,
            journey: Journey::new(load()?)?,
            product_secrets: secrets.iter().map(|(product, secret)| (*product, text(secret).to_owned())).collect(),
            login_secrets: arguments.login_secret_file.is_none().then_some(login_secrets),
            origins,
            home,
            service,
            cookie_home,
            session: Mutex::new(Session::default()),
        }
        .routes();
        let more = vec![(shop, shop_router.clone()), (foreign, shop_router)];
        let served = serve(config, None, Sockets { public: inner, shown: address, admin, more }).await;
        carrying.abort();
        served
    })
}

/// A path of 128 random bits, `/` at both ends.
fn unguessable_path() -> Result<String, Unspecified> {
    let mut random = [0; 16];
    rand::fill(&mut random)?;
    Ok(format!("/{}/", hex::encode(random)))
}

/// A name of loopback that browsers take for another site than its address.
const SITE_OF_ITS_OWN: &str = "localhost";

/// The address as it stands in a URL.
fn host(address: SocketAddr) -> String {
    if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() }
}

/// The service's settings, as variables.
fn settings(
    arguments: &Arguments,
    login_secrets: &LoginSecrets,
    secrets: &[(Product, Secret)],
    allowed: &str,
) -> Vec<(OsString, OsString)> {
    let mut all = vec![
        variable("login.bearer", "true"),
        variable("messaging.key_id", "app_demo"),
        variable("cors.origins", allowed),
        variable("log.format", "text"),
    ];
    all.extend(RATE_LIMIT.map(|(key, value)| variable(key, value)));
    if let Some(file) = &arguments.login_secret_file {
        let (name, _) = variable("login.secret_file", "");
        all.push((name, file.clone().into()));
    } else {
        all.push(variable("login.secret", text(&login_secrets.current)));
        all.push(variable("login.previous_secret", text(&login_secrets.previous)));
    }
    all.extend(secrets.iter().map(|(product, secret)| variable(product.secret_keys()[0], text(secret))));
    all
}

/// The address asked for, or the usual port, or a free one where that is taken.
fn bind_loopback(asked: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 8001));
    if let Some(address) = asked {
        ensure!(address.ip().is_loopback(), "--listen: the demo stays on loopback; give an address like {usual}");
        return listen(address, "--listen");
    }
    match bind(usual) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?),
        bound => Ok(bound?),
    }
}

impl Arguments {
    fn greeting(
        &self,
        shop_page: &str,
        service: &str,
        login_secrets: &LoginSecrets,
        secrets: &[(Product, Secret)],
    ) -> anyhow::Result<String> {
        if self.login_secret_file.is_some() {
            return Ok(format!(
                "Nothing of this leaves your machine. Open the page, and paste a login token of your project:

  {shop_page}

Ctrl-C ends the demo. The log follows.

"
            ));
        }
        let login_token = login_secrets.mint(&jane(), Kind::Good)?;
        let (chat, messaging, help_center, support_sdk) =
            (path(Product::Chat), path(Product::Messaging), path(Product::HelpCenter), path(Product::SupportSdk));
        let chat_secret =
            secrets.iter().find(|(product, _)| *product == Product::Chat).map_or("", |(_, secret)| text(secret));
        Ok(format!(
        "Nothing of this leaves your machine. See it work, step by step, in a pretend shop:

  {shop_page}

Or in this terminal: Jane Doe is signed in with Xsolla Login; her login token is in the cookie.

Ask for her Zendesk Chat token, as the widget does:

  curl --silent --cookie 'token={login_token}' {service}{chat}

Read it as Zendesk does, its signature checked with the Chat secret (pip install pyjwt):

  curl --silent --cookie 'token={login_token}' --header 'Accept: text/plain' {service}{chat} | python3 -c 'import jwt, sys; print(jwt.decode(sys.stdin.read(), \"{chat_secret}\", algorithms=[\"HS256\"]))'

The same for the Help Center, for Messaging as an app asks, and for the Support SDK as Zendesk's servers do:

  curl --silent --cookie 'token={login_token}' {service}{help_center}
  curl --silent --header 'Authorization: Bearer {login_token}' {service}{messaging}
  curl --silent --data 'user_token={login_token}' {service}{support_sdk}

Ask without the cookie, and see why the visitor would be anonymous:

  curl --silent --include {service}{chat}

Ctrl-C ends the demo. The log follows.

"
    ))
    }
}

fn variable(key: &str, value: &str) -> (OsString, OsString) {
    let name = settings::find(key).map(settings::Setting::variable).unwrap_or_default();
    (name.into(), value.into())
}

/// A generated secret is hexadecimal digits.
fn text(secret: &Secret) -> &str {
    std::str::from_utf8(secret.bytes()).unwrap_or_default()
}
