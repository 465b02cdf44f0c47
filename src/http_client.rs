//! Calls other services over HTTP, with a CA bundle, a timeout and a size limit.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use reqwest::{Certificate, Client, RequestBuilder, Response, redirect};
use thiserror::Error;

/// How long an idle connection is kept. Servers keep it longer, so that they do not close it during a call.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// The CA bundle has no certificate, or one that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the HTTP client can't be created; check the CA bundle in ca_file")]
pub struct ClientError;

/// Why a call gave no answer. Never quotes the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// No connection.
    Unreachable,
    /// The TLS handshake failed, usually because of the certificate.
    Untrusted,
    /// No complete answer in time.
    TimedOut,
    /// The answer is larger than allowed.
    TooLarge,
    /// The answer is incomplete or is not HTTP.
    Broken,
}

/// A client that trusts the CA certificates of a PEM file, follows no redirects and uses no proxy. `timeout` is for a whole
/// call. Without a file it trusts the public CAs, which the binary has, since the image has none.
pub(crate) fn client(ca_bundle: Option<&[u8]>, timeout: Duration) -> Result<Client, ClientError> {
    let certificates: Result<Vec<Certificate>, _> = match ca_bundle {
        Some(pem) => Certificate::from_pem_bundle(pem),
        None => webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der)).collect(),
    };
    let certificates = certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or(ClientError)?;
    let client = Client::builder()
        .tls_certs_only(certificates)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(timeout)
        .pool_idle_timeout(IDLE_LIMIT)
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .build();
    client.map_err(|_| ClientError)
}

/// Sends a request and waits for the answer's status and headers.
pub(crate) async fn call(request: RequestBuilder) -> Result<Response, CallError> {
    request.send().await.map_err(|error| call_error(&error))
}

/// Reads the whole body, of at most `max_bytes`: a wrong or hostile server must not fill the memory.
pub(crate) async fn body(mut response: Response, max_bytes: usize) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| call_error(&error))? {
        if body.len() + chunk.len() > max_bytes {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn call_error(error: &reqwest::Error) -> CallError {
    match error {
        error if error.is_timeout() => CallError::TimedOut,
        error if error.is_connect() && is_tls_error(error) => CallError::Untrusted,
        error if error.is_connect() => CallError::Unreachable,
        _ => CallError::Broken,
    }
}

/// Whether TLS failed. rustls reports that as `InvalidData`, wrapped in an I/O error of another kind.
fn is_tls_error(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let wrapped = error.downcast_ref().and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref());
        if wrapped.is_some_and(|inner: &io::Error| inner.kind() == ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    false
}
