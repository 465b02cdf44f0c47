//! Runs the listeners until a signal stops them, and drains them then.

mod connection;
mod file_changes;
mod protocol;
mod task;
pub mod tls;
pub mod listener;
pub mod reload;
pub(crate) mod service;

use std::future::Future;
use std::io;

use rlimit::Resource;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use connection::Answers;
use listener::{ADMIN_CONNECTIONS, Listener};
use task::Task;

/// Open files for everything else than public connections and calls of the Login API: connections of the admin listener,
/// the settings and secrets that a reload reads, and what the runtime and the log hold.
const RESERVED_FILES: usize = ADMIN_CONNECTIONS + 64;

/// Raises this process's limit of open files to what so many connections and calls of the Login API
/// need, as far as the system lets it. Returns how many connections it will be, so that the admin listener and
/// those calls always find a descriptor. Where there are few files, calls get a quarter, or nothing while none `are_made`.
#[must_use]
pub fn fit_connections(wanted: usize, calls: usize, are_made: bool) -> usize {
    let needed = u64::try_from(wanted + calls + RESERVED_FILES).unwrap_or(u64::MAX);
    let files = rlimit::increase_nofile_limit(needed).or_else(|_| Resource::NOFILE.get_soft());
    let files = usize::try_from(files.unwrap_or(needed)).unwrap_or(usize::MAX).saturating_sub(RESERVED_FILES);
    let for_calls = if are_made { calls.min(files / 4) } else { 0 };
    wanted.min(files - for_calls).max(1)
}

/// Serves all listeners until `stop` resolves. Then calls `stopping`, and drains the public listener while the others
/// go on answering. Returns within `limits.drain_delay` and `limits.drain`, whatever clients do.
pub async fn run<P: Answers, O: Answers>(
    mut public: Listener<P>,
    others: Vec<Listener<O>>,
    stop: impl Future<Output = ()>,
    stopping: impl FnOnce(),
) {
    let others = others.into_iter().map(|mut other| Task::spawn(async move { other.accept().await }));
    let _others: Vec<Task> = others.collect();
    tokio::select! {
        never = public.accept() => match never {},
        () = stop => {}
    }
    tracing::info!("stopping");
    stopping();
    let _ = timeout(public.drain_delay(), public.accept()).await;
    let cut_off = public.drain().await;
    tracing::info!(cut_off, "stopped");
}

/// Resolves at the first SIGTERM or SIGINT. Both are caught from this call on, which a process that
/// is PID 1 needs: the kernel ignores what such a process does not catch.
///
/// # Errors
/// The signals can't be caught.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
