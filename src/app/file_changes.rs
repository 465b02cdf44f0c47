//! Detects changes of the files that the settings were read from.

use std::sync::Arc;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher, recommended_watcher};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use crate::config::files::WatchedFiles;

/// The files are read after this time without a change, so that a writer of two files, or of one in two steps, has finished.
const DEBOUNCE: Duration = Duration::from_millis(250);

/// Longest wait for [`DEBOUNCE`].
const DEBOUNCE_LIMIT: Duration = Duration::from_secs(2);

/// How often the files are checked without an event: some file systems send none, and a change of a symlink higher up in a path
/// sends none.
const POLL_INTERVAL: Duration = Duration::from_secs(15);

/// Shortest time between two checks, for folders with many events.
const MIN_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until one of the files has changed; returns their new state.
pub(super) async fn until_changed(files: WatchedFiles) -> WatchedFiles {
    let event = Arc::new(Notify::new());
    let (watched, notify) = (files.clone(), Arc::clone(&event));
    let _watcher = spawn_blocking(move || watch(&watched, notify)).await;
    // Checks first, since a change before the watcher started sends no event.
    while current(&files).await == files {
        let _ = timeout(POLL_INTERVAL, event.notified()).await;
        sleep(MIN_INTERVAL).await;
    }
    let start = Instant::now();
    while start.elapsed() < DEBOUNCE_LIMIT && timeout(DEBOUNCE, event.notified()).await.is_ok() {}
    current(&files).await
}

/// The current state of the files, read on a blocking thread, since a file system may be slow.
async fn current(files: &WatchedFiles) -> WatchedFiles {
    let files = files.clone();
    let before = files.clone();
    spawn_blocking(move || files.checked_again()).await.unwrap_or(before)
}

/// Watches the folders of the files. Without a watcher the files are polled.
fn watch(files: &WatchedFiles, notify: Arc<Notify>) -> Option<RecommendedWatcher> {
    let folders = files.folders();
    if folders.is_empty() {
        return None;
    }
    let watcher = recommended_watcher(move |event: notify::Result<Event>| {
        // Our own reads cause access events.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            notify.notify_one();
        }
    });
    let watching = watcher.and_then(|mut watcher| {
        folders.iter().try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive))?;
        Ok(watcher)
    });
    let warn = |error: &notify::Error| {
        tracing::warn!(cause = %error, "can't watch the files of the settings; checking them every 15 s");
    };
    watching.inspect_err(warn).ok()
}
