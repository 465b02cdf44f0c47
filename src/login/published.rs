//! The published keys at hand, and when they are fetched again.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jsonwebtoken::DecodingKey;
use thiserror::Error;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::config::login::{Api, KeyCaching};
use crate::metrics::Metrics;

use super::Timestamp;
use super::api::{ApiError, ClientError, Clock, LoginApi};
use super::key_set::KeySet;

/// Says when the clock is so far off that login tokens are in danger, in seconds.
const SKEW_TO_WARN_OF: i64 = 10;

/// Share of `login.keys_max_age` after which the keys are fetched anew, so that a slow answer or a
/// failed try still leaves time.
const REFRESH_PERCENT: u32 = 80;

/// First pause after a fetch that failed; each further one doubles it, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Keys of one login project, kept fresh.
pub struct PublishedKeys {
    api: LoginApi,
    settings: Settings,
    held: ArcSwapOption<Held>,
    fetches: Mutex<Fetches>,
    /// One permit, taken for a fetch: there is one at a time.
    flight: Semaphore,
    /// Tells the keeper that the next fetch is due sooner than it thought.
    due_sooner: Notify,
    metrics: Metrics,
}

/// What the keys hang on, and how they are fetched.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where they are published.
    pub api: Api,
    /// Whose they are.
    pub project_id: String,
    /// For how long they serve.
    pub caching: KeyCaching,
}

/// Why there is no key of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FindKeyError {
    /// The login project publishes no such key.
    #[error("header kid names no key that the login project published when last asked")]
    Unknown,
    /// The keys at hand lack it, and the cooldown keeps the login project from being asked.
    #[error("header kid names no key at hand, and login.keys_cooldown keeps the Login API from being asked again")]
    NotAsked,
    /// The keys at hand are too old or lack this one, and the Login API can't be asked.
    #[error("the Login API gives no keys, and none at hand will do")]
    Unavailable,
}

struct Held {
    keys: KeySet,
    /// When they were asked for: what was published later is not among them.
    asked: Instant,
    /// When they came.
    since: Instant,
}

impl PublishedKeys {
    /// Keys that are still to be fetched, or `old` where the settings are the same. Where they say only
    /// otherwise how the same keys are fetched, those at hand are taken over.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(settings: Settings, metrics: &Metrics, old: Option<&Arc<Self>>) -> Result<Arc<Self>, ClientError> {
        let is_same = |old: &Settings| old.api.url == settings.api.url && old.project_id == settings.project_id;
        let old = old.filter(|old| is_same(&old.settings));
        if let Some(old) = old.filter(|old| old.settings == settings) {
            return Ok(Arc::clone(old));
        }
        Ok(Arc::new(Self {
            api: LoginApi::new(&settings.api)?,
            held: ArcSwapOption::new(old.and_then(|old| old.held.load_full())),
            fetches: Mutex::default(),
            flight: Semaphore::new(1),
            due_sooner: Notify::new(),
            settings,
            metrics: metrics.clone(),
        }))
    }

    /// Whether there are keys that may still serve.
    #[must_use]
    pub fn are_usable(&self) -> bool {
        self.usable().is_some()
    }

    /// How old the keys at hand are; nothing while there are none.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.held.load().as_ref().map(|held| held.since.elapsed())
    }

    /// The key of this id. An unknown id is asked for, once in each cooldown and by one request for
    /// all: a key that was rotated in a moment ago works at once.
    ///
    /// # Errors
    /// See [`FindKeyError`].
    pub async fn find(self: &Arc<Self>, id: &str) -> Result<DecodingKey, FindKeyError> {
        let arrived = Instant::now();
        let seen = self.usable();
        if let Some(key) = seen.as_ref().and_then(|held| held.keys.find(id)) {
            return Ok(key.clone());
        }
        let has_failed = match self.settled() {
            Some(has_failed) => has_failed,
            None => self.wait_for_fetch(seen.map(|held| held.since)).await?,
        };
        match self.usable() {
            None => Err(FindKeyError::Unavailable),
            Some(held) => match held.keys.find(id) {
                Some(key) => Ok(key.clone()),
                None if has_failed => Err(FindKeyError::Unavailable),
                None if held.asked < arrived => Err(FindKeyError::NotAsked),
                None => Err(FindKeyError::Unknown),
            },
        }
    }

    /// Whether the last fetch failed, when none is under way and none is due for an unknown id.
    fn settled(&self) -> Option<bool> {
        let is_idle = self.flight.available_permits() > 0;
        let fetches = *self.fetches();
        (is_idle && fetches.are_cooling(self.settings.caching)).then_some(fetches.have_failed())
    }

    async fn wait_for_fetch(self: &Arc<Self>, seen: Option<Instant>) -> Result<bool, FindKeyError> {
        let this = Arc::clone(self);
        let fetched = self.api.wait(async move { this.fetch_after(seen).await }).await;
        fetched.ok().and_then(Result::ok).ok_or(FindKeyError::Unavailable)
    }

    /// Fetches for an id that keys of that time lack, unless others did meanwhile or the cooldown
    /// runs. Says whether the last fetch failed. Where another's failed a moment ago this one would
    /// too, and the request would wait twice as long for the same answer.
    async fn fetch_after(&self, seen: Option<Instant>) -> bool {
        let arrived = Instant::now();
        let _flight = self.flight.acquire().await;
        let fetches = *self.fetches();
        let is_seen = self.usable().map(|held| held.since) == seen;
        if is_seen && !fetches.have_failed_since(arrived) && !fetches.are_cooling(self.settings.caching) {
            self.fetches().begin_caused();
            if self.fetch().await.is_err() {
                self.due_sooner.notify_one();
            }
        }
        self.fetches().have_failed()
    }

    /// Fetches now, whatever is at hand.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn refresh(&self) -> Result<(), ApiError> {
        let _flight = self.flight.acquire().await;
        self.fetch().await.map(|_| ())
    }

    /// Fetches the keys, and fetches them again before they are too old, for ever. `now` tells the
    /// time, which the API's clock is held against.
    pub async fn keep(&self, now: fn() -> Timestamp) -> Infallible {
        loop {
            if timeout_at(self.next_fetch(), self.due_sooner.notified()).await.is_ok() {
                continue;
            }
            let _flight = self.flight.acquire().await;
            // Another's fetch may have come before.
            if self.next_fetch() <= Instant::now()
                && let Ok(Some(clock)) = self.fetch().await
            {
                report_skew(clock.behind(now()));
            }
        }
    }

    fn next_fetch(&self) -> Instant {
        let held_since = self.held.load().as_ref().map(|held| held.since);
        self.fetches().next(held_since, self.settings.caching)
    }

    /// Fetches, with the flight in hand.
    async fn fetch(&self) -> Result<Option<Clock>, ApiError> {
        let asked = Instant::now();
        let answer = self.api.keys(&self.settings.project_id).await;
        self.metrics.count_key_fetch(answer.is_ok());
        self.fetches().end(answer.is_ok());
        match answer {
            Ok((keys, clock)) => {
                let (count, ignored) = keys.counts();
                self.held.store(Some(Arc::new(Held { keys, asked, since: Instant::now() })));
                tracing::info!(keys = count, ignored, "login keys fetched");
                Ok(clock)
            }
            Err(error) => {
                let age_s = self.age().map(|age| age.as_secs());
                tracing::warn!(cause = %error, age_s, usable = self.are_usable(), "login keys not fetched");
                Err(error)
            }
        }
    }

    fn fetches(&self) -> MutexGuard<'_, Fetches> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Option<Arc<Held>> {
        self.held.load_full().filter(|held| held.since.elapsed() <= self.settings.caching.max_stale)
    }
}

/// The API's clock counts as right; ours may be the one that lets login tokens end early or live on.
fn report_skew(skew_s: i64) {
    if skew_s.abs() < SKEW_TO_WARN_OF {
        tracing::debug!(skew_s, "this machine's clock agrees with the Login API's");
    } else {
        tracing::warn!(skew_s, "this machine's clock differs from the Login API's; is NTP running?");
    }
}

/// What came of the fetches so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fetches {
    /// When the last one ended.
    last: Option<Instant>,
    /// When an unknown key id last caused one.
    caused: Option<Instant>,
    /// How many have failed since the last that did not.
    failed: u32,
}

impl Fetches {
    /// An unknown key id causes one, now.
    fn begin_caused(&mut self) {
        self.caused = Some(Instant::now());
    }

    /// One ended, now.
    pub fn end(&mut self, is_done: bool) {
        self.last = Some(Instant::now());
        self.failed = if is_done { 0 } else { self.failed.saturating_add(1) };
    }

    /// Whether it is too early for an unknown key id to cause another.
    fn are_cooling(&self, caching: KeyCaching) -> bool {
        self.caused.is_some_and(|caused| caused.elapsed() < caching.cooldown)
    }

    /// Whether the last one failed.
    const fn have_failed(&self) -> bool {
        self.failed > 0
    }

    /// Whether the last one failed, and ended after that time.
    fn have_failed_since(&self, time: Instant) -> bool {
        self.have_failed() && self.last.is_some_and(|last| last >= time)
    }

    /// When the next is due for keys that were fetched then, or never. At once where none has been made
    /// yet: keys that were taken over from other settings are soon fetched as these say.
    #[must_use]
    pub fn next(&self, held_since: Option<Instant>, caching: KeyCaching) -> Instant {
        match (self.last, held_since) {
            (Some(last), _) if self.have_failed() => last + pause(self.failed),
            (Some(_), Some(since)) => since + caching.max_age * REFRESH_PERCENT / 100,
            (None, _) | (_, None) => Instant::now(),
        }
    }
}

/// 1 s, 2 s, 4 s and so on, up to the longest.
fn pause(failed: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(MAX_PAUSE)
}
