//! The session of the pretend shop: the signed-in player and the cookies.

use serde::{Deserialize, Serialize};

use crate::config::products::PRODUCTS;
use crate::http::token::path;

use super::players::{Kind, Login, Logins, Player, jane};

#[derive(Clone, Default, Serialize)]
pub(super) struct Session {
    login: Login,
    name: Option<String>,
    email: Option<String>,
    /// `None` while nobody is signed in.
    pub(super) login_token: Option<String>,
    /// Whether the page has the login token in memory, and not in a cookie.
    in_memory: bool,
    /// Values of `Set-Cookie`.
    pub(super) set_cookies: Vec<String>,
    /// Why the last sign-in failed.
    pub(super) problem: Option<&'static str>,
}

/// The sign-in form.
#[derive(Deserialize)]
pub(super) struct SignIn {
    #[serde(default)]
    login: Login,
    name: Option<String>,
    email: Option<String>,
    kind: Option<Kind>,
    /// Pasted text with a login token.
    login_token: Option<String>,
    /// As in [`Session`].
    #[serde(default)]
    in_memory: bool,
    /// Whether to set a second cookie of the same name, with another player's login token.
    #[serde(default)]
    two: bool,
    /// The URL fragment that tells the page what to do next.
    #[serde(default)]
    pub(super) next: String,
}

/// The sign-out form.
#[derive(Deserialize)]
pub(super) struct SignOut {
    /// As in [`SignIn`].
    #[serde(default)]
    pub(super) next: String,
}

/// Lifetime of the cookies, in seconds: short, because browsers send them to every port of this host, after the demo too.
const COOKIE_LIFETIME: u32 = 900;

/// Most bytes of a cookie's name and value that browsers accept (RFC 6265bis §5.6).
const MAX_COOKIE: usize = 4096;

impl Session {
    /// Signs in with the pasted login token, or creates one for the form's player. An error says why browsers would not
    /// accept the cookie.
    pub(super) fn sign_in(
        form: SignIn,
        logins: Option<&Logins>,
        pasted_token: fn(&str) -> String,
    ) -> Result<Self, &'static str> {
        let [name, email] = [form.name, form.email].map(|text| text.filter(|text| !text.trim().is_empty()));
        let player = if name.is_none() && email.is_none() { jane() } else { Player { name, email } };
        let mint = |player: &Player, kind| logins?.mint(form.login, player, kind).ok();
        let pasted = form.login_token.as_deref().map(pasted_token).filter(|token| !token.is_empty());
        let minted = || mint(&player, form.kind.unwrap_or(Kind::Good));
        let token = pasted.or_else(minted).ok_or("the form has no login token; paste one")?;
        if !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.=+/".contains(&byte)) {
            return Err("the text has characters that a login token can't have; paste only the token");
        }
        if !form.in_memory && token.len() + "token".len() > MAX_COOKIE {
            return Err("the token is too long for a cookie; keep it in memory instead");
        }
        let mallory = Player { name: Some("Mallory".to_owned()), email: Some("mallory@example.com".to_owned()) };
        let second = form.two.then(|| mint(&mallory, Kind::Good)).flatten();
        let mut set_cookies = vec![if form.in_memory { expired_cookie("/") } else { cookie(&token, "/") }];
        set_cookies.extend(second_cookies(second.as_deref()));
        let Player { name, email } = player;
        let in_memory = form.in_memory;
        Ok(Self { login: form.login, name, email, login_token: Some(token), in_memory, set_cookies, problem: None })
    }

    pub(super) fn signed_out() -> Self {
        let mut set_cookies = vec![expired_cookie("/")];
        set_cookies.extend(second_cookies(None));
        Self { set_cookies, ..Self::default() }
    }
}

fn cookie(token: &str, path: &str) -> String {
    format!("token={token}; Path={path}; Max-Age={COOKIE_LIFETIME}; HttpOnly; SameSite=Lax")
}

fn expired_cookie(path: &str) -> String {
    format!("token=; Path={path}; Max-Age=0")
}

/// Sets or deletes a second cookie for the path of each product.
fn second_cookies(token: Option<&str>) -> impl Iterator<Item = String> {
    PRODUCTS
        .into_iter()
        .map(move |product| token.map_or_else(|| expired_cookie(path(product)), |token| cookie(token, path(product))))
}
