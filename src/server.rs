//! Runs the listeners until a signal, then shuts down gracefully.

mod connection;
pub mod listener;
mod protocol;
pub(crate) mod signals;
pub(crate) mod tls;

use std::future::Future;

use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

pub use connection::HttpService;
use listener::Listener;

/// Serves all listeners until `stop` resolves, then calls `stopping` and drains the public listener; the others are served until
/// that is done. After `stop` it returns within `limits.drain_delay` plus `limits.drain`.
pub async fn run(mut public: Listener, others: Vec<Listener>, stop: impl Future<Output = ()>, stopping: impl FnOnce()) {
    let others =
        others.into_iter().map(|mut other| AbortOnDropHandle::new(tokio::spawn(async move { other.accept().await })));
    let _others: Vec<_> = others.collect();
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
