//! TLS of the public listener: swaps the certificate, and warns before it expires.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_util::io::InspectReader;

use crate::config::tls::CertifiedKey;
use crate::login::Timestamp;
use crate::metrics::Metrics;

use super::connection::LINGER;
use super::protocol::{Protocol, ProtocolWarnings};

/// A warning is logged from this many seconds before expiry: by then, an automatic renewal must have failed.
const WARN_BEFORE: Timestamp = 14 * 86_400;

/// The certificate for new connections. Clones share it.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ArcSwap<CertifiedKey>>);

impl Tls {
    pub(crate) fn new(certified: CertifiedKey) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(certified)))
    }

    /// Replaces the certificate for new connections.
    pub(crate) fn swap(&self, certified: CertifiedKey) {
        self.0.store(Arc::new(certified));
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.load().config))
    }

    /// Updates the expiry's metric, and logs if the certificate has expired or expires soon.
    pub(crate) fn report(&self, metrics: &Metrics, now: Timestamp) {
        let expires_at = self.0.load().expires_at;
        metrics.set_certificate_expiry(expires_at);
        let left = expires_at - now;
        if left <= 0 {
            tracing::error!("the certificate has expired; renew it");
        } else if left < WARN_BEFORE {
            tracing::warn!(days = left / 86_400, "the certificate expires soon; check its automatic renewal");
        }
    }
}

/// Does the TLS handshake of a connection; `None` if it fails or takes longer than `limit`, or if the listener drains.
pub(super) async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    warnings: ProtocolWarnings,
    limit: Duration,
    mut draining: watch::Receiver<bool>,
) -> Option<impl AsyncRead + AsyncWrite + Unpin + Send + use<>> {
    let deadline = async {
        let _ = timeout(limit, draining.wait_for(|is_draining| *is_draining)).await;
        if *draining.borrow() {
            sleep(LINGER).await;
        }
    };
    let mut sniffer = warnings.sniffer(peer, Protocol::Tls);
    let stream = InspectReader::new(stream, move |bytes: &[u8]| sniffer.feed(bytes));
    let handshake = tokio::select! {
        result = tls.accept(stream) => result,
        () = deadline => return None,
    };
    handshake
        .inspect_err(|error| {
            tracing::debug!(cause = %error, "TLS handshake failed");
            let cause = error.get_ref().and_then(|error| error.downcast_ref());
            if matches!(cause, Some(rustls::Error::NoApplicationProtocol)) {
                warnings.warn(peer, Protocol::Http2);
            }
        })
        .ok()
}
