//! An `OpenID` Connect provider on loopback. Its documents are as a test sets them.

use std::net::SocketAddr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use zendesk_token::config::products::Product;
use zendesk_token::exchange::Exchange;
use zendesk_token::login::token;
use zendesk_token::login::verifier::Credentials;

use crate::harness::usual;
use crate::login_api::LoginApi;
use crate::login_tokens::{EMAIL, LoginToken, SUB, now};
use crate::settings::without;
use crate::stub::Reply;
use crate::verification::{NOW, exchange_with};

pub const AUDIENCE: &str = "shop";
pub const DISCOVERY_PATH: &str = "/players/.well-known/openid-configuration";
pub const KEYS_PATH: &str = "/players/keys";

/// The algorithms of login tokens.
pub const ALGORITHMS: [&str; 5] = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];

pub struct Provider {
    pub stub: LoginApi,
    /// Signs its tokens: ES256.
    pub key: Key,
}

/// A private key, new in each test.
pub struct Key {
    pub kid: String,
    alg: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    EllipticCurve(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl Provider {
    /// Publishes its key.
    pub fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub fn at(address: SocketAddr) -> Self {
        let provider = Self { stub: LoginApi::at(address), key: Key::new("ES256", "first") };
        provider.describe(&provider.issuer(), &(provider.stub.url() + KEYS_PATH));
        provider.publish(&[provider.key.jwk()]);
        provider
    }

    pub fn issuer(&self) -> String {
        format!("{}/players", self.stub.url())
    }

    /// Sets the discovery document.
    pub fn describe(&self, issuer: &str, jwks_uri: &str) {
        let document = json!({"issuer": issuer, "jwks_uri": jwks_uri, "scopes_supported": ["openid"]});
        self.stub.reply(DISCOVERY_PATH, Reply::Answer(200, document.to_string()));
    }

    /// Sets the published keys.
    pub fn publish(&self, keys: &[Value]) {
        self.stub.reply(KEYS_PATH, Reply::Answer(200, json!({"keys": keys}).to_string()));
    }

    /// The claims of an ID token of a player who signed in a minute ago, for a day.
    pub fn token(&self) -> LoginToken {
        self.token_at(now())
    }

    pub fn token_at(&self, now: i64) -> LoginToken {
        LoginToken::of(&json!({
            "iss": self.issuer(),
            "aud": AUDIENCE,
            "sub": SUB,
            "email": EMAIL,
            "email_verified": true,
            "name": "Jane Doe",
            "iat": now - 60,
            "exp": now + 86_340,
        }))
    }

    /// An exchange with the published keys. Tokens never wait, also not with unknown keys: the cooldown has begun.
    pub fn exchange(&self, changes: &[(&str, &str)]) -> Exchange {
        let changes = [&[("login.keys_cooldown", "1h")], changes].concat();
        let exchange = exchange_with(&oidc(&self.issuer(), &changes));
        let unknown = Key::new("ES256", "unknown");
        let unknown = unknown.sign(&unknown.header(), &self.token_at(NOW).payload());
        let credentials = Credentials { bearer: Some(token::LoginToken::new(unknown)), cookies: Vec::new() };
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            for keys in exchange.published_keys() {
                keys.refresh().await.unwrap();
            }
            exchange.run(Product::Chat, &credentials, NOW).await.unwrap_err();
        });
        exchange
    }

    /// The token, signed with the provider's key.
    pub fn mint(&self, token: &LoginToken) -> String {
        self.key.sign(&self.key.header(), &token.payload())
    }
}

impl Key {
    pub fn new(alg: &'static str, kid: &str) -> Self {
        let pair = match alg {
            "RS256" | "PS256" => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
            "ES256" => Pair::EllipticCurve(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            "ES384" => Pair::EllipticCurve(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            _ => Pair::Edwards(Ed25519KeyPair::generate().unwrap()),
        };
        Self { kid: kid.to_owned(), alg, pair }
    }

    /// The same key for another algorithm.
    pub fn with_alg(self, alg: &'static str) -> Self {
        Self { alg, ..self }
    }

    /// The public key as it is published.
    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                // RSAPublicKey (RFC 8017 §A.1.1) ends with a modulus of 256 bytes, and 65537 with its tag and length.
                let der = pair.public_key().as_ref();
                json!({"kty": "RSA", "n": text(&der[der.len() - 261..der.len() - 5]), "e": "AQAB"})
            }
            Pair::EllipticCurve(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(if self.alg == "ES256" { 32 } else { 48 });
                let curve = if self.alg == "ES256" { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)})
            }
            Pair::Edwards(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())}),
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    pub fn header(&self) -> Value {
        json!({"alg": self.alg, "typ": "JWT", "kid": self.kid})
    }

    /// A token with exactly this header and payload, whatever algorithm the header has.
    pub fn sign(&self, header: &Value, payload: &str) -> String {
        self.sign_message(&format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(payload)
        ))
    }

    /// Exactly this message, with its signature.
    pub fn sign_message(&self, message: &str) -> String {
        let (bytes, random) = (message.as_bytes(), SystemRandom::new());
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; 256];
                let scheme = if self.alg == "RS256" { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
                pair.sign(scheme, &random, bytes, &mut signature).unwrap();
                signature
            }
            Pair::EllipticCurve(pair) => pair.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Pair::Edwards(pair) => pair.sign(bytes).as_ref().to_vec(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The usual settings with a login of this issuer instead of Xsolla's, and these changes.
pub fn oidc<'a>(issuer: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let set = [("login.provider", "oidc"), ("login.issuer", issuer), ("login.audience", AUDIENCE)];
    without("login.secret", usual(&[&set, changes].concat()))
}
