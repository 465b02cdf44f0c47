//! Client of the Sunshine Conversations API: finds, shows and deletes users of Messaging.
//!
//! Users of API v2 (`zendesk/sunshine-conversations-api-spec`, 17.12.1). Messaging refuses a player with 409 when
//! another user has the player's email (support.zendesk.com, article 7554200230170).

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::login::json::member;

use super::api::{ApiClient, ApiError, ClientError, Credentials, Retry};
use super::settings::Conversations as Settings;

const NOT_FOUND_CODES: [&str; 1] = ["user_not_found"];

/// The users of one app.
pub(super) struct Conversations {
    api: ApiClient,
    app_id: String,
    brand_id: Option<String>,
}

/// A user in the API. `--json` prints its members in snake case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub struct User {
    /// The API's own id, which is never given to another user.
    pub id: String,
    /// The external id of the Zendesk token that signed the user in.
    pub external_id: Option<String>,
    /// The user's id in Support.
    pub zendesk_id: Option<String>,
    /// The user's brand, where the account separates users by brand.
    pub brand_id: Option<String>,
    /// When the API first saw the user, as the API formats it.
    pub signed_up_at: Option<String>,
    /// Whether the user ever signed in.
    pub authenticated: Option<bool>,
    /// What the user is known by.
    #[serde(default)]
    pub identities: Vec<UserIdentity>,
}

/// Something that a user is known by, such as an email.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct UserIdentity {
    /// The type of the identity: `email`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The email itself.
    pub value: String,
    /// What confirmed the identity: `sso`.
    pub verification: Option<String>,
}

/// A user with its JSON.
pub(super) struct Record {
    pub(super) user: User,
    /// Exactly as the API sent it, with members that [`User`] does not have.
    pub(super) json: String,
}

/// A way to free a user's email.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Deletes personal information; keeps the conversations.
    ForgetEmail,
    /// Deletes the user and its conversations.
    DeleteUser,
}

#[derive(Deserialize)]
struct UserResponse {
    user: User,
}

#[derive(Deserialize)]
struct UsersResponse {
    users: Vec<User>,
}

impl Conversations {
    pub(super) fn new(settings: &Settings, on_retry: fn(&Retry)) -> Result<Self, ClientError> {
        let credentials = Credentials::Basic(&settings.key_id, &settings.key_secret);
        let api = ApiClient::new(&settings.endpoint, &credentials, &NOT_FOUND_CODES, on_retry)?;
        Ok(Self { api, app_id: settings.app_id.clone(), brand_id: settings.brand_id.clone() })
    }

    /// The users that have an email.
    pub(super) async fn find(&self, email: &str) -> Result<Vec<User>, ApiError> {
        let url = self.url(&[], &[("filter[identities.email]", email)])?;
        let users = self.api.get::<UsersResponse>(&url).await?.users;
        // If a proxy drops the filter, other users must not be offered for deletion.
        let has_email = |user: &User| user.emails().any(|identity| identity.value.eq_ignore_ascii_case(email));
        if users.iter().all(has_email) { Ok(users) } else { Err(ApiError::UnexpectedResponse) }
    }

    /// The user with an id or external id.
    pub(super) async fn show(&self, id: &str) -> Result<Record, ApiError> {
        let body = self.api.get_text(&self.url(&[id], &[])?).await?;
        let UserResponse { user } = serde_json::from_str(&body).map_err(|_| ApiError::UnexpectedResponse)?;
        let json = member(&body, "user").ok_or(ApiError::UnexpectedResponse)?.to_owned();
        // A wrong answer must not lead to the deletion of another user.
        let is_requested = user.id == id || user.external_id.as_deref() == Some(id);
        if is_requested { Ok(Record { user, json }) } else { Err(ApiError::UnexpectedResponse) }
    }

    /// The user's current record; `None` if it was deleted.
    pub(super) async fn refresh(&self, user: &User) -> Result<Option<Record>, ApiError> {
        match self.show(&user.id).await {
            Ok(record) => Ok(Some(record)),
            Err(ApiError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The URL that a remedy deletes. Uses the API's own id, because an external id can pass to another user.
    pub(super) fn remedy_url(&self, user: &User, remedy: Remedy) -> Result<Url, ApiError> {
        match remedy {
            Remedy::ForgetEmail => self.url(&[&user.id, "personalinformation"], &[]),
            Remedy::DeleteUser => self.url(&[&user.id], &[]),
        }
    }

    pub(super) async fn apply(&self, remedy: Remedy, user: &User) -> Result<(), ApiError> {
        self.api.delete(&self.remedy_url(user, remedy)?).await
    }

    fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url, ApiError> {
        let segments = [&["v2", "apps", &self.app_id, "users"], segments].concat();
        let brand = self.brand_id.as_deref().map(|brand_id| ("brandId", brand_id));
        let query: Vec<_> = query.iter().copied().chain(brand).collect();
        self.api.url(&segments, &query)
    }
}

impl User {
    /// The user's emails.
    pub fn emails(&self) -> impl Iterator<Item = &UserIdentity> {
        self.identities.iter().filter(|identity| identity.kind == "email")
    }
}
