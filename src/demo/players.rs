//! The pretend shop's players and their login tokens.

use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;
use crate::login::{Timestamp, now};
use crate::zendesk::signing_key::{SignError, SigningKey};

/// Lifetime of a login token, in seconds: the default of Xsolla Login, a day.
const LOGIN_LIFETIME: Timestamp = 86_400;

pub(super) struct Player {
    pub(super) name: Option<String>,
    /// Social logins may have none.
    pub(super) email: Option<String>,
}

/// A kind of login token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// As Xsolla Login issues it.
    Good,
    /// Expired an hour ago.
    Expired,
    /// Signed with the secret before the last reset.
    PreviousSecret,
    /// Signed with the secret of another login project.
    AnotherSecret,
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

impl LoginSecrets {
    pub(super) fn generate() -> anyhow::Result<Self> {
        Ok(Self { current: Secret::generate()?, previous: Secret::generate()?, another: Secret::generate()? })
    }

    /// Signs a login token as the login project would.
    pub(super) fn mint(&self, player: &Player, kind: Kind) -> Result<String, SignError> {
        let (secret, age) = match kind {
            Kind::Good => (&self.current, 0),
            Kind::Expired => (&self.current, LOGIN_LIFETIME + 3600),
            Kind::PreviousSecret => (&self.previous, 0),
            Kind::AnotherSecret => (&self.another, 0),
        };
        let iat = now() - age;
        let claims = LoginClaims {
            sub: &player.sub(),
            email: player.email.as_deref(),
            username: player.name.as_deref(),
            iss: "https://login.xsolla.com",
            iat,
            exp: iat + LOGIN_LIFETIME,
            xsolla_login_project_id: "0d5f2d5e-7c1b-4d0e-8a43-6f1f4f0e9a77",
            r#type: "xsolla_login",
        };
        Ok(SigningKey::new(secret, None).sign(&claims)?.as_str().to_owned())
    }
}

impl Player {
    /// The login id: always the same for the same player; for Jane Doe the one of the documentation.
    fn sub(&self) -> String {
        if (self.name.as_deref(), self.email.as_deref()) == (Some(JANE), Some(JANE_EMAIL)) {
            return "82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11".to_owned();
        }
        let bytes = self.name.iter().chain(&self.email).flat_map(|text| text.bytes());
        let mixed = bytes.fold(0x5f0d_1a7b_3c11_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        format!("82cd5e0c-1d9c-4a2f-9d0a-{:012x}", mixed & 0xffff_ffff_ffff)
    }
}
