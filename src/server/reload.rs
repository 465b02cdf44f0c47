//! When are settings and secrets read again, and what if the new ones are wrong?

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{interval, sleep, timeout};

use crate::config::Config;
use crate::config::problem::ConfigError;
use crate::config::settings;
use crate::config::watched::WatchedFiles;
use crate::exchange::Exchange;
use crate::http::LiveRouter;
use crate::http::token::now;
use crate::login::published::PublishedKeys;
use crate::metrics::Metrics;

use super::file_changes::until_changed;
use super::task::Task;
use super::tls::{CertifiedKey, Tls};

/// Longest time that reading the settings may take: a file of a network that is gone never ends.
const LOAD_LIMIT: Duration = Duration::from_secs(5);

/// How often somebody is told that the certificate ends soon.
const DAY: Duration = Duration::from_hours(24);

/// Pause before a reload that could not be done then is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Loads the settings anew.
pub type Load = Arc<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// What is reloaded, and from where.
pub struct Reload {
    load: Load,
    hangup: Signal,
    router: LiveRouter,
    metrics: Metrics,
    tls: Option<Tls>,
    /// A load that took too long and is still under way. Another beside it would be stuck as well.
    stuck: Option<JoinHandle<Result<Config, ConfigError>>>,
    /// The files that the last load read.
    seen: WatchedFiles,
}

/// Why the old exchange stays.
enum NotReloaded {
    /// The settings are wrong: somebody has to mend them.
    Wrong,
    /// They can't be read now, or the Login API gives no keys for them: later, perhaps.
    Later,
}

/// The signal that asks for a reload, caught from this call on.
///
/// # Errors
/// The signal can't be caught.
pub fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

impl Reload {
    /// What `load` gives goes to `router`, on `hangup` and when a file has changed.
    #[must_use]
    pub fn new(load: Load, hangup: Signal, router: LiveRouter, metrics: Metrics, tls: Option<Tls>) -> Self {
        Self { load, hangup, router, metrics, tls, stuck: None, seen: WatchedFiles::default() }
    }

    /// Keeps the login keys fresh, and swaps in what changed. What is wrong is logged, and the old
    /// exchange stays. In a task of its own: nothing that a file system does may keep the service from
    /// taking connections or from stopping.
    #[must_use]
    pub fn start(self, started: Config, exchange: Arc<Exchange>) -> Task {
        Task::spawn(self.run(started, exchange))
    }

    async fn run(mut self, started: Config, mut exchange: Arc<Exchange>) -> Infallible {
        let mut keeper = Keeper::of(&exchange);
        let mut is_owed = false;
        let mut daily = interval(DAY);
        // One watch until it has something to tell: each holds a thread while a file system hangs.
        let mut watched = started.files.clone();
        let mut changed = Box::pin(until_changed(watched.clone()));
        loop {
            let trigger = tokio::select! {
                files = &mut changed => {
                    watched = files;
                    changed = Box::pin(until_changed(watched.clone()));
                    "file"
                }
                _ = self.hangup.recv() => "SIGHUP",
                _ = daily.tick() => {
                    self.report_tls();
                    continue;
                }
                () = sleep(RETRY), if is_owed => "retry",
            };
            tracing::info!(trigger, "reloading settings");
            let reloaded = self.reload(&started, &exchange).await;
            self.metrics.count_reload(reloaded.is_ok());
            is_owed = matches!(reloaded, Err(NotReloaded::Later));
            // Where it failed, the files that only the new settings name may be what has to be mended.
            let files = if reloaded.is_ok() { self.seen.clone() } else { watched.clone().and(self.seen.clone()) };
            if files != watched {
                watched = files;
                changed = Box::pin(until_changed(watched.clone()));
            }
            if let Ok(new) = reloaded {
                keeper.turn_to(&new);
                exchange = new;
                tracing::info!("settings reloaded");
            }
        }
    }

    /// Loads settings, builds an exchange from them and puts it in the old one's place.
    async fn reload(&mut self, started: &Config, old: &Arc<Exchange>) -> Result<Arc<Exchange>, NotReloaded> {
        let config = self.load().await?;
        let certified = config.tls.as_ref().filter(|_| self.tls.is_some()).map(CertifiedKey::new);
        let certified = certified.transpose().map_err(|error| refuse(&error))?;
        let exchange = Exchange::new(&config, &self.metrics, Some(old));
        let exchange = Arc::new(exchange.map_err(|error| refuse(&error))?);
        if let Some(keys) = exchange.published_keys().filter(|keys| !keys.is_usable() && old.has_usable_keys()) {
            // Of another login project: they have to be there before anybody asks for them.
            keys.refresh().await.map_err(|error| {
                refuse(&error);
                NotReloaded::Later
            })?;
        }
        report(started, &config);
        if let (Some(tls), Some(certified)) = (&self.tls, certified) {
            tls.swap(certified);
            self.report_tls();
        }
        self.router.reload(Arc::clone(&exchange), &config);
        Ok(exchange)
    }

    fn report_tls(&self) {
        if let Some(tls) = &self.tls {
            tls.report(&self.metrics, now());
        }
    }

    /// Loads settings off the runtime's threads, since a file system may be slow.
    async fn load(&mut self) -> Result<Config, NotReloaded> {
        self.seen = WatchedFiles::default();
        if let Some(mut stuck) = self.stuck.take()
            && timeout(LOAD_LIMIT, &mut stuck).await.is_err()
        {
            return Err(self.put_off(stuck));
        }
        let load = Arc::clone(&self.load);
        let mut loading = spawn_blocking(move || load());
        match timeout(LOAD_LIMIT, &mut loading).await {
            Ok(Ok(Ok(config))) => {
                self.seen = config.files.clone();
                Ok(config)
            }
            Ok(Ok(Err(ConfigError { problems, files }))) => {
                self.seen = files;
                for problem in &problems {
                    refuse(problem);
                }
                Err(NotReloaded::Wrong)
            }
            Ok(Err(_)) => Err(refuse(&"reading the settings panicked")),
            Err(_) => Err(self.put_off(loading)),
        }
    }

    fn put_off(&mut self, loading: JoinHandle<Result<Config, ConfigError>>) -> NotReloaded {
        self.stuck = Some(loading);
        refuse(&"the settings and their files could not be read within 5 s");
        NotReloaded::Later
    }
}

fn refuse(cause: &dyn Display) -> NotReloaded {
    tracing::error!(%cause, "settings not reloaded; the old ones stay");
    NotReloaded::Wrong
}

/// Keeps the published keys of an exchange fresh, in a task of its own: no reload may hold it up.
struct Keeper {
    keys: Option<Arc<PublishedKeys>>,
    _task: Option<Task>,
}

impl Keeper {
    fn of(exchange: &Exchange) -> Self {
        let keys = exchange.published_keys().cloned();
        let task = keys.clone().map(|keys| Task::spawn(async move { keys.keep_fresh(now).await }));
        Self { keys, _task: task }
    }

    /// Goes on with the keys of another exchange, which may well be the same.
    fn turn_to(&mut self, exchange: &Exchange) {
        let is_same = match (&self.keys, exchange.published_keys()) {
            (Some(own), Some(new)) => Arc::ptr_eq(own, new),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            *self = Self::of(exchange);
        }
    }
}

/// Says what to look at twice, and what is not as the settings say until the next start.
fn report(started: &Config, config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if started.tls.is_some() != config.tls.is_some() {
        tracing::warn!(
            setting = "tls.certificate",
            "TLS is switched on and off by a restart; until then it stays as it was"
        );
    }
    for (old, new) in started.effective.iter().zip(&config.effective) {
        if old.value != new.value && settings::needs_restart(new.key) {
            tracing::warn!(setting = new.key, "has changed, which takes a restart; until then it stays as it was");
        }
    }
}
