//! Shows a visitor of Chat.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::desk::chat_api::ChatApi;
use crate::desk::messages::CHAT_API;
use crate::desk::visitor::{Shown, no_visitor};
use crate::http::json::Json;

use super::{Body, Desk, Failure};

#[derive(Deserialize)]
pub(super) struct OneVisitor {
    id: String,
    /// The login id that the player has now.
    expect: Option<String>,
}

#[derive(Serialize)]
struct ShownWithSentences<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    sentences: Vec<String>,
}

pub(super) async fn visitor(
    State(desk): State<Arc<Desk>>,
    Body(OneVisitor { id, expect }): Body<OneVisitor>,
) -> Result<Response, Failure> {
    let id = id.trim();
    let expect = expect.as_deref().map(str::trim).filter(|expect| !expect.is_empty());
    let settings = desk.settings().chat_api.clone();
    let settings = settings.ok_or_else(|| Failure::unusable("the settings have no key of Chat"))?;
    let api = ChatApi::new(&settings, Box::new(|_| {})).map_err(|error| Failure::unusable(error.to_string()))?;
    let visitor = api.visitor(id).await.map_err(|error| Failure::of_api(&CHAT_API, &error, &no_visitor(id)))?;
    let shown = Shown::new(id, expect, &visitor);
    let sentences = shown.sentences();
    Ok(Json(ShownWithSentences { shown, sentences }).into_response())
}
