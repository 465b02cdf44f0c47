//! When are settings and secrets read again, and what if the new ones are wrong?

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher, recommended_watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use crate::config::Config;
use crate::config::problem::ConfigError;
use crate::config::settings;
use crate::config::watched::WatchedFiles;
use crate::exchange::Exchange;
use crate::http::App;
use crate::http::admin::Readiness;
use crate::http::token::now;
use crate::metrics::Metrics;

/// How long no file must have changed before they are read: whoever writes two of them, or one in two
/// steps, should be done.
const QUIET: Duration = Duration::from_millis(250);

/// Longest wait for that.
const QUIET_LIMIT: Duration = Duration::from_secs(2);

/// How often the files are looked at without word of a change: some file systems send none, and a
/// link further up a path changes unseen.
const LOOK: Duration = Duration::from_secs(15);

/// Least time between two looks, however busy a folder is.
const PACE: Duration = Duration::from_millis(50);

/// Loads the settings anew.
pub type Load = Arc<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// What is reloaded, and from where.
pub struct Reload {
    load: Load,
    hangup: Signal,
    app: App,
    readiness: Arc<Readiness>,
    metrics: Metrics,
}

impl Reload {
    /// Catches SIGHUP from this call on.
    ///
    /// # Errors
    /// The signal can't be caught.
    pub fn new(load: Load, app: App, readiness: Arc<Readiness>, metrics: Metrics) -> io::Result<Self> {
        Ok(Self { load, hangup: signal(SignalKind::hangup())?, app, readiness, metrics })
    }

    /// Keeps the login keys fresh, and swaps in what changed on SIGHUP and when a watched file has
    /// changed, for ever. What is wrong is logged, and the old exchange stays.
    pub async fn run(mut self, started: Config, exchange: Arc<Exchange>) -> Infallible {
        let (mut exchange, mut files) = (exchange, started.files.clone());
        loop {
            tokio::select! {
                never = exchange.keep(now) => match never {},
                changed = until_changed(files.clone()) => files = changed,
                _ = self.hangup.recv() => files = files.as_they_are(),
            }
            let reloaded = self.reload(&started, &exchange).await;
            self.metrics.count_reload(reloaded.is_some());
            if let Some((config, new)) = reloaded {
                (exchange, files) = (new, config.files);
                tracing::info!("settings reloaded");
            }
        }
    }

    /// Loads settings, builds an exchange from them and puts it in the old one's place.
    async fn reload(&self, started: &Config, old: &Arc<Exchange>) -> Option<(Config, Arc<Exchange>)> {
        let load = Arc::clone(&self.load);
        let config = match spawn_blocking(move || load()).await.ok()? {
            Ok(config) => config,
            Err(ConfigError(problems)) => {
                for problem in &problems {
                    report_failure(problem);
                }
                return None;
            }
        };
        let exchange = match Exchange::new(&config, &self.metrics, Some(old)) {
            Ok(exchange) => Arc::new(exchange),
            Err(error) => {
                report_failure(&error);
                return None;
            }
        };
        if !exchange.is_ready() && old.is_ready() {
            // Keys of another login project: they have to be there before anybody asks for them.
            if let Err(error) = exchange.fetch_keys().await {
                report_failure(&error);
                return None;
            }
        }
        report(started, &config);
        self.app.swap(Arc::clone(&exchange), &config);
        self.readiness.swap(Arc::clone(&exchange));
        Some((config, exchange))
    }
}

fn report_failure(cause: &dyn std::fmt::Display) {
    tracing::error!(%cause, "settings not reloaded; the old ones stay");
}

/// Says what to look at twice, and what is not as the settings say until the next start.
fn report(started: &Config, config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for (old, new) in started.effective.iter().zip(&config.effective) {
        if old.value != new.value && settings::needs_restart(new.key) {
            tracing::warn!(setting = new.key, "has changed, which takes a restart; until then it stays as it was");
        }
    }
}

/// Resolves once one of the files is another than it was, to the files as they are then.
async fn until_changed(files: WatchedFiles) -> WatchedFiles {
    let event = Arc::new(Notify::new());
    let _watcher = watch(&files, &event);
    // A look first: a change before the watch was set sends no word.
    while look(&files).await == files {
        let _ = timeout(LOOK, event.notified()).await;
        sleep(PACE).await;
    }
    let start = Instant::now();
    while start.elapsed() < QUIET_LIMIT && timeout(QUIET, event.notified()).await.is_ok() {}
    look(&files).await
}

/// The files as they are now; off the runtime's threads, since a file system may be slow.
async fn look(files: &WatchedFiles) -> WatchedFiles {
    let files = files.clone();
    let before = files.clone();
    spawn_blocking(move || files.as_they_are()).await.unwrap_or(before)
}

/// Watches the folders of the files; nothing where that can't be, for the files are looked at anyway.
fn watch(files: &WatchedFiles, event: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let folders = files.folders();
    if folders.is_empty() {
        return None;
    }
    let told = Arc::clone(event);
    let watcher = recommended_watcher(move |event: notify::Result<Event>| {
        // Reading a file is no change of it.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            told.notify_one();
        }
    });
    let watching = watcher.and_then(|mut watcher| {
        folders.iter().try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive))?;
        Ok(watcher)
    });
    watching
        .inspect_err(
            |error| tracing::warn!(cause = %error, "secret files can't be watched; they are looked at every 15 s"),
        )
        .ok()
}
