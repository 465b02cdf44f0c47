//! `demo`: runs the service on loopback with new secrets, and a pretend shop that shows every step.

mod players;
mod provider;
mod recording_proxy;
mod session;
mod shop;
mod trace;

use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{anyhow, ensure};
use tokio::runtime::Runtime;

use crate::app::loopback::{bind_loopback, random_path};
use crate::app::{Sockets, bind, serve};
use crate::config::files::WatchedFiles;
use crate::config::login::XSOLLA_ISSUER;
use crate::config::origin::OriginPattern;
use crate::config::products::{PRODUCTS, Product};
use crate::config::secret::Secret;
use crate::config::settings;
use crate::config::{Config, ConfigError, Problem, Source, Variables};
use crate::http::token::path;
use crate::server::signals::stop_signal;
use crate::telemetry;
use crate::terminal::{UsageError, print};

use players::{Kind, Login, Logins, XSOLLA_PROJECT, jane};
use recording_proxy::RecordingProxy;
use session::Session;
use shop::Shop;
use trace::Trace;

pub(crate) const AFTER_HELP: &str = "\
Open the printed page: a pretend shop that shows every step from the login cookie to what the agent sees, and what can
go wrong. The demo reads no settings and listens only on loopback. It creates new secrets at each start, prints them
where a command needs them, and does not save them. The page's URL is new at each start: anyone who has it sees the
login tokens that you paste.

To try a real login token without a Zendesk account, give the login project's secret and paste the token on the page:

  zendesk-token demo --login-secret-file login-secret.txt --origin https://shop.example.com";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Loopback address and port of the service [default: 127.0.0.1:8001, or a free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    #[arg(long, help = "Serve the shop and the service as two sites, to see the effect of SameSite")]
    cross_site: bool,

    /// Verify pasted login tokens with the secret of a real login project
    #[arg(long, value_name = "FILE")]
    login_secret_file: Option<PathBuf>,

    /// Allow one more origin, such as your real shop's
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
}

/// Requests per second of one page, and its burst: few enough to reach the limit by hand.
const RATE_LIMIT: [(&str, &str); 2] = [("rate_limit.per_second", "1"), ("rate_limit.burst", "20")];

/// Prints the shop's URL and `curl` commands, and serves until SIGTERM or SIGINT. `pasted_token` finds the token in
/// pasted text.
pub(crate) fn run(arguments: &Arguments, pasted_token: fn(&str) -> String) -> anyhow::Result<()> {
    let secrets =
        PRODUCTS.into_iter().map(|product| Ok((product, Secret::generate()?))).collect::<anyhow::Result<Vec<_>>>()?;
    Runtime::new()?.block_on(async {
        if let Some(Err(error)) = arguments.origin.as_deref().map(OriginPattern::parse) {
            return Err(anyhow!(UsageError(error)).context("--origin"));
        }
        // Before the settings, which would name a variable instead.
        if let Some(path) = &arguments.login_secret_file
            && let Err(what) = Secret::from_file(path)
        {
            let source = Source::File(path.clone(), None);
            let problem = Problem { key: "--login-secret-file".to_owned(), source, what };
            return Err(ConfigError { problems: vec![problem], files: WatchedFiles::default() }.into());
        }
        let refusal = UsageError("--listen: must be a loopback address, for example 127.0.0.1:8001");
        let outer = bind_loopback(arguments.listen, 8001, refusal)?;
        let address = outer.local_addr()?;
        let is_localhost = address.ip() == Ipv4Addr::LOCALHOST || address.ip() == Ipv6Addr::LOCALHOST;
        ensure!(
            is_localhost || !arguments.cross_site,
            "--cross-site: needs 127.0.0.1 or ::1, the addresses of localhost; remove --listen"
        );
        let [inner, admin, shop, foreign] = [(); 4].map(|()| bind(SocketAddr::new(address.ip(), 0)));
        let (inner, admin, shop, foreign) = (inner?, admin?, shop?, foreign?);
        let (service, cookie_home) = (format!("http://{address}"), format!("http://{}", shop.local_addr()?));
        let page = |port: u16| {
            let host = if arguments.cross_site { OTHER_SITE.to_owned() } else { host(address) };
            format!("http://{host}:{port}")
        };
        let origins = vec![page(shop.local_addr()?.port()), page(foreign.local_addr()?.port())];
        let allowed = [origins.first(), Some(&service), arguments.origin.as_ref()];
        let allowed = allowed.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(",");
        let logins = arguments.login_secret_file.is_none().then(|| Logins::new(&cookie_home)).transpose()?;
        let provider = logins.as_ref().map(|logins| logins.studio.router()).unwrap_or_default();
        let load = || Config::load(None, &settings(arguments, logins.as_ref(), &secrets, &allowed));
        let mut config = load()?;
        // The demo accepts login tokens of every lifetime, and pasted ones of every project, on purpose.
        config.warnings.retain(|warning| !matches!(&*warning.key, "login.project_id" | "login.max_lifetime"));
        let proxy = Arc::new(RecordingProxy::new(inner.local_addr()?));
        let home = random_path()?;
        let shop_page = format!("{}{home}", page(shop.local_addr()?.port()));
        print(greeting(&shop_page, &service, logins.as_ref(), &secrets)?)?;
        let _log = telemetry::start(config.log.format, config.log.level);
        let proxy_task = tokio::spawn(Arc::clone(&proxy).run(outer));
        let shop_router = Shop {
            proxy,
            trace: Trace::new(load()?)?,
            product_secrets: secrets.iter().map(|(product, secret)| (*product, text(secret).to_owned())).collect(),
            logins,
            origins,
            home,
            service,
            cookie_home,
            session: Mutex::new(Session::default()),
            pasted_token,
        }
        .router();
        let more = vec![(shop, shop_router.clone().merge(provider)), (foreign, shop_router)];
        let served = serve(config, None, stop_signal()?, Sockets { public: inner, shown: address, admin, more }).await;
        proxy_task.abort();
        served
    })
}

/// Browsers treat this name of loopback and the loopback address as two sites.
const OTHER_SITE: &str = "localhost";

/// The IP address in the form that URLs have.
fn host(address: SocketAddr) -> String {
    if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() }
}

/// The service's settings as environment variables.
fn settings(arguments: &Arguments, logins: Option<&Logins>, secrets: &[(Product, Secret)], allowed: &str) -> Variables {
    let mut all = vec![
        variable("login.bearer", "true"),
        variable("messaging.key_id", "app_demo"),
        variable("cors.origins", allowed),
        variable("log.format", "text"),
    ];
    all.extend(RATE_LIMIT.map(|(key, value)| variable(key, value)));
    if let Some(file) = &arguments.login_secret_file {
        all.push((settings::variable("login.secret_file").into(), file.clone().into()));
    }
    if let Some(Logins { xsolla, studio }) = logins {
        all.push(variable("login.secret", text(&xsolla.current)));
        all.push(variable("login.previous_secret", text(&xsolla.previous)));
        all.push(variable("login.issuer", XSOLLA_ISSUER));
        // There is one clock, and a login that ends is to end at once.
        all.push(variable("login.leeway", "0s"));
        all.push(variable("login.project_id", XSOLLA_PROJECT));
        all.extend(studio.settings().map(|(key, value)| variable(key, value)));
    }
    all.extend(secrets.iter().map(|(product, secret)| variable(product.secret_key(), text(secret))));
    all.into_iter().collect()
}

fn greeting(
    shop_page: &str,
    service: &str,
    logins: Option<&Logins>,
    secrets: &[(Product, Secret)],
) -> anyhow::Result<String> {
    let Some(logins) = logins else {
        return Ok(format!(
            "Everything stays on this machine. Open the page, and paste a login token of your project:

  {shop_page}

Press Ctrl-C to stop. The log follows.

"
        ));
    };
    let login_token = logins.mint(Login::Xsolla, &jane(), Kind::Good)?;
    let (chat, messaging, help_center, support_sdk) =
        (path(Product::Chat), path(Product::Messaging), path(Product::HelpCenter), path(Product::SupportSdk));
    let chat_secret =
        secrets.iter().find(|(product, _)| *product == Product::Chat).map_or("", |(_, secret)| text(secret));
    Ok(format!(
        "Everything stays on this machine. Open the pretend shop to see every step:

  {shop_page}

Or try it in a terminal. The cookie has the login token of Jane Doe, who signs in with Xsolla Login.

Request her Zendesk Chat token, as the widget does:

  curl --silent --cookie 'token={login_token}' {service}{chat}

Decode it as Zendesk does, and verify the signature with the Chat secret (pip install pyjwt):

  curl --silent --cookie 'token={login_token}' --header 'Accept: text/plain' {service}{chat} | python3 -c 'import jwt, sys; print(jwt.decode(sys.stdin.read(), \"{chat_secret}\", algorithms=[\"HS256\"]))'

Request tokens for the Help Center, for Messaging as an app does, and for the Support SDK as Zendesk's servers do:

  curl --silent --cookie 'token={login_token}' {service}{help_center}
  curl --silent --header 'Authorization: Bearer {login_token}' {service}{messaging}
  curl --silent --data 'user_token={login_token}' {service}{support_sdk}

Leave out the cookie, to see why a visitor would be anonymous:

  curl --silent --include {service}{chat}

Press Ctrl-C to stop. The log follows.

"
    ))
}

fn variable(key: &str, value: &str) -> (OsString, OsString) {
    (settings::variable(key).into(), value.into())
}

/// A generated secret as text: it consists of hexadecimal digits.
fn text(secret: &Secret) -> &str {
    std::str::from_utf8(secret.bytes()).unwrap_or_default()
}
