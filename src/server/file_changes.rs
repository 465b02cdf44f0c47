//! When has a file changed that the settings hang on?

use std::sync::Arc;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher, recommended_watcher};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use crate::config::watched::WatchedFiles;

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

/// Resolves once one of the files is another than it was, to the files as they are then.
pub(super) async fn until_changed(files: WatchedFiles) -> WatchedFiles {
    let event = Arc::new(Notify::new());
    let (watched, told) = (files.clone(), Arc::clone(&event));
    let _watcher = spawn_blocking(move || watch(&watched, told)).await;
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
fn watch(files: &WatchedFiles, told: Arc<Notify>) -> Option<RecommendedWatcher> {
    let folders = files.folders();
    if folders.is_empty() {
        return None;
    }
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
