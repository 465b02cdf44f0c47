//! Who is signed in to the pretend shop, and which cookies say so?

use serde::{Deserialize, Serialize};

use crate::config::products::PRODUCTS;
use crate::http::token::path;

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

impl Session {
    /// Of the player that a form names, with a login token that is minted or was pasted. Nothing where there is neither.
    #[must_use]
    pub fn sign_in(form: SignIn, secrets: Option<&LoginSecrets>) -> Option<Self> {
        let email = form.email.filter(|email| !email.is_empty());
        let name = form.name.filter(|name| !name.trim().is_empty());
        let player = name.map_or_else(jane, |name| Player { name, email });
        let mint = |player: &Player, kind| secrets?.mint(player, kind).ok();
        let pasted = form.login_token.map(|token| token.split_ascii_whitespace().collect::<String>());
        let pasted = pasted.filter(|token| !token.is_empty());
        let token = pasted.or_else(|| mint(&player, form.kind.unwrap_or(Kind::Good)))?;
        let mallory = Player { name: "Mallory".to_owned(), email: Some("mallory@example.com".to_owned()) };
        let second = form.two.then(|| mint(&mallory, Kind::Good)).flatten();
        let mut set_cookies = vec![cookie(&token, "/")];
        set_cookies.extend(second_cookies(second.as_deref()));
        Some(Self { name: Some(player.name), email: player.email, login_token: Some(token), set_cookies })
    }

    /// Of nobody.
    #[must_use]
    pub fn out() -> Self {
        let mut set_cookies = vec![no_cookie("/")];
        set_cookies.extend(second_cookies(None));
        Self { set_cookies, ..Self::default() }
    }
}

fn cookie(token: &str, path: &str) -> String {
    format!("token={token}; Path={path}; HttpOnly; SameSite=Lax")
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
