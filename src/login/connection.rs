//! How is the Login API reached, and what keeps it from being reached?

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use reqwest::{Certificate, Client, RequestBuilder, Response, Url, redirect};
use thiserror::Error as ThisError;

use crate::config::login::Api;

use super::key_set::KeySetError;

/// For a whole call, as in Xsolla's own SDK (github.com/xsolla/login-sdk-go). A request waits for it,
/// so it has to stay below `limits.request_timeout`.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Most bytes of an answer: some 200 keys. Whoever answers in the API's place must not fill the memory.
const MAX_BYTES: usize = 100 * 1024;

/// How long an idle connection is kept: less than servers do, so that none is closed under a call.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// Why no client can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum ClientError {
    /// The file holds no certificate, or one that can't be read.
    #[error("login.ca_file: is no certificate, or one that can't be read; give the authority's certificate in PEM")]
    Authorities,
    /// No host can have this name.
    #[error("login.api_url: names no host that there can be; give the one of the Login API")]
    Url,
}

/// Why the Login API gave no answer to go by. Says nothing of what it sent but numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum ApiError {
    /// No connection, or it broke.
    #[error("the Login API can't be reached")]
    Unreachable,
    /// No agreement on TLS, mostly over the certificate.
    #[error("no TLS with the Login API: its certificate is not believed, or it speaks none, or one too old")]
    Untrusted,
    /// No whole answer in 5 s.
    #[error("the Login API gave no answer within 5 s")]
    TimedOut,
    /// An answer of more than 100 KiB.
    #[error("the Login API's answer is over 100 KiB")]
    TooLarge,
    /// A status that this call does not have; a redirect, too, since none is followed.
    #[error("the Login API answered with status {0}")]
    Status(u16),
    /// An answer that is no HTTP, or not whole.
    #[error("the Login API's answer broke off or is no HTTP")]
    Broken,
    /// Keys that can't be used.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

/// A client that believes the given authorities, or else the public ones that the binary brings: the
/// image has none.
///
/// # Errors
/// See [`ClientError`].
pub(super) fn client(api: &Api) -> Result<Client, ClientError> {
    Url::parse(&api.url).map_err(|_| ClientError::Url)?;
    let authorities: Result<Vec<Certificate>, _> = match &api.authorities {
        Some(pem) => Certificate::from_pem_bundle(pem),
        None => webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der)).collect(),
    };
    let authorities = authorities.ok().filter(|authorities| !authorities.is_empty()).ok_or(ClientError::Authorities)?;
    let client = Client::builder()
        .tls_certs_only(authorities)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(CALL_LIMIT)
        .pool_idle_timeout(IDLE_LIMIT)
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .build();
    client.map_err(|_| ClientError::Authorities)
}

/// Whether a client could be made of what is set, also where nobody needs one.
///
/// # Errors
/// See [`ClientError`].
pub fn check(api: &Api) -> Result<(), ClientError> {
    Url::parse(&api.url).map_err(|_| ClientError::Url)?;
    if api.authorities.is_some() { client(api).map(|_| ()) } else { Ok(()) }
}

/// Sends a request, and takes the head of the answer.
pub(super) async fn call(request: RequestBuilder) -> Result<Response, ApiError> {
    request.send().await.map_err(|error| broken(&error))
}

/// The whole body, unless it is too long.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(ApiError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn broken(error: &reqwest::Error) -> ApiError {
    match error {
        error if error.is_timeout() => ApiError::TimedOut,
        error if error.is_connect() && is_over_tls(error) => ApiError::Untrusted,
        error if error.is_connect() => ApiError::Unreachable,
        _ => ApiError::Broken,
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
