//! Runs the service on bound sockets: exchange, router, public and admin listener, reload.

mod file_changes;
#[cfg(any(feature = "demo", feature = "desk"))]
pub(crate) mod loopback;
pub(crate) mod reload;
mod systemd;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::anyhow;
use axum::Router;
#[cfg(unix)]
use rlimit::Resource;
use tokio::net::{TcpListener, TcpSocket};

use crate::config::login::Login;
use crate::config::{Config, Limits};
use crate::exchange::Exchange;
use crate::http::LiveRouter;
use crate::http::admin;
use crate::http::per_client::PerClientLimit;
use crate::http::support_sdk::MAX_READ;
use crate::metrics::Metrics;
#[cfg(unix)]
use crate::server::listener::ADMIN_CONNECTIONS;
use crate::server::listener::{Admit, BACKLOG, Listener, Permit};
use crate::server::signals::Hangup;
use crate::server::tls::Tls;
use crate::server::{self, HttpService};
use crate::telemetry;

use reload::{Load, Reload};

/// Open files for everything but public connections and calls of the Login API: the admin listener, reloads, the runtime, the
/// log.
#[cfg(unix)]
const RESERVED_FILES: usize = ADMIN_CONNECTIONS + 64;

/// Bound sockets.
pub(crate) struct Sockets {
    pub(crate) public: TcpListener,
    /// The address of `public` for clients.
    pub(crate) shown: SocketAddr,
    pub(crate) admin: TcpListener,
    /// Further listeners with their routers.
    pub(crate) more: Vec<(TcpListener, Router)>,
}

/// Serves on bound sockets until `stop`. `reload` loads the settings again on SIGHUP; without it, SIGHUP ends the process.
pub(crate) async fn serve(
    config: Config,
    reload: Option<(Load, Hangup)>,
    stop: impl Future<Output = ()>,
    sockets: Sockets,
) -> anyhow::Result<()> {
    let Sockets { public, shown, admin, more } = sockets;
    let metrics = Metrics::new();
    let exchange = Arc::new(Exchange::new(&config, &metrics, None)?);
    let router = LiveRouter::new(Arc::clone(&exchange), &config, &metrics);
    let tls = config.tls.clone().map(Tls::new);
    let reload = reload.map(|(load, hangup)| Reload::new(load, hangup, router.clone(), metrics.clone(), tls.clone()));
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(
        target: telemetry::ALWAYS,
        listen = %shown,
        admin_listen = %admin.local_addr()?,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    let calls = |login: &Login| login.api.most_waiting;
    let are_made = config.logins.iter().any(Login::asks_api);
    let connections = fit_connections(config.limits.connections, config.logins.iter().map(calls).sum(), are_made);
    if connections < config.limits.connections {
        tracing::warn!(
            connections,
            "fewer connections than limits.connections: raise the limit of open files (ulimit -n)"
        );
    }
    let limits = Limits { connections, ..config.limits };
    let per_client = per_client(limits.connections_per_client, router.clone());
    let public = Listener::new("public", public, HttpService::new(router.clone()), limits, &metrics);
    let public = public.reading_bodies_up_to(MAX_READ).admitting(per_client).with_tls(tls);
    let admin_router = admin::router(router.clone(), metrics.clone());
    let admin = Listener::internal("admin", admin, admin_router, limits, &metrics);
    let _reloading = reload.map(|reload| reload.start(config, exchange));
    let more = more.into_iter().map(|(socket, router)| Listener::internal("shop", socket, router, limits, &metrics));
    let others = std::iter::once(admin).chain(more).collect();
    systemd::ready();
    let stopping = || {
        systemd::stopping();
        router.drain();
    };
    server::run(public, others, stop, stopping).await;
    Ok(())
}

/// Windows has no limit of open sockets.
#[cfg(not(unix))]
const fn fit_connections(wanted: usize, _calls: usize, _are_made: bool) -> usize {
    wanted
}

/// Raises the process's limit of open files to what `wanted` connections and `calls` of the Login API need, or as far as the
/// system allows. Returns how many connections fit. If there are too few files, calls get a quarter of them, or none if no
/// calls `are_made`.
#[cfg(unix)]
fn fit_connections(wanted: usize, calls: usize, are_made: bool) -> usize {
    let needed = u64::try_from(wanted + calls + RESERVED_FILES).unwrap_or(u64::MAX);
    let files = rlimit::increase_nofile_limit(needed).or_else(|_| Resource::NOFILE.get_soft());
    let files = usize::try_from(files.unwrap_or(needed)).unwrap_or(usize::MAX).saturating_sub(RESERVED_FILES);
    let for_calls = if are_made { calls.min(files / 4) } else { 0 };
    wanted.min(files - for_calls).max(1)
}

/// Limits the connections of each client, except for addresses that many clients share.
fn per_client(most: usize, router: LiveRouter) -> Admit {
    let clients = PerClientLimit::default();
    Arc::new(move |peer| {
        if router.is_many_clients(peer) {
            return Some(Box::new(()));
        }
        clients.try_acquire(peer, most).map(|permit| -> Permit { Box::new(permit) })
    })
}

/// Binds an address; `key` names the setting or the argument that it comes from.
pub(crate) fn listen(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    bind(address).map_err(|error| {
        anyhow!("{key}: can't listen on {address} ({error}); stop what uses it, or set a free address of this machine")
    })
}

/// Binds with a backlog of [`BACKLOG`], which `net.core.somaxconn` may reduce; tokio's own `bind` uses 128.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Windows, this option lets another process take over the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
