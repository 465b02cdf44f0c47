//! Does a login token that verifies still stand?

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use moka::Expiry;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use thiserror::Error;

use crate::config::login::{Api, Login};
use crate::metrics::Metrics;

use super::Timestamp;
use super::api::{ApiCode, ApiError, ClientError, LoginApi, Validity};
use super::claims::LoginClaims;

/// Most answers that are remembered, 100 bytes or so each; more players than that come in half a minute
/// to no shop of one machine.
const MAX_ANSWERS: u64 = 10_000;

/// Asks the Login API about tokens, and remembers what it said.
pub struct Revocation {
    api: LoginApi,
    settings: Settings,
    answers: Cache<[u8; 32], Answer>,
    metrics: Metrics,
}

/// What the answers hang on.
#[derive(Debug, PartialEq, Eq)]
struct Settings {
    api: Api,
    remember: Duration,
}

/// Why a token that verifies is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RevocationError {
    /// The Login API refuses it.
    #[error("the Login API refuses the token{}", code(*.0))]
    Revoked(Option<ApiCode>),
    /// The Login API did not say.
    #[error(transparent)]
    Unknown(#[from] ApiError),
}

#[derive(Clone, Copy)]
struct Answer {
    validity: Validity,
    remember: Duration,
}

impl Revocation {
    /// Builds the client from the settings; nothing when the API is not to be asked. What `old`
    /// remembers is taken over where the settings are the same.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(login: &Login, metrics: &Metrics, old: Option<Arc<Self>>) -> Result<Option<Arc<Self>>, ClientError> {
        let Some(remember) = login.revocation_cache else { return Ok(None) };
        let settings = Settings { api: login.api.clone(), remember };
        if let Some(old) = old.filter(|old| old.settings == settings) {
            return Ok(Some(old));
        }
        let api = LoginApi::new(&login.api)?;
        let answers = Cache::builder()
            .max_capacity(MAX_ANSWERS)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(AsLongAsItSays)
            .build();
        Ok(Some(Arc::new(Self { api, settings, answers, metrics: metrics.clone() })))
    }

    /// Asks about `token`, whose claims are `login`, unless the answer is remembered: at most as long
    /// as the token lives. Requests that ask of one token at once share one call, and its failure.
    ///
    /// # Errors
    /// See [`RevocationError`].
    pub async fn check(&self, token: &str, login: &LoginClaims, now: Timestamp) -> Result<(), RevocationError> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let lives = u64::try_from(login.honoured_until() - now).map_or(Duration::ZERO, Duration::from_secs);
        let ask = async {
            let validity = self.api.validate(token).await;
            self.metrics.count_revocation_call(validity.is_ok());
            validity.map(|validity| Answer { validity, remember: self.settings.remember.min(lives) })
        };
        match self.answers.try_get_with(hash, ask).await.map_err(|error| *error)?.validity {
            Validity::Valid => Ok(()),
            Validity::Revoked(code) => Err(RevocationError::Revoked(code)),
        }
    }
}

/// Each answer is forgotten after its own time.
struct AsLongAsItSays;

impl Expiry<[u8; 32], Answer> for AsLongAsItSays {
    fn expire_after_create(&self, _: &[u8; 32], answer: &Answer, _: Instant) -> Option<Duration> {
        Some(answer.remember)
    }
}

fn code(code: Option<ApiCode>) -> String {
    code.map_or(String::new(), |code| format!(" ({code})"))
}
