//! Asks Xsolla whether a valid token was revoked; caches the answer briefly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use moka::Expiry;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use thiserror::Error;

use crate::config::login::{Api, Login};
use crate::http_client::{CallError, ClientError};
use crate::metrics::Metrics;

use super::Timestamp;
use super::api::{ApiCode, LoginApi, LoginApiError, TooManyWaiting, Validity};
use super::claims::LoginClaims;

/// Most cached answers, about 100 bytes each: those of 30 seconds with 333 players a second. With more, the oldest go first
/// (`docs/scale.md`).
const MAX_ANSWERS: u64 = 10_000;

/// Asks the Login API about tokens and caches its answers.
pub(crate) struct Revocation {
    api: LoginApi,
    settings: Api,
    cache_time: Duration,
    answers: Cache<[u8; 32], Answer>,
    metrics: Metrics,
}

/// Why a token with a valid signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RevocationError {
    /// The Login API refuses the token.
    #[error("the Login API refuses the token{}", code(*.0))]
    Revoked(Option<ApiCode>),
    /// All wait slots are taken.
    #[error("too many requests wait for the Login API")]
    TooManyWaiting,
    /// The Login API gave no usable answer.
    #[error(transparent)]
    Unknown(#[from] LoginApiError),
}

#[derive(Clone, Copy)]
struct Answer {
    validity: Validity,
    cache_time: Duration,
}

impl Revocation {
    /// Builds the check; `None` if the settings turn it off. Keeps the cached answers of `old` if the API and the cache time
    /// are the same.
    pub(crate) fn new(
        login: &Login,
        metrics: &Metrics,
        old: Option<&Arc<Self>>,
    ) -> Result<Option<Arc<Self>>, ClientError> {
        let Some(cache_time) = login.revocation_cache else { return Ok(None) };
        let is_same_api = |old: &Api| old.url == login.api.url && old.ca_bundle == login.api.ca_bundle;
        let old = old.filter(|old| old.cache_time == cache_time && is_same_api(&old.settings));
        if let Some(old) = old.filter(|old| old.settings == login.api) {
            return Ok(Some(Arc::clone(old)));
        }
        let empty = || {
            let answers = Cache::builder().max_capacity(MAX_ANSWERS).eviction_policy(EvictionPolicy::lru());
            answers.expire_after(ExpireByAnswer).build()
        };
        Ok(Some(Arc::new(Self {
            api: LoginApi::new(&login.api)?,
            settings: login.api.clone(),
            cache_time,
            answers: old.map_or_else(empty, |old| old.answers.clone()),
            metrics: metrics.clone(),
        })))
    }

    /// Asks about `token`, which has the claims `login`, unless the answer is cached. An answer is cached at most as long as
    /// the token is valid. Concurrent requests with the same token share one call and its result.
    pub(crate) async fn check(
        self: &Arc<Self>,
        token: &str,
        login: &LoginClaims,
        now: Timestamp,
    ) -> Result<(), RevocationError> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let answer = if let Some(answer) = self.answers.get(&hash).await {
            answer
        } else {
            let left = u64::try_from(login.accepted_until() - now).map_or(Duration::ZERO, Duration::from_secs);
            self.ask(hash, token, self.cache_time.min(left)).await?
        };
        match answer.validity {
            Validity::Valid => Ok(()),
            Validity::Revoked(code) => Err(RevocationError::Revoked(code)),
        }
    }

    async fn ask(
        self: &Arc<Self>,
        hash: [u8; 32],
        token: &str,
        cache_time: Duration,
    ) -> Result<Answer, RevocationError> {
        let (this, token) = (Arc::clone(self), token.to_owned());
        let shared_call = async move {
            let call = async {
                let validity = this.api.validate(&token).await;
                this.metrics.count_revocation_call(this.settings.login.label(), validity.is_ok());
                validity.map(|validity| Answer { validity, cache_time })
            };
            this.answers.try_get_with(hash, call).await.map_err(|error| *error)
        };
        let answer = self.api.run(shared_call).await.map_err(|TooManyWaiting| RevocationError::TooManyWaiting)?;
        Ok(answer.map_err(|_| LoginApiError::Call(CallError::Broken))??)
    }
}

/// Each answer expires after its own cache time.
struct ExpireByAnswer;

impl Expiry<[u8; 32], Answer> for ExpireByAnswer {
    fn expire_after_create(&self, _: &[u8; 32], answer: &Answer, _: Instant) -> Option<Duration> {
        Some(answer.cache_time)
    }

    // If an expired answer is still stored, its replacement is an update.
    fn expire_after_update(&self, _: &[u8; 32], answer: &Answer, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(answer.cache_time)
    }
}

fn code(code: Option<ApiCode>) -> String {
    code.map_or(String::new(), |code| format!(" ({code})"))
}
