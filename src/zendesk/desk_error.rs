//! Why is there no answer of the support desk's APIs to go by?

use std::time::Duration;

use crate::http_client::CallError;

/// An id that can't be asked for: nothing, or what every client and server takes for a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdError;

/// Why there is no answer to go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeskApiError {
    /// None came, or none that is whole.
    Call(CallError),
    /// The API knows nothing of what it was asked for.
    Missing,
    /// The API says no otherwise.
    Refused(Refused),
    /// An answer that is not what the API's description says.
    NotAsDescribed,
}

/// Why what has an id is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShowError {
    /// The id can't be one.
    Id(IdError),
    /// The API has nothing of that id, or no answer.
    Api(DeskApiError),
}

impl From<IdError> for ShowError {
    fn from(error: IdError) -> Self {
        Self::Id(error)
    }
}

impl From<DeskApiError> for ShowError {
    fn from(error: DeskApiError) -> Self {
        Self::Api(error)
    }
}

/// How the API says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The code of its first error, in its own words, which nobody vouches for.
    pub code: Option<String>,
    /// The title of that error, likewise.
    pub title: Option<String>,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl DeskApiError {
    /// Whether it may be otherwise in a moment.
    pub(super) const fn is_worth_another_try(&self) -> bool {
        match self {
            Self::Call(CallError::Unreachable | CallError::TimedOut | CallError::Broken) => true,
            Self::Call(CallError::Untrusted | CallError::TooLarge) | Self::Missing | Self::NotAsDescribed => false,
            Self::Refused(refused) => matches!(refused.status, 408 | 429 | 500..),
        }
    }

    pub(super) const fn retry_after(&self) -> Option<Duration> {
        if let Self::Refused(refused) = self { refused.retry_after } else { None }
    }
}
