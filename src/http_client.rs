//! Calls other services: TLS roots, timeouts, size limits.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use reqwest::{Certificate, Client, RequestBuilder, Response, redirect};

/// How long an idle connection is kept: less than servers do, so that none is closed under a call.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// The file of authorities holds no certificate, or one that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAuthorities;

/// Why there is no answer. Says nothing of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// No connection, or it broke.
    Unreachable,
    /// No agreement on TLS, mostly over the certificate.
    Untrusted,
    /// No whole answer in time.
    TimedOut,
    /// An answer that is longer than any should be.
    TooLarge,
    /// An answer that is no HTTP, or not whole.
    Broken,
}

/// The authorities in a file's text (PEM), or else the public ones that the binary brings: the image has none.
///
/// # Errors
/// See [`NoAuthorities`].
pub fn authorities(pem: Option<&[u8]>) -> Result<Vec<Certificate>, NoAuthorities> {
    let authorities: Result<Vec<Certificate>, _> = match pem {
        Some(pem) => Certificate::from_pem_bundle(pem),
        None => webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der)).collect(),
    };
    authorities.ok().filter(|authorities| !authorities.is_empty()).ok_or(NoAuthorities)
}

/// A client that believes those [`authorities`]. It follows no redirect and asks no proxy; a whole call takes
/// `limit` at most.
///
/// # Errors
/// See [`NoAuthorities`].
pub fn client(pem: Option<&[u8]>, limit: Duration) -> Result<Client, NoAuthorities> {
    let client = Client::builder()
        .tls_certs_only(authorities(pem)?)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(limit)
        .pool_idle_timeout(IDLE_LIMIT)
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .build();
    client.map_err(|_| NoAuthorities)
}

/// Sends a request, and takes the head of the answer.
///
/// # Errors
/// See [`CallError`].
pub async fn call(request: RequestBuilder) -> Result<Response, CallError> {
    request.send().await.map_err(|error| broken(&error))
}

/// The whole body, unless it has more than `most` bytes: whoever answers in the service's place must not fill
/// the memory.
///
/// # Errors
/// See [`CallError`].
pub async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len() + chunk.len() > most {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn broken(error: &reqwest::Error) -> CallError {
    match error {
        error if error.is_timeout() => CallError::TimedOut,
        error if error.is_connect() && is_over_tls(error) => CallError::Untrusted,
        error if error.is_connect() => CallError::Unreachable,
        _ => CallError::Broken,
    }
}

/// Whether TLS is what failed: it tells so as invalid data, wrapped in an error of another kind.
fn is_over_tls(error: &reqwest::Error) -> bool {
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
