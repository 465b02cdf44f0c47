//! `[tls]`: certificate chain and private key of the public listener, in PEM.
//!
//! TLS 1.2 and 1.3 with rustls' default ciphers; HTTP/1.1 is the only ALPN protocol (RFC 7301).

use std::sync::Arc;

use secrecy::zeroize::Zeroizing;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::reader::Reader;

const CERTIFICATE: &str = "tls.certificate";
const KEY: &str = "tls.key";

/// A certificate chain with its matching private key.
#[derive(Debug, Clone)]
pub(crate) struct CertifiedKey {
    pub(crate) config: Arc<ServerConfig>,
    /// When the certificate expires, in seconds since 1970.
    pub(crate) expires_at: i64,
}

/// Reads the two files; `None` if they are not set, or wrong.
pub(super) fn read(reader: &mut Reader) -> Option<CertifiedKey> {
    reader.reject_alone(CERTIFICATE, KEY);
    reader.reject_alone(KEY, CERTIFICATE);
    let certificate = reader.file(CERTIFICATE)?;
    let key = Zeroizing::new(reader.file(KEY)?);
    parse(&certificate, &key).map_err(|(setting, what)| reader.reject(setting, what)).ok()
}

/// Parses the chain and its key, and checks that they match; otherwise the wrong setting and what is wrong with it.
fn parse(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, (&'static str, String)> {
    let wrong = |setting, what: &str| (setting, what.to_owned());
    let malformed = || wrong(CERTIFICATE, "contains a malformed certificate; the file may be incomplete");
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|_| malformed())?;
    let own = chain.first().ok_or_else(|| {
        let what =
            "contains no PEM certificate (-----BEGIN CERTIFICATE-----); use the full chain, server certificate first";
        wrong(CERTIFICATE, what)
    })?;
    let expires_at = expiry(own).ok_or_else(malformed)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| wrong(KEY, "contains no unencrypted PEM private key (-----BEGIN PRIVATE KEY-----)"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| {
        let what = if matches!(error, rustls::Error::InconsistentKeys(_)) {
            "does not match the first certificate in tls.certificate; renew the two together".to_owned()
        } else {
            let kinds = "ECDSA with P-256, P-384 or P-521, RSA of 2048 bits or more, or Ed25519";
            format!("can't be used with tls.certificate ({error}); use a key of another kind: {kinds}")
        };
        (KEY, what)
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(CertifiedKey { config: Arc::new(config), expires_at })
}

/// `notAfter` of a certificate (RFC 5280 §4.1.2.5).
fn expiry(certificate: &CertificateDer<'_>) -> Option<i64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    i64::try_from(certificate.tbs_certificate().validity().not_after.to_unix_duration().as_secs()).ok()
}
