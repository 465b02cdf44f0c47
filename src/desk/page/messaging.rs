//! Finds the users of Messaging that have a player's email, and shows their conversations.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::desk::api::ApiError;
use crate::desk::conversations::{self as api, Conversation, Conversations, User};
use crate::desk::finding::{Activity, Finding, activity};
use crate::desk::messages::{CONVERSATIONS, no_user};
use crate::desk::remedy::{OTHER_BRAND, REMEDIES, Remedy};
use crate::http::json::Json;

use super::{Desk, Failure, read};

/// Most pages of conversations that are read for one user: 1,000 conversations.
const MAX_PAGES: usize = 10;

#[derive(Deserialize)]
struct Player {
    email: String,
    expect: String,
}

#[derive(Serialize)]
struct Found {
    sentence: String,
    conflict: bool,
    users: Vec<FoundUser>,
}

#[derive(Serialize)]
struct FoundUser {
    #[serde(flatten)]
    user: User,
    role: Role,
    #[serde(flatten)]
    activity: Activity,
    remedies: Vec<Offer>,
}

/// What a user is in a conflict.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    /// Has the email, but another login id than the player.
    Old,
    /// Has the player's login id.
    Present,
    /// Has the email, and never signed in.
    Other,
}

/// A remedy, and why it is not possible.
#[derive(Serialize)]
struct Offer {
    name: &'static str,
    title: &'static str,
    keeps: &'static [&'static str],
    loses: &'static [&'static str],
    why_not: Option<&'static str>,
}

#[derive(Deserialize)]
struct WantedUser {
    user: String,
}

#[derive(Serialize)]
struct ConversationList {
    conversations: Vec<Conversation>,
    more: bool,
}

#[derive(Deserialize)]
struct WantedConversation {
    conversation: String,
}

#[derive(Serialize)]
struct MessageList {
    messages: Vec<Message>,
    more: bool,
}

#[derive(Serialize)]
struct Message {
    by: String,
    is_user: bool,
    received: Option<String>,
    /// `None` for a message without text, such as a file.
    text: Option<String>,
    kind: String,
}

pub(super) fn failure(error: &ApiError) -> Failure {
    Failure::of_api(&CONVERSATIONS, error, "Messaging does not have this user or conversation any more; look again")
}

/// The users that have an email, and the player's present user.
pub(super) async fn find(State(desk): State<Arc<Desk>>, body: Bytes) -> Result<Response, Failure> {
    let Player { email, expect } = read(&body)?;
    let (email, expect) = (email.trim(), expect.trim());
    if !email.contains('@') {
        return Err(Failure::unusable("the email has no @; give the player's whole email"));
    }
    if expect.is_empty() {
        return Err(Failure::unusable("the login id is empty; give the one that the player has now"));
    }
    let conversations = desk.conversations(|_| {})?;
    let finding = Finding::load(&conversations, email, Some(expect)).await.map_err(|error| failure(&error))?;
    let present = present_user(&conversations, &finding, expect).await.map_err(|error| failure(&error))?;
    let mut users = Vec::new();
    for user in finding.users.iter().chain(present.as_ref().filter(|user| !finding.users.contains(user))) {
        let role = match &user.external_id {
            Some(external_id) if external_id == expect => Role::Present,
            Some(_) => Role::Old,
            None => Role::Other,
        };
        let activity = activity(&conversations, user, MAX_PAGES, |_| {}).await.map_err(|error| failure(&error))?;
        let offers = REMEDIES.map(|remedy| offer(remedy, user, present.as_ref()));
        let remedies = if role == Role::Old { Vec::from(offers) } else { Vec::new() };
        users.push(FoundUser { user: user.clone(), role, activity, remedies });
    }
    let conflict = finding.is_conflict() == Some(true);
    Ok(Json(Found { sentence: finding.sentence(), conflict, users }).into_response())
}

/// The user with the player's login id.
async fn present_user(
    conversations: &Conversations,
    finding: &Finding<'_>,
    expect: &str,
) -> Result<Option<User>, ApiError> {
    let has_login_id = |user: &User| user.external_id.as_deref() == Some(expect);
    if let Some(user) = finding.users.iter().find(|user| has_login_id(user)) {
        return Ok(Some(user.clone()));
    }
    // A user's brand is known only from the users that were found.
    let brand_id = finding.users.iter().find_map(|user| user.brand_id.as_deref());
    let found = conversations.show_in_brand(expect, brand_id).await?;
    Ok(found.map(|record| record.user).filter(has_login_id))
}

fn offer(remedy: Remedy, old: &User, present: Option<&User>) -> Offer {
    let is_of_other_brand = present.is_some_and(|present| present.brand_id != old.brand_id);
    let why_not = (remedy == Remedy::Merge && is_of_other_brand).then_some(OTHER_BRAND);
    Offer { name: remedy.name(), title: remedy.title(), keeps: remedy.keeps(), loses: remedy.loses(), why_not }
}

/// The conversations of a user, the latest first.
pub(super) async fn conversations(State(desk): State<Arc<Desk>>, body: Bytes) -> Result<Response, Failure> {
    let WantedUser { user } = read(&body)?;
    let client = desk.conversations(|_| {})?;
    let record = client.show(&user).await;
    let record = record.map_err(|error| Failure::of_api(&CONVERSATIONS, &error, &no_user(&user)))?;
    let list = client.conversations(&record.user, MAX_PAGES, |_| {}).await.map_err(|error| failure(&error))?;
    let (mut conversations, more) = list;
    conversations.sort_by(|one, other| other.last_updated_at.cmp(&one.last_updated_at));
    Ok(Json(ConversationList { conversations, more }).into_response())
}

/// The newest messages of a conversation.
pub(super) async fn messages(State(desk): State<Arc<Desk>>, body: Bytes) -> Result<Response, Failure> {
    let WantedConversation { conversation } = read(&body)?;
    let list = desk.conversations(|_| {})?.messages(&conversation).await.map_err(|error| failure(&error))?;
    let more = list.has_more();
    let message = |message: api::Message| {
        let is_user = message.author.kind == "user";
        let nameless = if is_user { "Player" } else { "Support" };
        Message {
            by: message.author.display_name.filter(|name| !name.is_empty()).unwrap_or_else(|| nameless.to_owned()),
            is_user,
            received: message.received,
            text: message.content.text,
            kind: message.content.kind,
        }
    };
    Ok(Json(MessageList { messages: list.messages.into_iter().map(message).collect(), more }).into_response())
}
