//! The users of Messaging: found, shown and deleted.
//!
//! Users of the Sunshine Conversations API v2 (`zendesk/sunshine-conversations-api-spec`, 17.12.1): Messaging refuses a
//! player with 409 whose email is another user's (support.zendesk.com, article 7554200230170).

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::config::desk::Conversations as Settings;
use crate::login::json::member;

use super::desk_api::{Credentials, DeskApi, DeskApiError, DeskClientError, Pause};

/// How the API says that it has no such user.
const MISSING: [&str; 1] = ["user_not_found"];

/// The users of one app.
pub struct Conversations {
    api: DeskApi,
    app_id: String,
    brand_id: Option<String>,
}

/// A user as the API tells of one; as JSON of ours it has other names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub struct User {
    /// The API's own id: one user's, for ever.
    pub id: String,
    /// The external id of the Zendesk token that signed the user in.
    pub external_id: Option<String>,
    /// The user's id in Support.
    pub zendesk_id: Option<String>,
    /// The brand that the user is kept apart in.
    pub brand_id: Option<String>,
    /// When it was first seen, as the API writes it.
    pub signed_up_at: Option<String>,
    /// Whether it ever signed in.
    pub authenticated: Option<bool>,
    /// By what it is known.
    #[serde(default)]
    pub identities: Vec<UserIdentity>,
}

/// Something that a user is known by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct UserIdentity {
    /// What it is: `email`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The email itself.
    pub value: String,
    /// By whom it was found to be the user's.
    pub verification: Option<String>,
}

/// A user, and what the API wrote of it to the letter.
pub struct Record {
    /// What we read of it.
    pub user: User,
    /// All of it, members that we do not read too.
    pub json: String,
}

/// How a user is made to let go of its email.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Deletes personal information. The conversations stay.
    ForgetEmail,
    /// Deletes the user and its conversations.
    DeleteUser,
}

#[derive(Deserialize)]
struct One {
    user: User,
}

#[derive(Deserialize)]
struct Many {
    users: Vec<User>,
}

impl Conversations {
    /// The users of the app that is set. `pausing` hears of each pause between the tries of a call.
    ///
    /// # Errors
    /// See [`DeskClientError`].
    pub fn new(settings: &Settings, pausing: fn(&Pause)) -> Result<Self, DeskClientError> {
        let api = DeskApi::new(
            &settings.endpoint,
            &Credentials::Basic(&settings.key_id, &settings.key_secret),
            &MISSING,
            pausing,
        )?;
        Ok(Self { api, app_id: settings.app_id.clone(), brand_id: settings.brand_id.clone() })
    }

    /// The users that are known by an email.
    ///
    /// # Errors
    /// See [`DeskApiError`].
    pub async fn find(&self, email: &str) -> Result<Vec<User>, DeskApiError> {
        let filter = [("filter[identities.email]", email)];
        let url = self.address(&[], &filter)?;
        let users = self.api.fetch::<Many>(&url).await?.users;
        // Whoever drops the filter on the way must not have us offer strangers for deletion.
        let has_it = |user: &User| user.emails().any(|identity| identity.value.eq_ignore_ascii_case(email));
        if users.iter().all(has_it) { Ok(users) } else { Err(DeskApiError::NotAsDescribed) }
    }

    /// The user of an id or external id.
    ///
    /// # Errors
    /// See [`DeskApiError`].
    pub async fn show(&self, id: &str) -> Result<Record, DeskApiError> {
        let url = self.address(&[id], &[])?;
        let body = self.api.fetch_text(&url).await?;
        let One { user } = serde_json::from_str(&body).map_err(|_| DeskApiError::NotAsDescribed)?;
        let json = member(&body, "user").ok_or(DeskApiError::NotAsDescribed)?.to_owned();
        // Whoever answers in between must not have us delete a stranger.
        let is_own = user.id == id || user.external_id.as_deref() == Some(id);
        if is_own { Ok(Record { user, json }) } else { Err(DeskApiError::NotAsDescribed) }
    }

    /// What is there now of a user; nothing when it is gone.
    ///
    /// # Errors
    /// See [`DeskApiError`].
    pub async fn look_again(&self, user: &User) -> Result<Option<Record>, DeskApiError> {
        match self.show(&user.id).await {
            Ok(record) => Ok(Some(record)),
            Err(DeskApiError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a remedy deletes: of this user and no other, since its own id is never given to another, as an
    /// external id may be while we pause.
    ///
    /// # Errors
    /// The API gave the user an id that is none.
    pub fn remedy_address(&self, user: &User, remedy: Remedy) -> Result<Url, DeskApiError> {
        match remedy {
            Remedy::ForgetEmail => self.address(&[&user.id, "personalinformation"], &[]),
            Remedy::DeleteUser => self.address(&[&user.id], &[]),
        }
    }

    /// Deletes that.
    ///
    /// # Errors
    /// See [`DeskApiError`].
    pub async fn delete(&self, user: &User, remedy: Remedy) -> Result<(), DeskApiError> {
        self.api.delete(&self.remedy_address(user, remedy)?).await
    }

    fn address(&self, more: &[&str], query: &[(&str, &str)]) -> Result<Url, DeskApiError> {
        let segments = [&["v2", "apps", &self.app_id, "users"], more].concat();
        let brand = self.brand_id.as_deref().map(|brand_id| ("brandId", brand_id));
        let query: Vec<_> = query.iter().copied().chain(brand).collect();
        self.api.address(&segments, &query)
    }
}

impl User {
    /// The emails that it is known by.
    pub fn emails(&self) -> impl Iterator<Item = &UserIdentity> {
        self.identities.iter().filter(|identity| identity.kind == "email")
    }
}
