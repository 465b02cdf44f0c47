//! When may the keys be fetched, and when must they?

use std::time::Duration;

use tokio::time::Instant;

use crate::config::login::KeyCaching;

/// Share of `login.keys_max_age` after which the keys are fetched anew, so that a slow answer or a
/// failed try still leaves time.
const REFRESH_PERCENT: u32 = 80;

/// First pause after a fetch that failed; each further one doubles it, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

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
    pub fn begin_caused(&mut self) {
        self.caused = Some(Instant::now());
    }

    /// One ended, now.
    pub fn end(&mut self, is_done: bool) {
        self.last = Some(Instant::now());
        self.failed = if is_done { 0 } else { self.failed.saturating_add(1) };
    }

    /// Whether it is too early for an unknown key id to cause another.
    #[must_use]
    pub fn are_cooling(&self, caching: KeyCaching) -> bool {
        self.caused.is_some_and(|caused| caused.elapsed() < caching.cooldown)
    }

    /// Whether the last one failed.
    #[must_use]
    pub const fn have_failed(&self) -> bool {
        self.failed > 0
    }

    /// Whether the last one failed, and ended after that time.
    #[must_use]
    pub fn have_failed_since(&self, time: Instant) -> bool {
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
