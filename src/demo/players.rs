//! Who signs in to the pretend shop, and with what kind of login token?

use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;
use crate::http::token::now;
use crate::login::Timestamp;
use crate::zendesk::signing_key::{SignError, SigningKey};

/// How long a player stays signed in, in seconds: Xsolla Login's own default, a day.
pub const LOGIN_LIFETIME: Timestamp = 86_400;

/// A player as the shop's form has one.
#[derive(Debug, Clone, Deserialize)]
pub struct Player {
    /// What the player is called, if anything.
    pub name: Option<String>,
    /// The email; none, as with social logins.
    pub email: Option<String>,
}

/// What a login token is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// As Xsolla Login issues it.
    Good,
    /// Ended an hour ago.
    Expired,
    /// Signed with the secret before the last reset.
    PreviousSecret,
    /// Signed with the secret of another login project.
    AnotherSecret,
}

/// The login project's secrets, and another's.
pub struct LoginSecrets {
    /// Signs now.
    pub current: Secret,
    /// Signed before the last reset.
    pub previous: Secret,
    /// Another project's.
    pub another: Secret,
}

/// A login token as Xsolla Login issues it.
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

/// The demo's first player.
#[must_use]
pub fn jane() -> Player {
    Player { name: Some(JANE.to_owned()), email: Some(JANE_EMAIL.to_owned()) }
}

impl LoginSecrets {
    /// Fresh ones.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn generate() -> anyhow::Result<Self> {
        Ok(Self { current: Secret::generate()?, previous: Secret::generate()?, another: Secret::generate()? })
    }

    /// Signs a login token as the login project would. The type is a Zendesk token's, the claims are not.
    ///
    /// # Errors
    /// See [`SigningKey::sign`].
    pub fn mint(&self, player: &Player, kind: Kind) -> Result<String, SignError> {
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
    /// The login id: the same player has the same, and Jane Doe that of the documents.
    fn sub(&self) -> String {
        if (self.name.as_deref(), self.email.as_deref()) == (Some(JANE), Some(JANE_EMAIL)) {
            return "82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11".to_owned();
        }
        let letters = self.name.iter().chain(&self.email).flat_map(|text| text.bytes());
        let mixed = letters.fold(0x5f0d_1a7b_3c11_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        format!("82cd5e0c-1d9c-4a2f-9d0a-{:012x}", mixed & 0xffff_ffff_ffff)
    }
}
