//! TLS of the public listener: loads and swaps the certificate, and warns before it expires.
//!
//! TLS 1.2 and 1.3 with rustls' default ciphers; HTTP/1.1 is the only ALPN protocol (RFC 7301).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_util::io::InspectReader;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::config::Tls as Settings;
use crate::login::Timestamp;
use crate::metrics::Metrics;

use super::connection::LINGER;
use super::protocol::{Protocol, ProtocolWarnings};

/// A warning is logged from this many seconds before expiry: by then, an automatic renewal must have failed.
const WARN_BEFORE: Timestamp = 14 * 86_400;

/// The certificate for new connections. Clones share it.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ArcSwap<CertifiedKey>>);

/// A certificate chain with its matching private key.
pub(crate) struct CertifiedKey {
    config: Arc<ServerConfig>,
    expires_at: Timestamp,
}

/// Why certificate and key can't be used.
#[derive(Debug, Error)]
pub(crate) enum TlsError {
    #[error(
        "tls.certificate: contains no PEM certificate (-----BEGIN CERTIFICATE-----); use the full chain, server certificate \
         first"
    )]
    NoCertificate,
    #[error("tls.certificate: contains a malformed certificate; the file may be incomplete")]
    Certificate,
    #[error("tls.key: contains no unencrypted PEM private key (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    #[error("tls.key: does not match the first certificate in tls.certificate; renew the two together")]
    Mismatch,
    #[error("tls.certificate, tls.key: can't be used ({0})")]
    Unusable(String),
}

impl CertifiedKey {
    /// Parses certificate chain and key, and checks that they match.
    pub(crate) fn new(settings: &Settings) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&settings.certificate).collect();
        let chain = chain.map_err(|_| TlsError::Certificate)?;
        let own = chain.first().ok_or(TlsError::NoCertificate)?;
        let expires_at = expiry(own).ok_or(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(settings.key.bytes()).map_err(|_| TlsError::NoKey)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(|error| {
            let is_mismatch = matches!(error, rustls::Error::InconsistentKeys(_));
            if is_mismatch { TlsError::Mismatch } else { TlsError::Unusable(error.to_string()) }
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), expires_at })
    }
}

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

/// `notAfter` of a certificate (RFC 5280 §4.1.2.5).
fn expiry(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let since_1970: Duration = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Timestamp::try_from(since_1970.as_secs()).ok()
}
