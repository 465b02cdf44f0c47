//! When are settings and secrets read again, and what if the new ones are wrong?

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher, recommended_watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use crate::config::Config;
use crate::config::problem::ConfigError;
use crate::config::settings;
use crate::config::watched::WatchedFiles;
use crate::exchange::Exchange;
use crate::http::App;
use crate::http::admin::Readiness;
use crate::http::token::now;
use crate::login::published::PublishedKeys;
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

/// Longest time that reading the settings may take: a file of a network that is gone never ends.
const LOAD_LIMIT: Duration = Duration::from_secs(5);

/// Pause before a reload that failed over the Login API is tried again.
const RETRY: Duration = Duration::from_secs(10);

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

/// Why the old exchange stays.
enum NotReloaded {
    /// The settings are wrong: somebody has to mend them.
    Wrong,
    /// The Login API gave no keys for the new ones: it may, later.
    NoKeys,
}

/// The signal that asks for a reload, caught from this call on.
///
/// # Errors
/// The signal can't be caught.
pub fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

impl Reload {
    /// What `load` gives goes to `app` and `readiness`, on `hangup` and when a file has changed.
    #[must_use]
    pub const fn new(load: Load, hangup: Signal, app: App, readiness: Arc<Readiness>, metrics: Metrics) -> Self {
        Self { load, hangup, app, readiness, metrics }
    }

    /// Keeps the login keys fresh, and swaps in what changed, for ever. What is wrong is logged, and the
    /// old exchange stays.
    pub async fn run(mut self, started: Config, exchange: Arc<Exchange>) -> Infallible {
        let mut keeper = Keeper::of(&exchange);
        let (mut exchange, mut files, mut is_owed) = (exchange, started.files.clone(), false);
        loop {
            let trigger = tokio::select! {
                changed = until_changed(files.clone()) => {
                    files = changed;
                    "file"
                }
                _ = self.hangup.recv() => {
                    files = files.as_they_are();
                    "SIGHUP"
                }
                () = sleep(RETRY), if is_owed => "retry",
            };
            tracing::info!(trigger, "reloading settings");
            let reloaded = self.reload(&started, &exchange).await;
            self.metrics.count_reload(reloaded.is_ok());
            is_owed = matches!(reloaded, Err(NotReloaded::NoKeys));
            if let Ok((config, new)) = reloaded {
                keeper.turn_to(&new);
                (exchange, files) = (new, config.files);
                tracing::info!("settings reloaded");
            }
        }
    }

    /// Loads settings, builds an exchange from them and puts it in the old one's place.
    async fn reload(&self, started: &Config, old: &Arc<Exchange>) -> Result<(Config, Arc<Exchange>), NotReloaded> {
        let config = self.load().await?;
        let exchange = Exchange::new(&config, &self.metrics, Some(old));
        let exchange = Arc::new(exchange.map_err(|error| refuse(&error))?);
        if let Some(keys) = exchange.published_keys().filter(|keys| !keys.are_usable() && old.is_ready()) {
            // Of another login project: they have to be there before anybody asks for them.
            keys.refresh().await.map_err(|error| {
                refuse(&error);
                NotReloaded::NoKeys
            })?;
        }
        report(started, &config);
        self.app.swap(Arc::clone(&exchange), &config);
        self.readiness.swap(Arc::clone(&exchange));
        Ok((config, exchange))
    }

    /// Loads settings off the runtime's threads, since a file system may be slow.
    async fn load(&self) -> Result<Config, NotReloaded> {
        let load = Arc::clone(&self.load);
        match timeout(LOAD_LIMIT, spawn_blocking(move || load())).await {
            Ok(Ok(Ok(config))) => Ok(config),
            Ok(Ok(Err(ConfigError(problems)))) => {
                for problem in &problems {
                    refuse(problem);
                }
                Err(NotReloaded::Wrong)
            }
            Ok(Err(_)) => Err(refuse(&"reading the settings panicked")),
            Err(_) => Err(refuse(&"the settings and their files could not be read within 5 s")),
        }
    }
}

fn refuse(cause: &dyn Display) -> NotReloaded {
    tracing::error!(%cause, "settings not reloaded; the old ones stay");
    NotReloaded::Wrong
}

/// Keeps the published keys of an exchange fresh, in a task of its own: no reload may hold it up.
struct Keeper {
    keys: Option<Arc<PublishedKeys>>,
    task: Option<AbortHandle>,
}

impl Keeper {
    fn of(exchange: &Exchange) -> Self {
        let keys = exchange.published_keys().cloned();
        let task = keys.clone().map(|keys| tokio::spawn(async move { keys.keep(now).await }).abort_handle());
        Self { keys, task }
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

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
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
