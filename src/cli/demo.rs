//! What does the service do, shown on this machine within a minute?

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::ensure;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::config::Config;
use crate::config::products::{PRODUCTS, Product};
use crate::config::secret::Secret;
use crate::config::settings;
use crate::http::token::{now, path};
use crate::logging;
use crate::login::Timestamp;
use crate::zendesk::signing_key::SigningKey;

use super::serve::{bind, listen, serve};

/// What `demo --help` says last.
pub const AFTER_HELP: &str = "\
Needs no settings and reads none. Its secrets are made at each start, shown on this terminal where
a line to paste needs them, and kept nowhere; it listens on loopback and nowhere else.";

/// Arguments of the demo.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Loopback address and port to listen on [default: 127.0.0.1:8001, or a free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// What the demo's player claims: a login token as Xsolla Login issues it.
#[derive(Serialize)]
struct LoginClaims {
    sub: &'static str,
    email: &'static str,
    username: &'static str,
    iss: &'static str,
    iat: Timestamp,
    exp: Timestamp,
    xsolla_login_project_id: &'static str,
    r#type: &'static str,
}

/// How long the demo's player stays signed in, in seconds: Xsolla Login's own default, a day.
const LOGIN_LIFETIME: Timestamp = 86_400;

/// Prints ready `curl` lines and serves until SIGTERM or SIGINT.
///
/// # Errors
/// An address that is not loopback or is taken.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let login_secret = Secret::generate()?;
    let login_token = mint_login_token(&login_secret)?;
    let secrets =
        PRODUCTS.into_iter().map(|product| Ok((product, Secret::generate()?))).collect::<anyhow::Result<Vec<_>>>()?;
    Runtime::new()?.block_on(async {
        let public = bind_loopback(arguments.listen)?;
        let address = public.local_addr()?;
        let admin = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let origin = format!("http://{address}");
        let settings = [
            variable("login.secret", text(&login_secret)),
            variable("login.bearer", "true"),
            variable("messaging.key_id", "app_demo"),
            variable("cors.origins", &origin),
            variable("log.format", "text"),
        ];
        let product_secrets = secrets.iter().map(|(product, secret)| variable(product.secret_keys()[0], text(secret)));
        let config = Config::load(None, settings.into_iter().chain(product_secrets))?;
        write!(io::stdout(), "{}", greeting(&origin, &login_token, &secrets))?;
        let _log = logging::start(config.log.format, config.log.level);
        serve(config, None, public, admin).await
    })
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

fn greeting(origin: &str, login_token: &str, secrets: &[(Product, Secret)]) -> String {
    let (chat, messaging, help_center, support_sdk) =
        (path(Product::Chat), path(Product::Messaging), path(Product::HelpCenter), path(Product::SupportSdk));
    let chat_secret =
        secrets.iter().find(|(product, _)| *product == Product::Chat).map_or("", |(_, secret)| text(secret));
    format!(
        "Nothing of this leaves your machine. Jane Doe is signed in with Xsolla Login; her login token is in the cookie.

Ask for her Zendesk Chat token, as the widget does:

  curl --silent --cookie 'token={login_token}' {origin}{chat}

Read it as Zendesk does, its signature checked with the Chat secret (pip install pyjwt):

  curl --silent --cookie 'token={login_token}' --header 'Accept: text/plain' {origin}{chat} | python3 -c 'import jwt, sys; print(jwt.decode(sys.stdin.read(), \"{chat_secret}\", algorithms=[\"HS256\"]))'

The same for the Help Center, for Messaging as an app asks, and for the Support SDK as Zendesk's servers do:

  curl --silent --cookie 'token={login_token}' {origin}{help_center}
  curl --silent --header 'Authorization: Bearer {login_token}' {origin}{messaging}
  curl --silent --data 'user_token={login_token}' {origin}{support_sdk}

Ask without the cookie, and see why the visitor would be anonymous:

  curl --silent --include {origin}{chat}

Ctrl-C ends the demo. The log follows.

"
    )
}

/// Signs a login token as the login project would. The type is a Zendesk token's, the claims are not.
fn mint_login_token(secret: &Secret) -> anyhow::Result<String> {
    let iat = now();
    let claims = LoginClaims {
        sub: "82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11",
        email: "jane@example.com",
        username: "Jane Doe",
        iss: "https://login.xsolla.com",
        iat,
        exp: iat + LOGIN_LIFETIME,
        xsolla_login_project_id: "0d5f2d5e-7c1b-4d0e-8a43-6f1f4f0e9a77",
        r#type: "xsolla_login",
    };
    Ok(SigningKey::new(secret, None)?.sign(&claims)?.as_str().to_owned())
}

fn variable(key: &str, value: &str) -> (OsString, OsString) {
    let name = settings::find(key).map(settings::Setting::variable).unwrap_or_default();
    (name.into(), value.into())
}

/// A generated secret is hexadecimal digits.
fn text(secret: &Secret) -> &str {
    std::str::from_utf8(secret.bytes()).unwrap_or_default()
}
