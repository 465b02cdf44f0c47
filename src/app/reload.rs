//! Reloads the settings on SIGHUP or a file change; keeps the old ones if the new ones are wrong.

use std::convert::Infallible;
use std::fmt::Display;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{interval, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::config::files::WatchedFiles;
use crate::config::settings;
use crate::config::{Config, ConfigError, Effective};
use crate::exchange::Exchange;
use crate::http::LiveRouter;
use crate::login::now;
use crate::login::published::PublishedKeys;
use crate::metrics::Metrics;
use crate::server::signals::Hangup;
use crate::server::tls::Tls;

use super::file_changes::until_changed;
use super::systemd;

/// Longest time for reading the settings: a file on an unreachable network file system blocks forever.
const LOAD_LIMIT: Duration = Duration::from_secs(5);

/// How often the expiry of the certificate is reported.
const DAY: Duration = Duration::from_hours(24);

/// Pause before another try of a reload that may succeed later.
const RETRY: Duration = Duration::from_secs(10);

pub(crate) type Load = Arc<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

pub(crate) struct Reload {
    load: Load,
    hangup: Hangup,
    router: LiveRouter,
    metrics: Metrics,
    tls: Option<Tls>,
    /// A load that is still running after its time limit. Another one would block as well.
    stuck: Option<JoinHandle<Result<Config, ConfigError>>>,
    /// The files that the last load read.
    seen: WatchedFiles,
}

/// Why the old settings stay in use.
enum NotReloaded {
    /// The settings are wrong and have to be fixed.
    Wrong,
    /// The settings or the login keys can't be read now; another try may succeed.
    Later,
}

impl Reload {
    pub(crate) fn new(load: Load, hangup: Hangup, router: LiveRouter, metrics: Metrics, tls: Option<Tls>) -> Self {
        Self { load, hangup, router, metrics, tls, stuck: None, seen: WatchedFiles::default() }
    }

    /// Starts reloading, in its own task: a slow file system must not block connections or the shutdown.
    pub(crate) fn start(self, config: Config, exchange: Arc<Exchange>) -> AbortOnDropHandle<Infallible> {
        let Config { files, effective, .. } = config;
        AbortOnDropHandle::new(tokio::spawn(self.run(files, effective, exchange)))
    }

    /// `watched` are the files that the settings name, and `started` the settings at the start, as [`Effective`] shows them:
    /// their secrets must not stay in memory after a rotation.
    async fn run(
        mut self,
        mut watched: WatchedFiles,
        started: Vec<Effective>,
        mut exchange: Arc<Exchange>,
    ) -> Infallible {
        let mut refresher = KeyRefresher::default();
        refresher.switch_to(&exchange);
        let mut has_to_retry = false;
        let mut daily = interval(DAY);
        // Keeps one watcher until it reports a change: each watcher blocks a thread while a file system hangs.
        let mut changed = Box::pin(until_changed(watched.clone()));
        loop {
            let trigger = tokio::select! {
                files = &mut changed => {
                    watched = files;
                    changed = Box::pin(until_changed(watched.clone()));
                    "file"
                }
                () = self.hangup.recv() => "SIGHUP",
                _ = daily.tick() => {
                    self.report_tls();
                    continue;
                }
                () = sleep(RETRY), if has_to_retry => "retry",
            };
            tracing::info!(trigger, "reloading settings");
            systemd::reloading();
            let reloaded = self.reload(&started, &exchange).await;
            systemd::ready();
            self.metrics.count_reload(reloaded.is_ok());
            has_to_retry = matches!(reloaded, Err(NotReloaded::Later));
            // After a failure, also watch the files that only the new settings name: the fix may be in them.
            let files = if reloaded.is_ok() { self.seen.clone() } else { watched.clone().and(self.seen.clone()) };
            if files != watched {
                watched = files;
                changed = Box::pin(until_changed(watched.clone()));
            }
            if let Ok(new) = reloaded {
                refresher.switch_to(&new);
                exchange = new;
                tracing::info!("settings reloaded");
            }
        }
    }

    /// Loads the settings and replaces the old exchange.
    async fn reload(&mut self, started: &[Effective], old: &Arc<Exchange>) -> Result<Arc<Exchange>, NotReloaded> {
        let config = self.load().await?;
        let exchange = Exchange::new(&config, &self.metrics, Some(old));
        let exchange = Arc::new(exchange.map_err(|error| not_reloaded(&error))?);
        let lost = |keys: &&Arc<PublishedKeys>| !keys.is_usable() && old.has_usable_keys(keys.login());
        for keys in exchange.published_keys().filter(lost) {
            // A login that could verify must not stop: fetches the keys of its new project or provider first.
            keys.refresh().await.map_err(|error| {
                not_reloaded(&format!("login {}: {error}", keys.login().as_str()));
                NotReloaded::Later
            })?;
        }
        self.log_warnings(started, &config);
        if let (Some(tls), Some(certified)) = (&self.tls, &config.tls) {
            tls.swap(certified.clone());
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

    /// Logs the warnings of new settings, and the changes that need a restart.
    fn log_warnings(&self, started: &[Effective], config: &Config) {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        if self.tls.is_some() != config.tls.is_some() {
            tracing::warn!(setting = "tls.certificate", "turning TLS on or off takes effect after a restart");
        }
        for (old, new) in started.iter().zip(&config.effective) {
            if old.value != new.value && settings::find(&new.key).is_some_and(|setting| setting.needs_restart) {
                tracing::warn!(setting = new.key, "the setting has changed; it takes effect after a restart");
            }
        }
    }

    /// Loads the settings on a blocking thread, since a file system may be slow.
    async fn load(&mut self) -> Result<Config, NotReloaded> {
        self.seen = WatchedFiles::default();
        if let Some(mut stuck) = self.stuck.take()
            && timeout(LOAD_LIMIT, &mut stuck).await.is_err()
        {
            return Err(self.postpone(stuck));
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
                    not_reloaded(problem);
                }
                Err(NotReloaded::Wrong)
            }
            Ok(Err(_)) => Err(not_reloaded(&"reading the settings panicked")),
            Err(_) => Err(self.postpone(loading)),
        }
    }

    fn postpone(&mut self, loading: JoinHandle<Result<Config, ConfigError>>) -> NotReloaded {
        self.stuck = Some(loading);
        not_reloaded(&"the settings and their files could not be read within 5 s");
        NotReloaded::Later
    }
}

fn not_reloaded(cause: &dyn Display) -> NotReloaded {
    tracing::error!(%cause, "settings not reloaded; the old ones stay");
    NotReloaded::Wrong
}

/// Refreshes the key sets of an exchange, each in its own task so that a reload does not delay it.
#[derive(Default)]
struct KeyRefresher(Vec<(Arc<PublishedKeys>, AbortOnDropHandle<Infallible>)>);

impl KeyRefresher {
    /// Switches to the key sets of an exchange; the tasks of those that it shares with the last one go on.
    fn switch_to(&mut self, exchange: &Exchange) {
        let mut old = mem::take(&mut self.0);
        let task = |keys: &Arc<PublishedKeys>| {
            let index = old.iter().position(|(own, _)| Arc::ptr_eq(own, keys));
            index.map_or_else(|| refreshed(keys), |index| old.swap_remove(index))
        };
        self.0 = exchange.published_keys().map(task).collect();
    }
}

fn refreshed(keys: &Arc<PublishedKeys>) -> (Arc<PublishedKeys>, AbortOnDropHandle<Infallible>) {
    let own = Arc::clone(keys);
    (Arc::clone(keys), AbortOnDropHandle::new(tokio::spawn(async move { own.keep_fresh(now).await })))
}
