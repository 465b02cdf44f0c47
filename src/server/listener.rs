//! Accepts the connections of one listener, as many as may be open at once, and drains them at the stop.

use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::io::InspectReader;

use crate::config::Limits;
use crate::metrics::{Counted, Metrics};

use super::connection::{self, Answers};
use super::protocol::{Protocol, Reported};
use super::tls::{Tls, handshake};

/// Connections of the admin listener: a few probes, so a flood of them is a mistake.
pub(super) const ADMIN_CONNECTIONS: usize = 64;

/// Longest time that a connection of the admin listener may be idle: probes and scrapes open new ones.
const ADMIN_IDLE: Duration = Duration::from_secs(5);

/// Pause after `accept` failed for want of file descriptors, so that the loop does not spin
/// (`full_house::without_a_file_descriptor_…`). New connections wait in the kernel.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the kernel holds until they are accepted: a whole shop's widgets reconnecting at once.
pub const BACKLOG: u32 = 1024;

/// Gives a connection of this address its place, which is held until the connection ends. None where that client has as
/// many as it may.
pub type Admit = Arc<dyn Fn(IpAddr) -> Option<Place> + Send + Sync>;

/// A place of one client's, until it is dropped.
pub type Place = Box<dyn Send>;

/// A bound socket, and the connections that come to it.
pub struct Listener<S> {
    socket: TcpListener,
    connections: Connections<S>,
}

/// The connections of one listener, open ones and those that are about to be.
struct Connections<S> {
    name: &'static str,
    service: S,
    limits: Arc<Limits>,
    max_body: usize,
    tls: Option<Tls>,
    free: Arc<Semaphore>,
    admit: Admit,
    draining: watch::Sender<bool>,
    metrics: Metrics,
    misspoken: Reported,
    was_full: bool,
    has_warned_of_client: bool,
}

/// What a connection holds while it is open.
type Held = (OwnedSemaphorePermit, Place, Counted);

impl<S: Answers> Listener<S> {
    /// A listener that serves `limits.connections` at once, in plain HTTP, of whichever clients. `name` is its label in
    /// the metrics.
    #[must_use]
    pub fn new(name: &'static str, socket: TcpListener, service: S, limits: Limits, metrics: &Metrics) -> Self {
        metrics.init_connections(name);
        let connections = Connections {
            name,
            service,
            limits: Arc::new(limits),
            max_body: usize::MAX,
            tls: None,
            free: Arc::new(Semaphore::new(limits.connections)),
            admit: Arc::new(|_| Some(Box::new(()))),
            draining: watch::Sender::new(false),
            metrics: metrics.clone(),
            misspoken: Reported::new(name),
            was_full: false,
            has_warned_of_client: false,
        };
        Self { socket, connections }
    }

    /// A listener that the public does not reach, such as the admin's: 64 connections, idle for 5 s at most.
    #[must_use]
    pub fn internal(name: &'static str, socket: TcpListener, service: S, limits: Limits, metrics: &Metrics) -> Self {
        let limits = Limits {
            connections: ADMIN_CONNECTIONS,
            header_timeout: limits.header_timeout.min(ADMIN_IDLE),
            idle_timeout: limits.idle_timeout.min(ADMIN_IDLE),
            ..limits
        };
        Self::new(name, socket, service, limits, metrics)
    }

    /// Closes the connections that `admit` gives no place.
    #[must_use]
    pub fn admitting(mut self, admit: Admit) -> Self {
        self.connections.admit = admit;
        self
    }

    /// Reads no more bytes of a request's body from the wire, chunks' sizes and all.
    #[must_use]
    pub fn reading_bodies_up_to(mut self, max_body: usize) -> Self {
        self.connections.max_body = max_body;
        self
    }

    /// Speaks TLS where there is a certificate.
    #[must_use]
    pub fn over(mut self, tls: Option<Tls>) -> Self {
        self.connections.tls = tls;
        self
    }

    /// How long it goes on as before once it has to stop.
    pub(super) fn drain_delay(&self) -> Duration {
        self.connections.limits.drain_delay
    }

    /// Accepts connections for ever.
    pub(super) async fn accept(&mut self) -> Infallible {
        let mut has_failed = false;
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    has_failed = false;
                    self.connections.open(stream, peer);
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    if !has_failed {
                        tracing::error!(listener = self.connections.name, cause = %error, "no connection could be accepted");
                    }
                    has_failed = true;
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Takes the backlog, closes the listener, and waits until every connection has ended or
    /// `limits.drain` is over. Returns how many connections were cut off.
    pub(super) async fn drain(self) -> usize {
        let Self { socket, mut connections } = self;
        let end = Instant::now() + connections.limits.drain;
        // What the kernel has accepted would be reset with the socket
        // (`drain::connections_that_wait_to_be_accepted_at_the_stop_are_served`).
        if let Ok(socket) = socket.into_std() {
            for (stream, peer) in (0..BACKLOG).map_while(|_| socket.accept().ok()) {
                let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                let _ = stream.map(|stream| connections.open(stream, peer));
            }
        }
        let Connections { free, draining, limits, .. } = connections;
        draining.send_replace(true);
        let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
        let _ = timeout_at(end, free.acquire_many(all)).await;
        limits.connections - free.available_permits()
    }
}

impl<S: Answers> Connections<S> {
    /// Serves a connection in a task of its own, or closes it when there is no room.
    fn open(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Some(held) = self.admitted(peer) else { return self.metrics.count_refused_connection(self.name) };
        // An answer is one write; waiting for more to send with it (Nagle's algorithm) only delays it.
        let _ = stream.set_nodelay(true);
        if let Some(tls) = &self.tls {
            let draining = self.draining.subscribe();
            let misspoken = self.misspoken.clone();
            let handshake = handshake(tls.acceptor(), stream, peer, misspoken, self.limits.header_timeout, draining);
            self.spawn(handshake, peer, held);
        } else {
            self.spawn(ready(Some(stream)), peer, held);
        }
    }

    /// A place for a connection. The log says once each time that all are in use, and once of clients that have too many.
    fn admitted(&mut self, peer: SocketAddr) -> Option<Held> {
        let free = Arc::clone(&self.free).try_acquire_owned().ok();
        let was_full = std::mem::replace(&mut self.was_full, free.is_none());
        if free.is_none() && !was_full {
            let connections = self.limits.connections;
            tracing::warn!(listener = self.name, connections, "all connections are in use; closing new ones");
        }
        let free = free?;
        let place = (self.admit)(peer.ip());
        if place.is_none() && !std::mem::replace(&mut self.has_warned_of_client, true) {
            tracing::warn!(
                client = %peer.ip(),
                "more connections of a client than limits.connections_per_client, closing its new ones; said once. If it is \
                 a proxy of yours, name it in proxy.trusted"
            );
        }
        Some((free, place?, self.metrics.connection(self.name)))
    }

    /// Serves the stream once it is there, if it comes to that.
    fn spawn<T>(&self, stream: impl Future<Output = Option<T>> + Send + 'static, peer: SocketAddr, held: Held)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (service, limits, draining) = (self.service.clone(), Arc::clone(&self.limits), self.draining.subscribe());
        let (max_body, mut opening) = (self.max_body, self.misspoken.opening(peer, Protocol::Http1));
        tokio::spawn(async move {
            let _held = held;
            if let Some(stream) = stream.await {
                let stream = InspectReader::new(stream, |bytes: &[u8]| opening.take(bytes));
                connection::serve(stream, peer, service, &limits, max_body, draining).await;
            }
        });
    }
}

/// Whether `accept` failed because the client was gone already.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
