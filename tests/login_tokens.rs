//! Builds login tokens and opens issued tokens, with `RustCrypto`, which shares no code with the service.
//!
//! The default login token is valid, so a test states only its defect.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use zendesk_token::config::products::Product;
use zendesk_token::login::json::Object;
use zendesk_token::zendesk::rules;

use crate::harness::{KEY_ID, LOGIN_SECRET};

pub const SUB: &str = "82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11";
pub const EMAIL: &str = "jane@example.com";
pub const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
pub const PROJECT: &str = "0d5f2d5e-7c1b-4d0e-8a43-6f1f4f0e9a77";

pub struct LoginToken {
    claims: Map<String, Value>,
    secret: String,
}

impl LoginToken {
    /// A token of a player who signed in a minute ago, for a day.
    pub fn valid() -> Self {
        Self::at(now())
    }

    pub fn at(now: i64) -> Self {
        let claims = json!({
            "sub": SUB,
            "email": EMAIL,
            "username": "Jane Doe",
            "iss": "https://login.xsolla.com",
            "iat": now - 60,
            "exp": now + 86_340,
            "xsolla_login_project_id": PROJECT,
            "groups": [{"id": 1, "name": "default", "is_default": true}],
            "type": "xsolla_login",
        });
        Self::of(&claims)
    }

    /// A token with exactly these claims.
    pub fn of(claims: &Value) -> Self {
        Self { claims: claims.as_object().unwrap().clone(), secret: LOGIN_SECRET.to_owned() }
    }

    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// With these claims; those that are null are left out.
    pub fn with(self, changes: &Value) -> Self {
        let set = |token: Self, (name, value): (&String, &Value)| {
            if value.is_null() { token.without(name) } else { token.claim(name, value.clone()) }
        };
        changes.as_object().unwrap().iter().fold(self, set)
    }

    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    pub fn secret(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret);
        self
    }

    pub fn payload(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    pub fn mint(&self) -> String {
        sign(HEADER, &self.payload(), self.secret.as_bytes())
    }
}

/// A compact JWS of exactly this header and payload.
pub fn sign(header: &str, payload: &str, secret: &[u8]) -> String {
    sign_message(&format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload)), secret)
}

/// Exactly this message, with its signature.
pub fn sign_message(message: &str, secret: &[u8]) -> String {
    let signature = URL_SAFE_NO_PAD.encode(hmac(secret, message).finalize().into_bytes());
    format!("{message}.{signature}")
}

/// Header and claims of a token, whose signature must be valid.
pub fn open(token: &str, secret: &str) -> (Value, Value) {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    hmac(secret.as_bytes(), message).verify_slice(&signature).expect("signed with another secret");
    let (header, payload) = message.split_once('.').unwrap();
    let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (json(header), json(payload))
}

/// Header and claims of a token for `product`, which must be signed and keep the product's rules.
pub fn open_for(product: Product, token: &str, secret: &str) -> (Value, Value) {
    open_at(now(), product, token, secret)
}

pub fn open_at(now: i64, product: Product, token: &str, secret: &str) -> (Value, Value) {
    let (header, claims) = open(token, secret);
    let object = |json: &Value| serde_json::from_value::<Object>(json.clone()).unwrap();
    assert_eq!(rules::violations(product, &object(&header), &object(&claims), Some(KEY_ID), now), []);
    (header, claims)
}

fn hmac(secret: &[u8], message: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret).unwrap().chain_update(message)
}

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}
