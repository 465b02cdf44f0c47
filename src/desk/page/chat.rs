//! Shows a visitor of Chat.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::desk::api::ApiError;
use crate::desk::chat_api::ChatApi;
use crate::desk::messages::CHAT_API;
use crate::desk::visitor::{Shown, no_visitor};
use crate::http::json::Json;

use super::{Desk, Failure, read};

#[derive(Deserialize)]
struct Wanted {
    id: String,
    expect: Option<String>,
}

#[derive(Serialize)]
struct ShownWithSentences<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    sentences: Vec<String>,
}

pub(super) async fn visitor(State(desk): State<Arc<Desk>>, body: Bytes) -> Result<Response, Failure> {
    let Wanted { id, expect } = read(&body)?;
    let id = id.trim();
    let expect = expect.as_deref().map(str::trim).filter(|expect| !expect.is_empty());
    let settings = desk.settings().chat_api.clone();
    let settings = settings.ok_or_else(|| Failure::unusable("the settings have no [chat_api]; add that section"))?;
    let api = ChatApi::new(&settings, |_| {}).map_err(|error| Failure::unusable(error.to_string()))?;
    let visitor = match api.visitor(id).await {
        Err(ApiError::InvalidId) => Err(Failure::unusable("the id is empty, '.' or '..'; give the visitor's id")),
        visitor => visitor.map_err(|error| Failure::of_api(&CHAT_API, &error, &no_visitor(id))),
    }?;
    let shown = Shown::new(id, expect, &visitor);
    let sentences = shown.sentences();
    Ok(Json(ShownWithSentences { shown, sentences }).into_response())
}
