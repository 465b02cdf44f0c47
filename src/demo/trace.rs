//! Runs a request through the service step by step, to show the result and the time of each step.

use std::time::Instant;

use axum::http::HeaderMap;
use serde::Serialize;

use crate::config::Config;
use crate::config::products::Product;
use crate::exchange::{ExchangeError, identify};
use crate::http::credentials;
use crate::http::error::Reason;
use crate::http::origin::allowed_origin;
use crate::http::support_sdk;
use crate::login::keys::{Verified, VerifiedBy};
use crate::login::now;
use crate::login::verifier::LoginVerifier;
use crate::metrics::Metrics;
use crate::zendesk::Zendesk;

/// The parts of the service, run one by one.
pub(super) struct Trace {
    config: Config,
    verifier: LoginVerifier,
    zendesk: Zendesk,
}

#[derive(Debug, Serialize)]
pub(super) struct Step {
    name: &'static str,
    /// The result or the cause of the refusal.
    text: String,
    /// The error code of a refusal.
    refusal: Option<&'static str>,
    microseconds: f64,
}

impl Trace {
    pub(super) fn new(config: Config) -> anyhow::Result<Self> {
        let verifier = LoginVerifier::new(&config, &Metrics::new(), None)?;
        let zendesk = Zendesk::new(&config.products)?;
        Ok(Self { config, verifier, zendesk })
    }

    /// The steps of a request, up to the one that fails. `user_token` is the login token that Zendesk's servers post.
    pub(super) async fn run(&self, product: Product, headers: &HeaderMap, user_token: Option<&str>) -> Vec<Step> {
        let mut steps = Vec::new();
        let _ = self.record(product, headers, user_token, &mut steps).await;
        steps
    }

    async fn record(
        &self,
        product: Product,
        headers: &HeaderMap,
        user_token: Option<&str>,
        steps: &mut Vec<Step>,
    ) -> Result<(), ()> {
        let start = Instant::now();
        let origin = allowed_origin(headers, &self.config.origins);
        step(steps, "origin", start, origin, |origin| {
            if origin.is_some() { "the page's origin is allowed" } else { "the request has no origin" }.to_owned()
        })?;

        let start = Instant::now();
        let posted = user_token.map(support_sdk::credentials);
        let credentials = posted.unwrap_or_else(|| match product {
            Product::SupportSdk => Err(Reason::UserTokenMissing),
            Product::Chat | Product::Messaging | Product::HelpCenter => {
                credentials::read(headers, &self.config.login_cookie, self.config.bearer)
            }
        });
        let credentials = step(steps, "cookie", start, credentials, |credentials| match credentials.count() {
            1 => "one login token".to_owned(),
            count => format!("{count} login tokens"),
        })?;

        let start = Instant::now();
        let login = self.verifier.verify(&credentials, now()).await.map_err(ExchangeError::Login).map_err(Reason::from);
        let login = step(steps, "verify", start, login, |login| {
            let Verified { login, key } = login.verified();
            format!("for the login {}: verified with its {}, and not expired", login.as_str(), key_text(*key))
        })?;

        let Some(issuer) = self.zendesk.issuer(product) else { return Err(()) };
        let start = Instant::now();
        let identity = identify(&login, issuer).map_err(Reason::from);
        let identity = step(steps, "identity", start, identity, |identity| {
            format!("{}, external id {}", identity.name().unwrap_or("no name"), identity.external_id())
        })?;

        let start = Instant::now();
        let token = issuer.issue(&identity, now(), login.accepted_until());
        let token = token.map_err(|error| Reason::from(ExchangeError::Issue(error, login.verified().clone())));
        step(steps, "sign", start, token, |_| format!("signed with {}", product.secret_key())).map(drop)
    }
}

const fn key_text(key: VerifiedBy) -> &'static str {
    match key {
        VerifiedBy::Current => "current secret",
        VerifiedBy::Previous => "previous secret",
        VerifiedBy::Published => "published key",
        VerifiedBy::UserToken => "user token",
    }
}

/// Records the result of a step, and passes it on.
fn step<T>(
    steps: &mut Vec<Step>,
    name: &'static str,
    start: Instant,
    result: Result<T, Reason>,
    describe: impl FnOnce(&T) -> String,
) -> Result<T, ()> {
    let microseconds = start.elapsed().as_secs_f64() * 1e6;
    let (text, refusal) = match &result {
        Ok(value) => (describe(value), None),
        Err(reason) => (reason.to_string(), Some(reason.error_code().code())),
    };
    steps.push(Step { name, text, refusal, microseconds });
    result.map_err(|_| ())
}
