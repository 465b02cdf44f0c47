//! Finds the users of Messaging that have a player's email, and shows their conversations.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::desk::api::{ApiError, Refusal};
use crate::desk::conversations::{self as api, Conversation, User};
use crate::desk::finding::{Activity, Finding, activity};
use crate::desk::messages::CONVERSATIONS;
use crate::desk::remedy::{PlanError, REMEDIES, Remedy, Target};
use crate::http::json::Json;

use super::{Body, Desk, Failure};

/// Most pages of conversations that are read for one user: 1,000 conversations.
const MAX_PAGES: usize = 10;

#[derive(Deserialize)]
pub(super) struct Player {
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
pub(super) struct OneUser {
    user: String,
}

#[derive(Serialize)]
struct ConversationList {
    conversations: Vec<Conversation>,
    more: bool,
}

#[derive(Deserialize)]
pub(super) struct OneConversation {
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

/// The users that have an email, and the player's present users.
pub(super) async fn find(State(desk): State<Arc<Desk>>, Body(player): Body<Player>) -> Result<Response, Failure> {
    let (email, expect) = (player.email.trim(), player.expect.trim());
    if !email.contains('@') {
        return Err(Failure::unusable("the email has no @; give the player's whole email"));
    }
    if expect.is_empty() {
        return Err(Failure::unusable("the login id is empty; give the one that the player has now"));
    }
    let conversations = desk.conversations()?;
    let finding = Finding::load(&conversations, email, Some(expect)).await.map_err(|error| failure(&error))?;
    let mut users = finding.users.clone();
    let mut merges = BTreeMap::new();
    for old in finding.conflicting() {
        match Target::find(&conversations, old, expect).await {
            Ok(Target::New(_)) => {}
            Ok(Target::Existing(present)) => present.add_to(&mut users),
            Err(PlanError::NotALoginId(why)) => return Err(Failure::unusable(format!("the present login id {why}"))),
            Err(PlanError::Impossible(why)) => drop(merges.insert(old.id.clone(), why)),
            Err(PlanError::Api(error)) => return Err(failure(&error)),
        }
    }
    let is_present = |user: &User| user.has_login_id(expect);
    if !users.iter().any(is_present) {
        let found = conversations.show_in_brand(expect, None).await.map_err(|error| failure(&error))?;
        users.extend(found.map(|record| record.user).filter(is_present));
    }
    let mut shown = Vec::new();
    for user in users {
        let role = match &user.external_id {
            Some(_) if is_present(&user) => Role::Present,
            Some(_) => Role::Old,
            None => Role::Other,
        };
        let activity = activity(&conversations, &user, MAX_PAGES, |_| {}).await.map_err(|error| failure(&error))?;
        let offers = REMEDIES.map(|remedy| offer(remedy, merges.get(&user.id).copied()));
        let remedies = if role == Role::Old { Vec::from(offers) } else { Vec::new() };
        shown.push(FoundUser { user, role, activity, remedies });
    }
    let conflict = finding.is_conflict() == Some(true);
    Ok(Json(Found { sentence: finding.sentence(), conflict, users: shown }).into_response())
}

/// A remedy, with why a merge is not possible.
fn offer(remedy: Remedy, why_no_merge: Option<&'static str>) -> Offer {
    let why_not = why_no_merge.filter(|_| remedy == Remedy::Merge);
    Offer { name: remedy.name(), title: remedy.title(), keeps: remedy.keeps(), loses: remedy.loses(), why_not }
}

/// The conversations of a user, the latest first.
pub(super) async fn conversations(
    State(desk): State<Arc<Desk>>,
    Body(OneUser { user }): Body<OneUser>,
) -> Result<Response, Failure> {
    let list = desk.conversations()?.conversations(&user, MAX_PAGES, |_| {}).await;
    let (mut conversations, more) = list.map_err(|error| failure(&error))?;
    conversations.sort_by(|one, other| other.last_updated_at.cmp(&one.last_updated_at));
    Ok(Json(ConversationList { conversations, more }).into_response())
}

/// The newest messages of a conversation.
pub(super) async fn messages(
    State(desk): State<Arc<Desk>>,
    Body(OneConversation { conversation }): Body<OneConversation>,
) -> Result<Response, Failure> {
    let list = desk.conversations()?.messages(&conversation).await.map_err(|error| {
        // The code for a conversation that is gone is documented nowhere.
        let is_gone = matches!(&error, ApiError::Refused(Refusal { status: 404, code: Some(code), .. }) if code != "app_not_found");
        failure(if is_gone { &ApiError::NotFound } else { &error })
    })?;
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
