//! Client of the Sunshine Conversations API: finds, shows, creates, merges and deletes users of Messaging.
//!
//! Users, conversations and messages of API v2 (`zendesk/sunshine-conversations-api-spec`, 17.12.1); the merge of API v1.1
//! (developer.zendesk.com, *Merging users*), which v2 does not have. Messaging refuses a player with 409 when
//! another user has the player's email (support.zendesk.com, article 7554200230170).

use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize};

use crate::http_client::ClientError;
use crate::login::json::member;

use super::api::{ApiClient, ApiError, Credentials, OnRetry};
use super::finding::is_same_login_id;
use super::settings::Conversations as Settings;

const NOT_FOUND_CODES: [&str; 1] = ["user_not_found"];

/// Most conversations of a page (API v2, `page[size]`).
const PAGE_SIZE: &str = "100";

/// Most pages of one list, so that a list without an end is not read forever.
pub(super) const MAX_PAGES: usize = 1_000;

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
    #[serde(default, deserialize_with = "or_default")]
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

/// A conversation of a user.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub(super) struct Conversation {
    pub(super) id: String,
    /// When the last message was received, or the conversation was created.
    pub(super) last_updated_at: Option<String>,
}

/// A message of a conversation.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Message {
    pub(super) received: Option<String>,
    pub(super) author: Author,
    pub(super) content: Content,
}

/// Who wrote a message.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Author {
    /// `user`, or `business` for agents and bots.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) display_name: Option<String>,
}

/// What a message has: text, or something else such as a file.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Content {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    pub(super) text: Option<String>,
}

/// The newest messages of a conversation, at most 100, the oldest of them first.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Messages {
    pub(super) messages: Vec<Message>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Deserialize)]
struct UserResponse {
    user: User,
}

#[derive(Deserialize)]
struct UsersResponse {
    users: Vec<User>,
}

#[derive(Deserialize)]
struct ConversationsResponse {
    conversations: Vec<Conversation>,
    #[serde(default)]
    meta: Meta,
    #[serde(default)]
    links: Links,
}

/// Where a list goes on (API v2, *Cursor pagination*).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    has_more: bool,
    after_cursor: Option<String>,
}

#[derive(Default, Deserialize)]
struct Links {
    next: Option<String>,
}

/// The request that creates a user.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewUser<'a> {
    external_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand_id: Option<&'a str>,
}

/// The request that merges two users.
#[derive(Serialize)]
struct MergedUsers<'a> {
    discarded: UserId<'a>,
    surviving: UserId<'a>,
}

#[derive(Serialize)]
struct UserId<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
}

impl Conversations {
    pub(super) fn new(settings: &Settings, on_retry: OnRetry) -> Result<Self, ClientError> {
        let credentials = Credentials::Basic(&settings.key_id, &settings.key_secret);
        let api = ApiClient::new(&settings.endpoint, &credentials, &NOT_FOUND_CODES, on_retry)?;
        Ok(Self { api, app_id: settings.app_id.clone(), brand_id: settings.brand_id.clone() })
    }

    /// The users that have an email.
    pub(super) async fn find(&self, email: &str) -> Result<Vec<User>, ApiError> {
        let url = self.users_url(&[], &[("filter[identities.email]", email)], None)?;
        let users = self.api.get::<UsersResponse>(&url).await?.users;
        // If a proxy drops the filter, other users must not be offered for deletion.
        let has_email = |user: &User| user.emails().any(|identity| identity.value.eq_ignore_ascii_case(email));
        if users.iter().all(has_email) { Ok(users) } else { Err(ApiError::UnexpectedResponse) }
    }

    /// The user with an id or external id.
    pub(super) async fn show(&self, id: &str) -> Result<Record, ApiError> {
        self.shown(&self.users_url(&[id], &[], None)?, id).await
    }

    /// Like [`Self::show`], for a user of one brand; `None` if there is none.
    pub(super) async fn show_in_brand(&self, id: &str, brand_id: Option<&str>) -> Result<Option<Record>, ApiError> {
        existing(self.shown(&self.users_url(&[id], &[], brand_id)?, id).await)
    }

    async fn shown(&self, url: &Url, id: &str) -> Result<Record, ApiError> {
        let body = self.api.get_text(url).await?;
        let UserResponse { user } = serde_json::from_str(&body).map_err(|_| ApiError::UnexpectedResponse)?;
        let json = member(&body, "user").ok_or(ApiError::UnexpectedResponse)?.to_owned();
        // A wrong answer must not lead to the deletion of another user.
        let is_requested = user.id == id || user.has_login_id(id);
        if is_requested { Ok(Record { user, json }) } else { Err(ApiError::UnexpectedResponse) }
    }

    /// The user's current record; `None` if it was deleted.
    pub(super) async fn refresh(&self, user: &User) -> Result<Option<Record>, ApiError> {
        let found = existing(self.show(&user.id).await)?;
        // Another user may have this id as its external id.
        if found.as_ref().is_none_or(|found| found.user.id == user.id) {
            Ok(found)
        } else {
            Err(ApiError::UnexpectedResponse)
        }
    }

    /// Like [`Self::refresh`], after a merge: the API may also answer with the user that it was merged into.
    pub(super) async fn refresh_merged(&self, user: &User, into: &User) -> Result<Option<User>, ApiError> {
        let url = self.users_url(&[&user.id], &[], None)?;
        match existing(self.api.get::<UserResponse>(&url).await)? {
            Some(found) if found.user.id == user.id => Ok(Some(found.user)),
            Some(found) if found.user.id != into.id => Err(ApiError::UnexpectedResponse),
            _ => Ok(None),
        }
    }

    /// The conversations of a user, at most `max_pages` pages of 100, and whether there are more. `progress` gets how
    /// many there are so far, after each page but the last.
    pub(super) async fn conversations(
        &self,
        user_id: &str,
        max_pages: usize,
        progress: impl Fn(usize),
    ) -> Result<(Vec<Conversation>, bool), ApiError> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..max_pages {
            let page = [("filter[userId]", user_id), ("page[size]", PAGE_SIZE)];
            let page: Vec<_> = page.into_iter().chain(after.as_deref().map(|after| ("page[after]", after))).collect();
            let mut page: ConversationsResponse = self.api.get(&self.conversations_url(&[], &page)?).await?;
            all.append(&mut page.conversations);
            let next = page.next();
            if next.is_none() || next == after {
                return Ok((all, page.meta.has_more || next.is_some()));
            }
            progress(all.len());
            after = next;
        }
        Ok((all, true))
    }

    /// The newest messages of a conversation.
    pub(super) async fn messages(&self, conversation_id: &str) -> Result<Messages, ApiError> {
        self.api.get(&self.conversations_url(&[conversation_id, "messages"], &[])?).await
    }

    /// Creates a user without anything but an external id. The API refuses with 409 if there is one.
    pub(super) async fn create(&self, external_id: &str, brand_id: Option<&str>) -> Result<User, ApiError> {
        let body = NewUser { external_id, brand_id: brand_id.or(self.brand_id.as_deref()) };
        let UserResponse { user } = self.api.create(&self.create_url()?, &body).await?;
        let is_requested = user.external_id.as_deref() == Some(external_id);
        if is_requested { Ok(user) } else { Err(ApiError::UnexpectedResponse) }
    }

    /// Moves conversations, identities and profile of one user to another, and deletes the first. Uses the API's own ids,
    /// because an external id can pass to another user.
    pub(super) async fn merge(&self, discarded: &User, surviving: &User) -> Result<(), ApiError> {
        let body = MergedUsers { discarded: UserId { id: &discarded.id }, surviving: UserId { id: &surviving.id } };
        self.api.remove_by_post(&self.merge_url()?, &body).await
    }

    /// Deletes a user's personal information, and keeps the conversations.
    pub(super) async fn forget(&self, user: &User) -> Result<(), ApiError> {
        self.api.delete(&self.forget_url(user)?).await
    }

    /// Deletes a user and its conversations.
    pub(super) async fn delete(&self, user: &User) -> Result<(), ApiError> {
        self.api.delete(&self.delete_url(user)?).await
    }

    pub(super) fn create_url(&self) -> Result<Url, ApiError> {
        self.api.url(&["v2", "apps", &self.app_id, "users"], &[])
    }

    pub(super) fn merge_url(&self) -> Result<Url, ApiError> {
        self.api.url(&["v1.1", "apps", &self.app_id, "appusers", "merge"], &[])
    }

    pub(super) fn forget_url(&self, user: &User) -> Result<Url, ApiError> {
        self.users_url(&[&user.id, "personalinformation"], &[], None)
    }

    pub(super) fn delete_url(&self, user: &User) -> Result<Url, ApiError> {
        self.users_url(&[&user.id], &[], None)
    }

    /// A URL below the users of a brand, or else of the one in the settings.
    fn users_url(&self, segments: &[&str], query: &[(&str, &str)], brand_id: Option<&str>) -> Result<Url, ApiError> {
        let segments = [&["v2", "apps", &self.app_id, "users"], segments].concat();
        let brand = brand_id.or(self.brand_id.as_deref()).map(|brand_id| ("brandId", brand_id));
        let query: Vec<_> = query.iter().copied().chain(brand).collect();
        self.api.url(&segments, &query)
    }

    /// A URL below the conversations.
    fn conversations_url(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url, ApiError> {
        self.api.url(&[&["v2", "apps", &self.app_id, "conversations"], segments].concat(), query)
    }
}

/// A value that may be `null`.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What was found; `None` if the API does not have it.
fn existing<T>(result: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match result {
        Err(ApiError::NotFound) => Ok(None),
        found => found.map(Some),
    }
}

impl ConversationsResponse {
    /// The cursor of the next page. The link itself is not followed, since it could lead to another host.
    fn next(&mut self) -> Option<String> {
        let link = self.links.next.take().and_then(|link| Url::parse(&link).ok());
        let of_link =
            link.and_then(|link| Some(link.query_pairs().find(|(name, _)| name == "page[after]")?.1.into_owned()));
        self.meta.after_cursor.take().filter(|_| self.meta.has_more).or(of_link)
    }
}

impl User {
    /// Whether the user signed in with this login id.
    pub(super) fn has_login_id(&self, login_id: &str) -> bool {
        self.external_id.as_deref().is_some_and(|external_id| is_same_login_id(external_id, login_id))
    }

    /// Adds the user to a list, unless it is there already.
    pub(super) fn add_to(self, users: &mut Vec<Self>) {
        if !users.iter().any(|known| known.id == self.id) {
            users.push(self);
        }
    }

    /// The user's emails.
    pub fn emails(&self) -> impl Iterator<Item = &UserIdentity> {
        self.identities.iter().filter(|identity| identity.kind == "email")
    }
}

impl Messages {
    /// Whether the conversation has older messages.
    pub(super) const fn has_more(&self) -> bool {
        self.meta.has_more
    }
}
