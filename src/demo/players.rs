//! The pretend shop's players, its logins, and their login tokens.

use serde::{Deserialize, Serialize};

use crate::config::login::XSOLLA_ISSUER;
use crate::config::secret::Secret;
use crate::login::{Timestamp, now};
use crate::zendesk::signing_key::{SignError, SigningKey};

use super::provider::Provider;

/// Lifetime of a login token, in seconds: the default of Xsolla Login, a day.
const LOGIN_LIFETIME: Timestamp = 86_400;

/// The id of the shop's login project.
pub(super) const XSOLLA_PROJECT: &str = "0d5f2d5e-7c1b-4d0e-8a43-6f1f4f0e9a77";

pub(super) struct Player {
    pub(super) name: Option<String>,
    /// Social logins may have none.
    pub(super) email: Option<String>,
}

/// Where a player signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Login {
    #[default]
    Xsolla,
    Studio,
}

/// A kind of login token. A login that does not have the kind issues a good token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// As the login issues it.
    Good,
    /// Expired an hour ago.
    Expired,
    /// Ends after a minute.
    Minute,
    /// Xsolla: signed with the secret before the last reset.
    PreviousSecret,
    /// Xsolla: signed with the secret of another login project.
    AnotherSecret,
    /// Studio: with an email that the provider has not confirmed.
    UnconfirmedEmail,
}

/// The shop's logins.
pub(super) struct Logins {
    pub(super) xsolla: LoginSecrets,
    pub(super) studio: Provider,
}

/// The secrets of the login project and of another one.
pub(super) struct LoginSecrets {
    pub(super) current: Secret,
    /// From before the last reset.
    pub(super) previous: Secret,
    /// Of another project.
    another: Secret,
}

/// The claims of a login token, as Xsolla Login issues it.
#[derive(Serialize)]
struct LoginClaims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    iss: &'static str,
    iat: Timestamp,
    exp: Timestamp,
    xsolla_login_project_id: &'static str,
    r#type: &'static str,
}

const JANE: &str = "Jane Doe";
const JANE_EMAIL: &str = "jane@example.com";

/// The demo's default player.
pub(super) fn jane() -> Player {
    Player { name: Some(JANE.to_owned()), email: Some(JANE_EMAIL.to_owned()) }
}

impl Logins {
    /// Generates secrets and keys. `url` is that of the listener that serves the provider's routes.
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self { xsolla: LoginSecrets::generate()?, studio: Provider::new(url)? })
    }

    /// Signs a login token as the login would.
    pub(super) fn mint(&self, login: Login, player: &Player, kind: Kind) -> Result<String, SignError> {
        match login {
            Login::Xsolla => self.xsolla.mint(player, kind),
            Login::Studio => self.studio.mint(player, kind),
        }
    }
}

impl Kind {
    /// When a login token of this kind was issued.
    pub(super) fn issued_at(self) -> Timestamp {
        now() - if self == Self::Expired { LOGIN_LIFETIME + 3600 } else { 0 }
    }

    /// Lifetime of a login token of this kind, in seconds.
    pub(super) const fn lifetime(self) -> Timestamp {
        if matches!(self, Self::Minute) { 60 } else { LOGIN_LIFETIME }
    }
}

impl LoginSecrets {
    fn generate() -> anyhow::Result<Self> {
        Ok(Self { current: Secret::generate()?, previous: Secret::generate()?, another: Secret::generate()? })
    }

    fn mint(&self, player: &Player, kind: Kind) -> Result<String, SignError> {
        let secret = match kind {
            Kind::Good | Kind::Expired | Kind::Minute | Kind::UnconfirmedEmail => &self.current,
            Kind::PreviousSecret => &self.previous,
            Kind::AnotherSecret => &self.another,
        };
        let iat = kind.issued_at();
        let claims = LoginClaims {
            sub: &player.sub(),
            email: player.email.as_deref(),
            username: player.name.as_deref(),
            iss: XSOLLA_ISSUER,
            iat,
            exp: iat + kind.lifetime(),
            xsolla_login_project_id: XSOLLA_PROJECT,
            r#type: "xsolla_login",
        };
        Ok(SigningKey::new(secret, None).sign(&claims)?.as_str().to_owned())
    }
}

impl Player {
    /// The id in Xsolla Login: always the same for the same player; for Jane Doe the one of the documentation.
    fn sub(&self) -> String {
        if (self.name.as_deref(), self.email.as_deref()) == (Some(JANE), Some(JANE_EMAIL)) {
            return "82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11".to_owned();
        }
        format!("82cd5e0c-1d9c-4a2f-9d0a-{:012x}", self.hash() & 0xffff_ffff_ffff)
    }

    /// The number of the studio account: always the same for the same player.
    pub(super) fn account_number(&self) -> u64 {
        self.hash() % 10_000
    }

    fn hash(&self) -> u64 {
        let bytes = self.name.iter().chain(&self.email).flat_map(|text| text.bytes());
        bytes.fold(0x5f0d_1a7b_3c11_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
    }
}
