//! A pretend `OpenID` Connect provider for the shop's second login: discovery document, key set and ID tokens.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::Router;
use axum::routing::get;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use crate::http::json::Json;
use crate::login::Timestamp;
use crate::zendesk::signing_key::SignError;

use super::players::{Kind, Player};

/// The path of the issuer.
const PATH: &str = "/studio";

/// The path of the key set, below the issuer.
const KEYS: &str = "/keys";

/// The shop's client id.
const AUDIENCE: &str = "demo-shop";

/// The provider, with a key that only this process knows.
pub(super) struct Provider {
    issuer: String,
    key: EncodingKey,
    public_key: Jwk,
}

/// The members of a discovery document that the service reads (`OpenID` Connect Discovery 1.0 §3).
#[derive(Clone, Serialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// The claims of an ID token (`OpenID` Connect Core 1.0 §2 and §5.1).
#[derive(Serialize)]
struct IdTokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'static str,
    iat: Timestamp,
    exp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
}

impl Provider {
    /// Generates the key. `url` is that of the listener that serves the provider's routes.
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?.to_pkcs8v1()?;
        let key = EncodingKey::from_ec_der(pair.as_ref());
        let mut public_key = Jwk::from_encoding_key(&key, Algorithm::ES256)?;
        public_key.common.key_id = Some(public_key.thumbprint(ThumbprintHash::SHA256)?);
        public_key.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { issuer: format!("{url}{PATH}"), key, public_key })
    }

    /// The settings of the service for this login.
    pub(super) fn settings(&self) -> [(&'static str, &str); 4] {
        [
            ("logins.studio.provider", "oidc"),
            ("logins.studio.issuer", &self.issuer),
            ("logins.studio.audience", AUDIENCE),
            // The ids are numbers, which another login may have too.
            ("logins.studio.external_id_prefix", "studio-"),
        ]
    }

    pub(super) fn router(&self) -> Router {
        let discovery = Discovery { issuer: self.issuer.clone(), jwks_uri: format!("{}{KEYS}", self.issuer) };
        let keys = JwkSet { keys: vec![self.public_key.clone()] };
        Router::new()
            .route(&format!("{PATH}/.well-known/openid-configuration"), get(async || Json(discovery)))
            .route(&format!("{PATH}{KEYS}"), get(async || Json(keys)))
    }

    /// Signs an ID token.
    pub(super) fn mint(&self, player: &Player, kind: Kind) -> Result<String, SignError> {
        let iat = kind.issued_at();
        let claims = IdTokenClaims {
            iss: &self.issuer,
            sub: &player.account_number().to_string(),
            aud: AUDIENCE,
            iat,
            exp: iat + kind.lifetime(),
            name: player.name.as_deref(),
            email: player.email.as_deref(),
            email_verified: player.email.as_ref().map(|_| kind != Kind::UnconfirmedEmail),
        };
        let header = Header { kid: self.public_key.common.key_id.clone(), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &self.key).map_err(|_| SignError)
    }
}
