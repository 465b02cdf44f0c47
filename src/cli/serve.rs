//! How does the service run?

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::config::{Config, environment};
use crate::exchange::Exchange;
use crate::http::App;
use crate::http::admin::Readiness;
use crate::logging;
use crate::server::{self, Listener};

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Wrong settings, or an address that can't be listened on.
pub fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let config = Config::load(file, environment())?;
    logging::start(config.log.format, config.log.level);
    Runtime::new()?.block_on(async {
        let public = listen(config.listen, "listen").await?;
        let admin = listen(config.admin_listen, "admin.listen").await?;
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
        listen = %public.local_addr()?,
        admin_listen = %admin.local_addr()?,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    let public = Listener::public(public, App::public(exchange, config), config.limits);
    let admin = Listener::admin(admin, App::admin(Arc::clone(&readiness)), config.limits);
    server::run(public, admin, readiness, stop).await;
    Ok(())
}

/// Binds an address; `key` is the setting that named it.
///
/// # Errors
/// The address is taken or not this machine's.
pub async fn listen(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    let mend = "is another process on it? set another address";
    TcpListener::bind(address).await.with_context(|| format!("{key}: can't listen on {address}; {mend}"))
}
