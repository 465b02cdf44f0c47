//! How does the service start, take connections, and stop?

mod connection;
mod file_changes;
mod spare;
mod task;
pub mod tls;
pub mod listener;
pub mod reload;

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::http::admin::Readiness;

use listener::{ADMIN_CONNECTIONS, Listener};
use spare::Spares;
use task::Task;

/// Open files for everything else than public connections and calls of the Login API.
const RESERVED_FILES: usize = ADMIN_CONNECTIONS + 64;

/// Raises this process's limit of open files to what so many connections and calls of the Login API
/// need, as far as the system lets it. Says how many connections it will be: past that limit `accept`
/// fails, and only the spare descriptors are left. Where there are few files, calls get a quarter.
#[must_use]
pub fn fit_connections(wanted: usize, calls: usize) -> usize {
    let needed = u64::try_from(wanted + calls + RESERVED_FILES).unwrap_or(u64::MAX);
    let files = rlimit::increase_nofile_limit(needed).unwrap_or(needed);
    let files = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(RESERVED_FILES);
    wanted.min(files - calls.min(files / 4)).max(1)
}

/// Serves all listeners until `stop` resolves, then drains the public one while the others go on
/// answering. Returns within `limits.drain_delay` and `limits.drain`, whatever clients do.
pub async fn run(public: Listener, others: Vec<Listener>, readiness: Arc<Readiness>, stop: impl Future<Output = ()>) {
    let spares = Spares::default();
    spares.fill();
    let public = public.sharing(&spares);
    // Probes are answered whatever the public does.
    let others = others.into_iter().map(|other| other.sharing(&spares));
    let _others: Vec<Task> = others.map(|other| Task::spawn(async move { other.accept().await })).collect();
    tokio::select! {
        never = public.accept() => match never {},
        () = stop => {}
    }
    tracing::info!("stopping");
    readiness.drain();
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
