//! The certificate of the public listener: read, checked, shown to new connections, and warned of before it ends.
//!
//! TLS 1.2 and 1.3 with rustls' own choice of ciphers; HTTP/1.1 is the one protocol (RFC 7301).

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
use super::protocol::{Protocol, Reported};

/// From so long before its end on the certificate is warned of: an automatic renewal has failed by then.
const WARN_BEFORE: Timestamp = 14 * 86_400;

/// The certificate that new connections get. Clones are the same one.
#[derive(Clone)]
pub struct Tls(Arc<ArcSwap<CertifiedKey>>);

/// A checked pair of certificate and key.
pub struct CertifiedKey {
    config: Arc<ServerConfig>,
    expires_at: Timestamp,
}

/// Why certificate and key are no pair.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TlsError {
    /// No certificate in the file.
    #[error(
        "tls.certificate: holds no certificate in PEM (-----BEGIN CERTIFICATE-----); give the whole chain, ours first"
    )]
    NoCertificate,
    /// A certificate that can't be read.
    #[error("tls.certificate: holds a certificate that can't be read; is the file whole?")]
    Certificate,
    /// No private key in the file.
    #[error("tls.key: holds no private key in PEM that is not encrypted (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// The key is another's.
    #[error("tls.key: is not the key of the first certificate in tls.certificate; renew the two together")]
    NoPair,
    /// The library takes the pair for none.
    #[error("tls.certificate, tls.key: can't be used ({0})")]
    Unusable(String),
}

impl CertifiedKey {
    /// Reads certificate chain and key, and checks that they belong together.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(settings: &Settings) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&settings.certificate).collect();
        let chain = chain.map_err(|_| TlsError::Certificate)?;
        let own = chain.first().ok_or(TlsError::NoCertificate)?;
        let expires_at = expiry(own).ok_or(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(settings.key.bytes()).map_err(|_| TlsError::NoKey)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(|error| {
            let is_no_pair = matches!(error, rustls::Error::InconsistentKeys(_));
            if is_no_pair { TlsError::NoPair } else { TlsError::Unusable(error.to_string()) }
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), expires_at })
    }
}

impl Tls {
    /// Shows this certificate to new connections.
    #[must_use]
    pub fn new(certified: CertifiedKey) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(certified)))
    }

    /// Shows another from now on; connections that are open stay as they are.
    pub fn swap(&self, certified: CertifiedKey) {
        self.0.store(Arc::new(certified));
    }

    /// What takes a connection's handshake.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.load().config))
    }

    /// Says when the certificate ends, in the metrics, and in the log when that is soon.
    pub fn report(&self, metrics: &Metrics, now: Timestamp) {
        let expires_at = self.0.load().expires_at;
        metrics.set_certificate_expiry(expires_at);
        let left = expires_at - now;
        if left <= 0 {
            tracing::error!("the certificate has expired; renew it");
        } else if left < WARN_BEFORE {
            tracing::warn!(days = left / 86_400, "the certificate expires soon; has its renewal failed?");
        }
    }
}

/// The TLS handshake of a connection, if the client comes to its end in `time`.
pub(super) async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    misspoken: Reported,
    time: Duration,
    mut draining: watch::Receiver<bool>,
) -> Option<impl AsyncRead + AsyncWrite + Unpin + Send + use<>> {
    let until_too_late = async {
        let _ = timeout(time, draining.wait_for(|is_draining| *is_draining)).await;
        if *draining.borrow() {
            sleep(LINGER).await;
        }
    };
    let mut opening = misspoken.opening(peer, Protocol::Tls);
    let stream = InspectReader::new(stream, move |bytes: &[u8]| opening.take(bytes));
    let shaken = tokio::select! {
        shaken = tls.accept(stream) => shaken,
        () = until_too_late => return None,
    };
    shaken
        .inspect_err(|error| {
            tracing::debug!(cause = %error, "no TLS handshake");
            let cause = error.get_ref().and_then(|error| error.downcast_ref());
            if matches!(cause, Some(rustls::Error::NoApplicationProtocol)) {
                misspoken.report(peer, Protocol::Http2);
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
