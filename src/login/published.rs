//! Caches the keys that a login project or a provider publishes, and fetches them again in time.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use thiserror::Error;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::config::login::{Api, KeyCaching, KeyLocation, LoginName};
use crate::http_client::ClientError;
use crate::metrics::Metrics;

use super::Timestamp;
use super::api::{Clock, LoginApi, LoginApiError};
use super::key_set::{KeySet, PublicKey};

/// Clock difference, in seconds, from which a warning is logged: login tokens may then be refused.
const SKEW_WARNING: i64 = 10;

/// Share of `keys_max_age` after which the keys are fetched again. The rest is time for a slow answer or another try.
const REFRESH_PERCENT: u32 = 80;

/// Pause after the first failed fetch; it doubles with each further failure, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The cached keys of one login.
pub struct PublishedKeys {
    api: LoginApi,
    source: KeySource,
    cached: ArcSwapOption<CachedKeys>,
    fetches: Mutex<FetchHistory>,
    /// One permit, so that there is one fetch at a time.
    fetch_permit: Semaphore,
    /// Wakes [`PublishedKeys::keep_fresh`] when the next fetch is due earlier than planned.
    due_sooner: Notify,
    metrics: Metrics,
}

/// Where the keys come from and how they are cached.
#[derive(PartialEq, Eq)]
pub(super) struct KeySource {
    pub(super) api: Api,
    pub(super) keys: KeyLocation,
    pub(super) caching: KeyCaching,
}

/// Why there is no key for an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FindKeyError {
    /// There is no such key; without `kid`, not exactly one.
    #[error("header kid names a key that is not published, or is missing")]
    Unknown,
    /// The key is not cached, and during the cooldown there is no fetch.
    #[error("no cached key is the one that signed the token, and keys_cooldown delays the next fetch")]
    CoolingDown,
    /// The cached keys are too old or do not have this one, and the fetch failed.
    #[error("the login's keys could not be fetched, and no cached key can be used")]
    Unavailable,
}

struct CachedKeys {
    keys: KeySet,
    /// Keys that were published after this may be missing.
    requested_at: Instant,
    received_at: Instant,
}

impl PublishedKeys {
    /// An empty cache, or one of `old`, those before a reload, if its settings are the same. If the settings differ, but not
    /// where the keys are, the new cache takes over the keys.
    pub(super) fn new<'a>(
        source: KeySource,
        metrics: &Metrics,
        old: impl Iterator<Item = &'a Arc<Self>>,
    ) -> Result<Arc<Self>, ClientError> {
        let is_of_login = |old: &KeySource| old.api.login == source.api.login;
        let has_same_keys = |old: &KeySource| {
            let is_trusted = is_of_login(old) || old.api.ca_bundle == source.api.ca_bundle;
            old.api.url == source.api.url && old.keys == source.keys && is_trusted
        };
        // The login may have had another name.
        let old = old.filter(|old| has_same_keys(&old.source)).max_by_key(|old| is_of_login(&old.source));
        if let Some(old) = old.filter(|old| old.source == source) {
            return Ok(Arc::clone(old));
        }
        Ok(Arc::new(Self {
            api: LoginApi::new(&source.api)?,
            cached: ArcSwapOption::new(old.and_then(|old| old.cached.load_full())),
            fetches: Mutex::default(),
            fetch_permit: Semaphore::new(1),
            due_sooner: Notify::new(),
            source,
            metrics: metrics.clone(),
        }))
    }

    /// Whether the Login API publishes the keys for a project, and not a provider.
    pub(super) fn is_of_project(&self) -> bool {
        matches!(self.source.keys, KeyLocation::Project(_))
    }

    /// The login that the keys are for.
    pub(crate) fn login(&self) -> &LoginName {
        &self.source.api.login
    }

    /// Whether there are keys that are not too old.
    pub(crate) fn is_usable(&self) -> bool {
        self.usable().is_some()
    }

    /// The age of the cached keys; `None` while there are none.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.cached.load().as_ref().map(|cached| cached.received_at.elapsed())
    }

    /// The key with this id, or the only key, and when it was received. An unknown id causes a fetch, so that a new key
    /// works at once after a rotation; one fetch in each cooldown, for all requests that wait. Keys that were received at
    /// `rejected` count as unknown.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        rejected: Option<Instant>,
    ) -> Result<(PublicKey, Instant), FindKeyError> {
        let arrived = Instant::now();
        let find = |cached: &Arc<CachedKeys>| {
            let key = cached.keys.find(id).filter(|_| Some(cached.received_at) != rejected)?;
            Some((key.clone(), cached.received_at))
        };
        let seen = self.usable();
        if let Some(found) = seen.as_ref().and_then(find) {
            return Ok(found);
        }
        let has_failed = match self.outcome_while_cooling_down() {
            Some(has_failed) => has_failed,
            None => self.wait_for_fetch(seen.map(|cached| cached.received_at)).await?,
        };
        match self.usable() {
            None => Err(FindKeyError::Unavailable),
            Some(cached) => match find(&cached) {
                Some(found) => Ok(found),
                None if has_failed => Err(FindKeyError::Unavailable),
                None if cached.requested_at < arrived => Err(FindKeyError::CoolingDown),
                None => Err(FindKeyError::Unknown),
            },
        }
    }

    /// Whether the last fetch failed; `None` if there is a fetch to wait for, or one may be started.
    fn outcome_while_cooling_down(&self) -> Option<bool> {
        let is_idle = self.fetch_permit.available_permits() > 0;
        let fetches = *self.fetches();
        (is_idle && fetches.is_cooling_down(self.source.caching)).then_some(fetches.has_failed())
    }

    async fn wait_for_fetch(self: &Arc<Self>, seen: Option<Instant>) -> Result<bool, FindKeyError> {
        let this = Arc::clone(self);
        let fetched = self.api.run(async move { this.fetch_after(seen).await }).await;
        fetched.ok().and_then(Result::ok).ok_or(FindKeyError::Unavailable)
    }

    /// Fetches for an unknown id, unless the keys changed since `seen` or the cooldown runs. Returns whether the last
    /// fetch failed. If another request's fetch failed during the wait, this one does not try again: it would wait twice as
    /// long for the same failure.
    async fn fetch_after(&self, seen: Option<Instant>) -> bool {
        let arrived = Instant::now();
        let _permit = self.fetch_permit.acquire().await;
        let fetches = *self.fetches();
        let is_unchanged = self.usable().map(|cached| cached.received_at) == seen;
        if is_unchanged && !fetches.has_failed_since(arrived) && !fetches.is_cooling_down(self.source.caching) {
            self.fetches().for_unknown_id = Some(Instant::now());
            // Success or failure moves the time of the next fetch.
            let _ = self.fetch().await;
            self.due_sooner.notify_one();
        }
        self.fetches().has_failed()
    }

    /// Fetches the keys, once a running fetch has ended.
    ///
    /// # Errors
    /// The fetch failed; see [`LoginApiError`].
    pub async fn refresh(&self) -> Result<(), LoginApiError> {
        let _permit = self.fetch_permit.acquire().await;
        self.fetch().await.map(|_| ())
    }

    /// Fetches the keys, and again whenever they are due. Never ends. `now` is compared with the API's clock.
    pub async fn keep_fresh(&self, now: fn() -> Timestamp) -> Infallible {
        loop {
            if timeout_at(self.next_fetch(), self.due_sooner.notified()).await.is_ok() {
                continue;
            }
            let _permit = self.fetch_permit.acquire().await;
            // A request may have fetched the keys while this waited.
            if self.next_fetch() <= Instant::now()
                && let Ok(Some(clock)) = self.fetch().await
            {
                report_skew(self.source.api.login.as_str(), clock.skew(now()));
            }
        }
    }

    fn next_fetch(&self) -> Instant {
        let received_at = self.cached.load().as_ref().map(|cached| cached.received_at);
        self.fetches().next(received_at, self.source.caching)
    }

    /// Fetches the keys; the caller holds the permit.
    async fn fetch(&self) -> Result<Option<Clock>, LoginApiError> {
        let requested_at = Instant::now();
        let answer = self.api.keys(&self.source.keys).await;
        self.metrics.count_key_fetch(self.source.api.login.label(), answer.is_ok());
        self.fetches().end(answer.is_ok());
        match answer {
            Ok((keys, clock)) => {
                let (count, ignored) = keys.counts();
                self.cached.store(Some(Arc::new(CachedKeys { keys, requested_at, received_at: Instant::now() })));
                let login = self.source.api.login.as_str();
                tracing::info!(login, keys = count, ignored, "login keys fetched");
                Ok(clock)
            }
            Err(error) => {
                let (login, age_s) = (self.source.api.login.as_str(), self.age().map(|age| age.as_secs()));
                tracing::warn!(login, cause = %error, age_s, usable = self.is_usable(), "login keys could not be fetched");
                Err(error)
            }
        }
    }

    fn fetches(&self) -> MutexGuard<'_, FetchHistory> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Option<Arc<CachedKeys>> {
        self.cached.load_full().filter(|cached| cached.received_at.elapsed() <= self.source.caching.max_stale)
    }
}

/// Logs the difference of the clocks: with a wrong clock here, login tokens expire too early or too late.
fn report_skew(login: &str, skew_s: i64) {
    if skew_s.abs() < SKEW_WARNING {
        tracing::debug!(login, skew_s, "this machine's clock agrees with the login service's");
    } else {
        tracing::warn!(
            login,
            skew_s,
            "this machine's clock differs from the login service's; check that NTP is running"
        );
    }
}

/// When the keys were fetched, and how often that failed.
#[derive(Clone, Copy, Default)]
struct FetchHistory {
    /// When the last fetch ended.
    last: Option<Instant>,
    /// When the last fetch for an unknown key id began.
    for_unknown_id: Option<Instant>,
    /// Failures since the last success.
    failures: u32,
}

impl FetchHistory {
    fn end(&mut self, is_done: bool) {
        self.last = Some(Instant::now());
        self.failures = if is_done { 0 } else { self.failures.saturating_add(1) };
    }

    /// Whether it is too early for another fetch for an unknown key id.
    fn is_cooling_down(&self, caching: KeyCaching) -> bool {
        self.for_unknown_id.is_some_and(|begun| begun.elapsed() < caching.cooldown)
    }

    const fn has_failed(&self) -> bool {
        self.failures > 0
    }

    fn has_failed_since(&self, time: Instant) -> bool {
        self.has_failed() && self.last.is_some_and(|last| last >= time)
    }

    /// When the next fetch is due, for keys that were received at that time. Before the first fetch this is now, even for
    /// keys that were taken over, so that the new settings are used for them.
    fn next(&self, received_at: Option<Instant>, caching: KeyCaching) -> Instant {
        match (self.last, received_at) {
            (Some(last), _) if self.has_failed() => last + pause(self.failures),
            (Some(_), Some(received_at)) => received_at + caching.max_age * REFRESH_PERCENT / 100,
            (None, _) | (_, None) => Instant::now(),
        }
    }
}

fn pause(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_after_failed_fetches_double_up_to_30_seconds() {
        let minute = Duration::from_mins(1);
        let caching = KeyCaching { max_age: minute * 10, max_stale: minute * 60, cooldown: minute / 2 };
        let mut fetches = FetchHistory::default();
        let pause = |fetches: &FetchHistory| {
            fetches.next(Some(Instant::now()), caching).duration_since(Instant::now()).as_millis().div_ceil(1000)
        };
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            fetches.end(false);
            assert_eq!(pause(&fetches), seconds);
        }
        (0..100).for_each(|_| fetches.end(false));
        assert_eq!(pause(&fetches), 30);
        fetches.end(true);
        assert_eq!(pause(&fetches), 480, "80 percent of 10 minutes");
    }
}
