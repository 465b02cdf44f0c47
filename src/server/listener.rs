//! How does a listener take connections, and let go of them?

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::config::Limits;
use crate::http::App;
use crate::http::shares::{Share, Shares};
use crate::metrics::Metrics;

use super::connection;
use super::spare::Spares;
use super::tls::{Tls, handshake};

/// Connections of the admin listener: a few probes, so a flood of them is a mistake.
pub(super) const ADMIN_CONNECTIONS: usize = 64;

/// Pause after `accept` failed for want of file descriptors, so that the loop does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the kernel holds until they are accepted: a whole shop's widgets reconnecting at once.
pub const BACKLOG: u32 = 1024;

/// How long no connection must have come for the kernel's queue to count as empty.
const BACKLOG_LULL: Duration = Duration::from_millis(20);

/// Longest wait for that; clients that never stop coming must not keep the service from stopping.
const BACKLOG_LIMIT: Duration = Duration::from_secs(1);

/// One listener, its app, and the connections it may have.
pub struct Listener {
    name: &'static str,
    socket: TcpListener,
    app: App,
    limits: Arc<Limits>,
    free: Arc<Semaphore>,
    shares: Option<Shares>,
    has_told_of_share: AtomicBool,
    draining: watch::Sender<bool>,
    metrics: Metrics,
    tls: Option<Tls>,
    spares: Spares,
    /// Whether connections are served in a spare descriptor's place; else they are closed.
    serves_in_spare: bool,
}

impl Listener {
    /// The public listener, with as many connections as the settings allow.
    #[must_use]
    pub fn public(socket: TcpListener, app: App, limits: Limits, metrics: &Metrics, tls: Option<Tls>) -> Self {
        Self { tls, ..Self::new("public", socket, app, limits, metrics) }
    }

    /// A listener beside it, the admin's, with a fixed number of connections.
    #[must_use]
    pub fn beside(name: &'static str, socket: TcpListener, app: App, limits: Limits, metrics: &Metrics) -> Self {
        let limits = Limits { connections: ADMIN_CONNECTIONS, connections_per_client: None, ..limits };
        Self { serves_in_spare: true, ..Self::new(name, socket, app, limits, metrics) }
    }

    fn new(name: &'static str, socket: TcpListener, app: App, limits: Limits, metrics: &Metrics) -> Self {
        metrics.expect_connections(name);
        let free = Arc::new(Semaphore::new(limits.connections));
        Self {
            name,
            socket,
            app,
            limits: Arc::new(limits),
            free,
            shares: limits.connections_per_client.map(|_| Shares::default()),
            has_told_of_share: AtomicBool::new(false),
            draining: watch::Sender::new(false),
            metrics: metrics.clone(),
            tls: None,
            spares: Spares::default(),
            serves_in_spare: false,
        }
    }

    /// Gives up these descriptors where it needs one.
    pub(super) fn sharing(self, spares: &Spares) -> Self {
        Self { spares: spares.clone(), ..self }
    }

    /// How long it goes on as before once it has to stop.
    pub(super) fn drain_delay(&self) -> Duration {
        self.limits.drain_delay
    }

    /// Takes connections for ever.
    pub(super) async fn accept(&self) -> Infallible {
        let mut was_full = false;
        loop {
            was_full = self.accept_one(was_full).await;
        }
    }

    /// Takes connections until none has come for a moment: those that the kernel has completed would
    /// be reset when their listener closes.
    async fn accept_backlog(&self) {
        let until_lull = async { while timeout(BACKLOG_LULL, self.accept_one(true)).await.is_ok() {} };
        let _ = timeout(self.limits.drain.min(BACKLOG_LIMIT), until_lull).await;
    }

    /// Takes what the kernel completed since; the runtime hears of a connection only when it next looks.
    fn accept_last(&self) {
        // One for the socket's copy, one for a connection.
        self.spares.release();
        self.spares.release();
        let Ok(socket) = self.socket.as_fd().try_clone_to_owned().map(std::net::TcpListener::from) else { return };
        for _ in 0..BACKLOG {
            let Ok((stream, peer)) = socket.accept() else { return };
            let taken = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            let _ = taken.map(|stream| self.take(stream, peer, true));
        }
    }

    /// Takes one connection; says whether the house was full.
    async fn accept_one(&self, was_full: bool) -> bool {
        match self.socket.accept().await {
            Ok((stream, peer)) => self.take_unless_short(stream, peer, was_full),
            Err(error) if is_of_the_client(&error) => was_full,
            Err(error) => self.accept_in_spare(&error, was_full).await,
        }
    }

    /// Takes one connection after all, in the place of a spare descriptor.
    async fn accept_in_spare(&self, error: &io::Error, was_full: bool) -> bool {
        if self.spares.release() {
            // The kernel looks for a descriptor first: it may well be that nobody wants to be let in.
            match timeout(Duration::ZERO, self.socket.accept()).await {
                Ok(Ok((stream, peer))) => return self.take_unless_short(stream, peer, was_full),
                Ok(Err(_)) => {}
                Err(_) => return was_full,
            }
        }
        tracing::error!(cause = %error, "no connection could be accepted");
        sleep(ACCEPT_PAUSE).await;
        was_full
    }

    /// Descriptors that others leave are spares first; until all are there again the public is turned away.
    fn take_unless_short(&self, stream: TcpStream, peer: SocketAddr, was_full: bool) -> bool {
        if self.spares.fill() || self.serves_in_spare {
            return self.take(stream, peer, was_full);
        }
        drop(stream);
        self.spares.fill();
        self.metrics.count_refused_connection(self.name);
        if !was_full {
            tracing::error!(listener = self.name, "no file descriptor is left; closing new connections");
        }
        true
    }

    /// Serves a connection in a task of its own, or closes it when the house is full. Says whether
    /// it was; the log hears of it once each time it comes to that.
    fn take(&self, stream: TcpStream, peer: SocketAddr, was_full: bool) -> bool {
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            self.metrics.count_refused_connection(self.name);
            if !was_full {
                tracing::warn!(
                    listener = self.name,
                    connections = self.limits.connections,
                    "all connections are in use; closing new ones"
                );
            }
            return true;
        };
        let Ok(share) = self.share(peer) else { return was_full };
        self.spawn(stream, peer, (permit, share));
        false
    }

    /// The place of a client's own, where these are counted.
    fn share(&self, peer: SocketAddr) -> Result<Option<Share>, ()> {
        let Some(shares) = self.shares.as_ref().filter(|_| !self.app.trusts(peer.ip())) else { return Ok(None) };
        shares.take(peer.ip(), self.limits.connections_per_client.unwrap_or(usize::MAX)).map(Some).ok_or_else(|| {
            self.metrics.count_refused_connection(self.name);
            if !self.has_told_of_share.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    client = %peer.ip(),
                    "more connections of a client than limits.connections_per_client, closing its new ones; said once. If it is \
                     a proxy of yours, name it in proxy.trusted"
                );
            }
        })
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, places: (OwnedSemaphorePermit, Option<Share>)) {
        // An answer is one write; waiting for more to send with it (Nagle's algorithm) only delays it.
        let _ = stream.set_nodelay(true);
        let (app, limits) = (self.app.clone(), Arc::clone(&self.limits));
        let (draining, tls) = (self.draining.subscribe(), self.tls.as_ref().map(Tls::acceptor));
        let counted = self.metrics.connection(self.name);
        let held = (places, counted);
        // Two tasks, since one of either kind would be as large as that for TLS.
        if let Some(tls) = tls {
            tokio::spawn(async move {
                let _held = held;
                if let Some(stream) = handshake(&tls, stream, limits.header_timeout, draining.clone()).await {
                    connection::serve(stream, peer, app, limits, draining).await;
                }
            });
        } else {
            tokio::spawn(async move {
                let _held = held;
                connection::serve(stream, peer, app, limits, draining).await;
            });
        }
    }

    /// Takes the backlog, closes the listener, and waits until every connection has ended or
    /// `limits.drain` is over. Says how many connections were cut off.
    pub(super) async fn drain(self) -> usize {
        let end = Instant::now() + self.limits.drain;
        self.accept_backlog().await;
        self.accept_last();
        let Self { socket, free, draining, limits, .. } = self;
        drop(socket);
        draining.send_replace(true);
        let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
        let _ = timeout_at(end, free.acquire_many(all)).await;
        limits.connections - free.available_permits()
    }
}

/// Whether `accept` failed because the client was gone already.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
