//! Who is signed in to the pretend shop, and which cookies say so?

use serde::{Deserialize, Serialize};

use crate::config::products::PRODUCTS;
use crate::http::token::path;

use super::inspect::input::Pasted;
use super::players::{Kind, LoginSecrets, Player, jane};

/// Who is signed in.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Session {
    /// The player's name; nothing when nobody is signed in.
    pub name: Option<String>,
    /// The player's email, if any.
    pub email: Option<String>,
    /// The login token in the cookie.
    pub login_token: Option<String>,
    /// The cookies as they are set.
    pub set_cookies: Vec<String>,
    /// Why the last sign-in changed nothing.
    pub problem: Option<&'static str>,
}

/// The sign-in form.
#[derive(Deserialize)]
pub struct SignIn {
    name: Option<String>,
    email: Option<String>,
    kind: Option<Kind>,
    /// A login token that somebody pasted.
    login_token: Option<String>,
    /// Another cookie of the same name beside it, with another player's login token.
    #[serde(default)]
    two: bool,
    /// What the page is to do next.
    #[serde(default)]
    pub next: String,
}

/// The sign-out form.
#[derive(Deserialize)]
pub struct SignOut {
    /// What the page is to do next.
    #[serde(default)]
    pub next: String,
}

/// Longest time that a cookie stays: a browser sends it to every port of this host, after the demo too.
const COOKIE_LIFETIME: u32 = 900;

/// Most bytes of a cookie's name and value that browsers keep (RFC 6265bis §5.6).
const MAX_COOKIE: usize = 4096;

impl Session {
    /// Of the player that a form names, with a login token that is minted or was pasted.
    ///
    /// # Errors
    /// Why there is no cookie that a browser would take.
    pub fn sign_in(form: SignIn, secrets: Option<&LoginSecrets>) -> Result<Self, &'static str> {
        let [name, email] = [form.name, form.email].map(|text| text.filter(|text| !text.trim().is_empty()));
        let player = if name.is_none() && email.is_none() { jane() } else { Player { name, email } };
        let mint = |player: &Player, kind| secrets?.mint(player, kind).ok();
        let pasted = form.login_token.as_deref().map(plain).filter(|token| !token.is_empty());
        let minted = || mint(&player, form.kind.unwrap_or(Kind::Good));
        let token = pasted.or_else(minted).ok_or("there is no login token; paste one")?;
        if !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.=+/".contains(&byte)) {
            return Err("that has letters that no login token has; paste the token alone");
        }
        if token.len() + "token".len() > MAX_COOKIE {
            return Err("that is longer than browsers keep a cookie, so it has to go as a header (login.bearer)");
        }
        let mallory = Player { name: Some("Mallory".to_owned()), email: Some("mallory@example.com".to_owned()) };
        let second = form.two.then(|| mint(&mallory, Kind::Good)).flatten();
        let mut set_cookies = vec![cookie(&token, "/")];
        set_cookies.extend(second_cookies(second.as_deref()));
        Ok(Self { name: player.name, email: player.email, login_token: Some(token), set_cookies, problem: None })
    }

    /// Of nobody.
    #[must_use]
    pub fn out() -> Self {
        let mut set_cookies = vec![no_cookie("/")];
        set_cookies.extend(second_cookies(None));
        Self { set_cookies, ..Self::default() }
    }
}

/// A pasted token, without what people copy around it and the breaks of lines in it.
fn plain(text: &str) -> String {
    let token = Pasted::read(text.as_bytes(), "token").map_or_else(|_| text.into(), |pasted| pasted.token);
    String::from_utf8_lossy(&token).split_ascii_whitespace().collect()
}

fn cookie(token: &str, path: &str) -> String {
    format!("token={token}; Path={path}; Max-Age={COOKIE_LIFETIME}; HttpOnly; SameSite=Lax")
}

fn no_cookie(path: &str) -> String {
    format!("token=; Path={path}; Max-Age=0")
}

/// Sets a second cookie for each product's own path, or takes it away.
fn second_cookies(token: Option<&str>) -> impl Iterator<Item = String> {
    PRODUCTS
        .into_iter()
        .map(move |product| token.map_or_else(|| no_cookie(path(product)), |token| cookie(token, path(product))))
}
