//! How far does a login come on its way to a Zendesk token, and how long does each step take?

use std::time::Instant;

use axum::http::HeaderMap;
use serde::Serialize;

use crate::config::Config;
use crate::config::products::Product;
use crate::exchange::{Exchange, ExchangeError};
use crate::http::credentials;
use crate::http::error::Reason;
use crate::http::origin::allowed_origin;
use crate::http::support_sdk;
use crate::http::token::now;
use crate::login::verifier::LoginVerifier;
use crate::metrics::Metrics;
use crate::zendesk::Zendesk;
use crate::zendesk::identity::Identity;

/// The parts of the service, to be walked through one by one.
pub struct Journey {
    config: Config,
    exchange: Exchange,
    verifier: LoginVerifier,
    zendesk: Zendesk,
}

/// One step of the way.
#[derive(Debug, Serialize)]
pub struct Step {
    name: &'static str,
    /// What came of it.
    told: String,
    /// The code that it was refused with.
    refusal: Option<&'static str>,
    microseconds: f64,
}

impl Journey {
    /// With the service's own settings.
    ///
    /// # Errors
    /// None that the service would not have.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let exchange = Exchange::new(&config, &Metrics::new(), None)?;
        let verifier = LoginVerifier::new(&config, &Metrics::new(), None)?;
        let zendesk = Zendesk::new(&config.products)?;
        Ok(Self { config, exchange, verifier, zendesk })
    }

    /// The way of a request with these headers, or of the login token that Zendesk's servers post: each step up to
    /// the one that fails.
    pub async fn travel(&self, product: Product, headers: &HeaderMap, user_token: Option<&str>) -> Vec<Step> {
        let mut steps = Vec::new();
        let _ = self.walk(product, headers, user_token, &mut steps).await;
        steps
    }

    async fn walk(
        &self,
        product: Product,
        headers: &HeaderMap,
        user_token: Option<&str>,
        steps: &mut Vec<Step>,
    ) -> Result<(), ()> {
        let begun = Instant::now();
        let origin = allowed_origin(headers, &self.config.origins);
        let told =
            |allowed: &Option<_>| if allowed.is_some() { "the page's origin is allowed" } else { "no page asks" };
        note(steps, "origin", begun, origin, |allowed| told(allowed).to_owned())?;

        let begun = Instant::now();
        let posted = user_token.map(support_sdk::credentials);
        let found = posted.unwrap_or_else(|| match product {
            Product::SupportSdk => Err(Reason::UserTokenMissing),
            Product::Chat | Product::Messaging | Product::HelpCenter => {
                credentials::read(headers, self.exchange.login_cookie(), self.exchange.takes_bearer())
            }
        });
        let found = note(steps, "cookie", begun, found, |found| match found.count() {
            1 => "one login token came".to_owned(),
            count => format!("{count} login tokens came"),
        })?;

        let begun = Instant::now();
        let login = self.verifier.verify(&found, now()).await.map_err(ExchangeError::Login).map_err(Reason::from);
        let login = note(steps, "verify", begun, login, |login| {
            format!("signed with the {} secret of the login project, and in its time", login.verified_by().as_str())
        })?;

        let Some(issuer) = self.zendesk.issuer(product) else { return Err(()) };
        let key = login.verified_by();
        let begun = Instant::now();
        let identity = Identity::from_login(&login, issuer.identity_rule());
        let identity = identity.map_err(|error| Reason::from(ExchangeError::Identify(error, key)));
        let identity = note(steps, "identity", begun, identity, |identity| {
            format!("{}, external id {}", identity.name().unwrap_or("no name"), identity.external_id())
        })?;

        let begun = Instant::now();
        let token = issuer.issue(&identity, now(), login.accepted_until());
        let token = token.map_err(|error| Reason::from(ExchangeError::Issue(error, key)));
        note(steps, "sign", begun, token, |_| format!("signed with {}", product.secret_keys()[0])).map(drop)
    }
}

/// Notes what came of a step, and hands it on.
fn note<T>(
    steps: &mut Vec<Step>,
    name: &'static str,
    begun: Instant,
    came: Result<T, Reason>,
    told: impl FnOnce(&T) -> String,
) -> Result<T, ()> {
    let microseconds = begun.elapsed().as_secs_f64() * 1e6;
    let (told, refusal) = match &came {
        Ok(came) => (told(came), None),
        Err(cause) => (cause.to_string(), Some(cause.error_code().code())),
    };
    steps.push(Step { name, told, refusal, microseconds });
    came.map_err(|_| ())
}
