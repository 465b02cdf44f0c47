//! How is the Login API reached, and what keeps it from being reached?

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, Url};
use thiserror::Error;

use crate::config::login::Api;
use crate::http_client::{self, CallError};

use super::key_set::KeySetError;

/// For a whole call, as in Xsolla's own SDK (github.com/xsolla/login-sdk-go). A request waits for it,
/// so it has to stay below `limits.request_timeout`.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Most bytes of an answer: some 200 keys.
const MAX_BYTES: usize = 100 * 1024;

/// Why no client can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClientError {
    /// The file holds no certificate, or one that can't be read.
    #[error("login.ca_file: is no certificate, or one that can't be read; give the authority's certificate in PEM")]
    Authorities,
    /// No host can have this name.
    #[error("login.api_url: names no host that there can be; give the one of the Login API")]
    Url,
}

/// Why the Login API gave no answer to go by. Says nothing of what it sent but numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
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

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unreachable => Self::Unreachable,
            CallError::Untrusted => Self::Untrusted,
            CallError::TimedOut => Self::TimedOut,
            CallError::TooLarge => Self::TooLarge,
            CallError::Broken => Self::Broken,
        }
    }
}

/// A client of the Login API.
///
/// # Errors
/// See [`ClientError`].
pub(super) fn client(api: &Api) -> Result<Client, ClientError> {
    Url::parse(&api.url).map_err(|_| ClientError::Url)?;
    http_client::client(api.authorities.as_deref(), CALL_LIMIT).map_err(|_| ClientError::Authorities)
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
    Ok(http_client::call(request).await?)
}

/// The whole body, unless it is too long.
pub(super) async fn body(response: Response) -> Result<Vec<u8>, ApiError> {
    Ok(http_client::body(response, MAX_BYTES).await?)
}
