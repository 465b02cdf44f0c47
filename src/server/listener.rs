//! Accepts the connections of one listener up to its limits, and drains them at shutdown.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::either::Either;
use tokio_util::io::InspectReader;

use crate::config::Limits;
use crate::metrics::{Counted, Metrics};

use super::connection::{self, HttpService};
use super::protocol::{Protocol, ProtocolWarnings};
use super::tls::{Tls, handshake};

/// Most connections of the admin listener, which serves a few probes.
pub(crate) const ADMIN_CONNECTIONS: usize = 64;

/// Longest idle time of a connection of the admin listener: probes and scrapes open new ones.
const ADMIN_IDLE: Duration = Duration::from_secs(5);

/// Pause after `accept` failed for lack of file descriptors, so that the loop does not spin
/// (`connection_limits::without_a_file_descriptor_…`). New connections wait in the kernel.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the kernel queues until they are accepted: enough for all widgets of a shop to reconnect at once.
pub(crate) const BACKLOG: u32 = 1024;

/// Gives a client a permit for a connection, or `None` if the client has too many.
pub type Admit = Arc<dyn Fn(IpAddr) -> Option<Permit> + Send + Sync>;

/// Permits one connection of a client, until it is dropped.
pub type Permit = Box<dyn Send>;

/// A bound socket and its connections.
pub struct Listener {
    socket: TcpListener,
    connections: Connections,
}

/// What new connections need, apart from the socket.
struct Connections {
    name: &'static str,
    service: HttpService,
    limits: Arc<Limits>,
    max_body: usize,
    tls: Option<Tls>,
    slots: Arc<Semaphore>,
    admit: Admit,
    draining: watch::Sender<bool>,
    metrics: Metrics,
    protocol_warnings: ProtocolWarnings,
    was_full: bool,
    has_warned_about_client: bool,
}

/// What a connection holds while it is open.
type Permits = (OwnedSemaphorePermit, Permit, Counted);

impl Listener {
    /// A plain HTTP listener for `limits.connections` connections, without a limit per client. `name` is its label in the
    /// metrics.
    #[must_use]
    pub fn new(
        name: &'static str,
        socket: TcpListener,
        service: HttpService,
        limits: Limits,
        metrics: &Metrics,
    ) -> Self {
        metrics.init_connections(name);
        let connections = Connections {
            name,
            service,
            limits: Arc::new(limits),
            max_body: usize::MAX,
            tls: None,
            slots: Arc::new(Semaphore::new(limits.connections)),
            admit: Arc::new(|_| Some(Box::new(()))),
            draining: watch::Sender::new(false),
            metrics: metrics.clone(),
            protocol_warnings: ProtocolWarnings::new(name),
            was_full: false,
            has_warned_about_client: false,
        };
        Self { socket, connections }
    }

    /// A listener that is not public, such as the admin listener: at most 64 connections, idle for at most 5 s.
    #[must_use]
    pub(crate) fn internal(
        name: &'static str,
        socket: TcpListener,
        router: Router,
        limits: Limits,
        metrics: &Metrics,
    ) -> Self {
        let limits = Limits {
            connections: ADMIN_CONNECTIONS,
            header_timeout: limits.header_timeout.min(ADMIN_IDLE),
            idle_timeout: limits.idle_timeout.min(ADMIN_IDLE),
            ..limits
        };
        Self::new(name, socket, HttpService::new(router), limits, metrics)
    }

    /// Closes connections that `admit` gives no permit.
    #[must_use]
    pub fn admitting(mut self, admit: Admit) -> Self {
        self.connections.admit = admit;
        self
    }

    /// Limits how many bytes of a request's body are read from the connection, chunked encoding included.
    #[must_use]
    pub(crate) fn reading_bodies_up_to(mut self, max_body: usize) -> Self {
        self.connections.max_body = max_body;
        self
    }

    /// Uses TLS if there is a certificate.
    #[must_use]
    pub(crate) fn with_tls(mut self, tls: Option<Tls>) -> Self {
        self.connections.tls = tls;
        self
    }

    pub(super) fn drain_delay(&self) -> Duration {
        self.connections.limits.drain_delay
    }

    /// Accepts connections until the future is dropped.
    pub(super) async fn accept(&mut self) -> Infallible {
        let mut has_failed = false;
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    has_failed = false;
                    self.connections.open(stream, peer);
                }
                Err(error) if is_client_error(&error) => {}
                Err(error) => {
                    if !has_failed {
                        tracing::error!(listener = self.connections.name, cause = %error, "can't accept connections");
                    }
                    has_failed = true;
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Accepts the backlog, closes the socket, and waits until all connections have ended or `limits.drain` is over. Returns the
    /// number of connections that were cut off.
    pub(super) async fn drain(self) -> usize {
        let Self { socket, mut connections } = self;
        let deadline = Instant::now() + connections.limits.drain;
        // Closing the socket would reset the connections in the backlog
        // (`drain::connections_that_wait_to_be_accepted_at_the_stop_are_served`).
        if let Ok(socket) = socket.into_std() {
            let accepted = (0..BACKLOG).map(|_| socket.accept());
            let until_empty = accepted.take_while(|accepted| accepted.as_ref().err().is_none_or(is_client_error));
            for (stream, peer) in until_empty.flatten() {
                let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                let _ = stream.map(|stream| connections.open(stream, peer));
            }
        }
        let Connections { slots, draining, limits, .. } = connections;
        draining.send_replace(true);
        let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
        let _ = timeout_at(deadline, slots.acquire_many(all)).await;
        limits.connections - slots.available_permits()
    }
}

impl Connections {
    /// Serves a connection in its own task, or closes it if it exceeds a limit.
    fn open(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Some(permits) = self.admit(peer) else { return self.metrics.count_refused_connection(self.name) };
        // A response is one write; Nagle's algorithm would only delay it.
        let _ = stream.set_nodelay(true);
        let (service, limits, max_body) = (self.service.clone(), Arc::clone(&self.limits), self.max_body);
        let (draining, warnings) = (self.draining.subscribe(), self.protocol_warnings.clone());
        let tls = self.tls.as_ref().map(Tls::acceptor);
        tokio::spawn(async move {
            let _permits = permits;
            let mut sniffer = warnings.sniffer(peer, Protocol::Http1);
            let stream = match tls {
                None => Either::Left(stream),
                Some(tls) => {
                    let handshake = handshake(tls, stream, peer, warnings, limits.header_timeout, draining.clone());
                    // In boxes, so that connections without TLS do not need their memory.
                    let Some(stream) = Box::pin(handshake).await else { return };
                    Either::Right(Box::new(stream))
                }
            };
            let stream = InspectReader::new(stream, |bytes: &[u8]| sniffer.feed(bytes));
            connection::serve(stream, peer, service, &limits, max_body, draining).await;
        });
    }

    /// The permits of a connection. Warns each time that the listener becomes full, and once about the limit per client.
    fn admit(&mut self, peer: SocketAddr) -> Option<Permits> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
        let was_full = std::mem::replace(&mut self.was_full, slot.is_none());
        if slot.is_none() && !was_full {
            let connections = self.limits.connections;
            tracing::warn!(listener = self.name, connections, "all connections are in use; closing new ones");
        }
        let slot = slot?;
        let permit = (self.admit)(peer.ip());
        if permit.is_none() && !std::mem::replace(&mut self.has_warned_about_client, true) {
            tracing::warn!(
                client = %peer.ip(),
                "a client has more connections than limits.connections_per_client; closing its new ones. If it is your proxy, add it \
                 to proxy.trusted. Logged once"
            );
        }
        Some((slot, permit?, self.metrics.connection(self.name)))
    }
}

/// Whether `accept` failed because the client had disconnected.
fn is_client_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
