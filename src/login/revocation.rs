//! Asks Xsolla whether a valid token was revoked; remembers the answer for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use moka::Expiry;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use thiserror::Error;

use crate::config::login::{Api, Login};
use crate::http_client::CallError;
use crate::metrics::Metrics;

use super::Timestamp;
use super::api::{ApiCode, ApiError, ClientError, LoginApi, TooManyWait, Validity};
use super::claims::LoginClaims;

/// Most answers that are remembered, 100 bytes or so each; more players than that come in half a minute
/// to no shop of one machine.
const MAX_ANSWERS: u64 = 10_000;

/// Asks the Login API about tokens, and remembers what it said.
pub struct Revocation {
    api: LoginApi,
    settings: Api,
    remember: Duration,
    answers: Cache<[u8; 32], Answer>,
    metrics: Metrics,
}

/// Why a token that verifies is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RevocationError {
    /// The Login API refuses it.
    #[error("the Login API refuses the token{}", code(*.0))]
    Revoked(Option<ApiCode>),
    /// More requests wait for the Login API than may.
    #[error("too many requests wait for the Login API")]
    TooManyAsk,
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
    /// remembers is taken over where it is the same API's word, for the same time.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(login: &Login, metrics: &Metrics, old: Option<&Arc<Self>>) -> Result<Option<Arc<Self>>, ClientError> {
        let Some(remember) = login.revocation_cache else { return Ok(None) };
        let is_same_api = |old: &Api| old.url == login.api.url && old.authorities == login.api.authorities;
        let old = old.filter(|old| old.remember == remember && is_same_api(&old.settings));
        if let Some(old) = old.filter(|old| old.settings == login.api) {
            return Ok(Some(Arc::clone(old)));
        }
        let empty = || {
            let answers = Cache::builder().max_capacity(MAX_ANSWERS).eviction_policy(EvictionPolicy::lru());
            answers.expire_after(AsLongAsItSays).build()
        };
        Ok(Some(Arc::new(Self {
            api: LoginApi::new(&login.api)?,
            settings: login.api.clone(),
            remember,
            answers: old.map_or_else(empty, |old| old.answers.clone()),
            metrics: metrics.clone(),
        })))
    }

    /// Asks about `token`, whose claims are `login`, unless the answer is remembered: at most as long
    /// as the token lives. Requests that ask of one token at once share one call, and its failure.
    ///
    /// # Errors
    /// See [`RevocationError`].
    pub async fn check(
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
            let lives = u64::try_from(login.honoured_until() - now).map_or(Duration::ZERO, Duration::from_secs);
            self.ask(hash, token, self.remember.min(lives)).await?
        };
        match answer.validity {
            Validity::Valid => Ok(()),
            Validity::Revoked(code) => Err(RevocationError::Revoked(code)),
        }
    }

    /// Waits for the API's word, if there is a place to wait.
    async fn ask(self: &Arc<Self>, hash: [u8; 32], token: &str, remember: Duration) -> Result<Answer, RevocationError> {
        let (this, token) = (Arc::clone(self), token.to_owned());
        let asked = async move {
            let ask = async {
                let validity = this.api.validate(&token).await;
                this.metrics.count_revocation_call(validity.is_ok());
                validity.map(|validity| Answer { validity, remember })
            };
            this.answers.try_get_with(hash, ask).await.map_err(|error| *error)
        };
        let asked = self.api.wait(asked).await.map_err(|TooManyWait| RevocationError::TooManyAsk)?;
        Ok(asked.map_err(|_| ApiError::Call(CallError::Broken))??)
    }
}

/// Each answer is forgotten after its own time.
struct AsLongAsItSays;

impl Expiry<[u8; 32], Answer> for AsLongAsItSays {
    fn expire_after_create(&self, _: &[u8; 32], answer: &Answer, _: Instant) -> Option<Duration> {
        Some(answer.remember)
    }

    /// A new answer in the place of one that is past its time counts as an update while that is there.
    fn expire_after_update(&self, _: &[u8; 32], answer: &Answer, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(answer.remember)
    }
}

fn code(code: Option<ApiCode>) -> String {
    code.map_or(String::new(), |code| format!(" ({code})"))
}
