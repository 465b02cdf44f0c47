//! How does the service run?

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;

use crate::config::{Config, Limits, environment};
use crate::exchange::Exchange;
use crate::http::App;
use crate::http::admin::Readiness;
use crate::logging;
use crate::server::{self, Listener};

/// Connections that the kernel holds until they are accepted: a whole shop's widgets reconnecting at
/// once. The kernel takes less where `net.core.somaxconn` says so.
const BACKLOG: u32 = 1024;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Wrong settings, or an address that can't be listened on.
pub fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let config = Config::load(file, environment())?;
    let _log = logging::start(config.log.format, config.log.level);
    Runtime::new()?.block_on(async {
        let public = listen(config.listen, "listen")?;
        let admin = listen(config.admin_listen, "admin.listen")?;
        serve(&config, public, admin).await
    })
}

/// Serves on sockets that are bound already.
///
/// # Errors
/// The exchange can't be built or the signals can't be caught.
pub async fn serve(config: &Config, public: TcpListener, admin: TcpListener) -> anyhow::Result<()> {
    let exchange = Exchange::new(config)?;
    let readiness = Arc::new(Readiness::default());
    let stop = server::stop_signal()?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(
        target: logging::ALWAYS,
        listen = %public.local_addr()?,
        admin_listen = %admin.local_addr()?,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    let connections = server::fit_connections(config.limits.connections);
    if connections < config.limits.connections {
        tracing::warn!(connections, "fewer than limits.connections: raise the limit of open files (ulimit -n)");
    }
    let limits = Limits { connections, ..config.limits };
    let public = Listener::public(public, App::public(exchange, config), limits);
    let admin = Listener::admin(admin, App::admin(Arc::clone(&readiness)), config.limits);
    server::run(public, admin, readiness, stop).await;
    Ok(())
}

/// Binds an address; `key` is the setting that named it.
///
/// # Errors
/// The address is taken or not this machine's.
pub fn listen(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    bind(address).map_err(|error| anyhow!("{key}: can't listen on {address} ({error}); set an address that is free"))
}

/// Binds with a backlog of our own; tokio's is 128.
///
/// # Errors
/// As the operating system says.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
