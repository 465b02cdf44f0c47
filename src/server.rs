//! Runs the listeners until a signal, then shuts down gracefully.

mod connection;
mod file_changes;
mod protocol;
mod task;
pub mod listener;
pub(crate) mod reload;
pub(crate) mod service;
pub(crate) mod tls;

use std::future::Future;
use std::io;

use rlimit::Resource;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use connection::HttpService;
use listener::{ADMIN_CONNECTIONS, Listener};
use task::Task;

/// Open files apart from public connections and Login API calls: connections of the admin listener, the files that a reload
/// reads, and those of the runtime and the log.
const RESERVED_FILES: usize = ADMIN_CONNECTIONS + 64;

/// Raises the process's limit of open files as far as the system allows, to what `wanted` connections and `calls` of the Login
/// API need. Returns how many connections fit, with descriptors left for the admin listener and for those calls. If files are
/// scarce, calls get a quarter of them, or none if no calls `are_made`.
#[must_use]
pub(crate) fn fit_connections(wanted: usize, calls: usize, are_made: bool) -> usize {
    let needed = u64::try_from(wanted + calls + RESERVED_FILES).unwrap_or(u64::MAX);
    let files = rlimit::increase_nofile_limit(needed).or_else(|_| Resource::NOFILE.get_soft());
    let files = usize::try_from(files.unwrap_or(needed)).unwrap_or(usize::MAX).saturating_sub(RESERVED_FILES);
    let for_calls = if are_made { calls.min(files / 4) } else { 0 };
    wanted.min(files - for_calls).max(1)
}

/// Serves all listeners until `stop` resolves, then calls `stopping` and drains the public listener; the others go on meanwhile.
/// After `stop` it returns within `limits.drain_delay` plus `limits.drain`.
pub async fn run<P: HttpService, O: HttpService>(
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

/// Resolves at the first SIGTERM or SIGINT. Both are caught from this call on, since the kernel ignores signals that PID 1 does
/// not catch.
///
/// # Errors
/// The signals can't be caught.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
