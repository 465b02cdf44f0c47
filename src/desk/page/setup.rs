//! The first start: checks the settings of the form, tries the keys, and writes the settings file.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, Problem, Source, Variables, settings as table};
use crate::desk::check::{try_chat_api, try_conversations};
use crate::desk::record::save_new;
use crate::desk::settings::{ChatApi, Conversations};
use crate::http::json::Json;

use super::{Body, Desk, Failure, Settings};

#[derive(Deserialize)]
pub(super) struct Form {
    conversations: Option<ConversationsForm>,
    chat_api: Option<ChatForm>,
}

#[derive(Deserialize)]
struct ConversationsForm {
    zendesk: String,
    app_id: String,
    key_id: String,
    key_secret: String,
    brand_id: String,
}

#[derive(Deserialize)]
struct ChatForm {
    zendesk: String,
    token: String,
}

/// The settings file.
#[derive(Serialize)]
struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    conversations: Option<Section>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat_api: Option<Section>,
}

/// The settings of a section that are set.
type Section = BTreeMap<&'static str, String>;

/// A problem with one field of the form.
#[derive(Serialize)]
struct FieldProblem {
    /// Section and field, such as `conversations.app_id`.
    field: String,
    text: String,
}

#[derive(Serialize)]
struct Problems {
    error: &'static str,
    problems: Vec<FieldProblem>,
}

pub(super) async fn save(State(desk): State<Arc<Desk>>, Body(form): Body<Form>) -> Result<Response, Failure> {
    if desk.settings().conversations.is_some() || desk.settings().chat_api.is_some() {
        return Err(Failure(StatusCode::CONFLICT, "there are settings already; load the page again".to_owned()));
    }
    let file = File { conversations: form.conversations.map(section_of), chat_api: form.chat_api.map(chat_section_of) };
    if file.conversations.is_none() && file.chat_api.is_none() {
        return Err(Failure::unusable("the form is empty; give the keys of Messaging, of Chat, or of both"));
    }
    let (conversations, chat_api) = match load(&file) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let body = Problems { error: "some values can't be right", problems };
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response());
        }
    };
    try_keys(conversations.as_ref(), chat_api.as_ref()).await?;
    let text = toml::to_string(&file).map_err(|_| Failure::unusable("a value can't be written to a TOML file"))?;
    let text = format!(
        "# Settings of zendesk-token desk, with the keys of Zendesk's APIs: keep this file private.\n\n{}",
        text.trim_end()
    );
    save_new(&desk.file, &text).map_err(|error| {
        let path = desk.file.display();
        if error.kind() == ErrorKind::AlreadyExists {
            let text = format!("{path} was written in the meantime; stop the support desk and start it again");
            return Failure(StatusCode::CONFLICT, text);
        }
        Failure::unusable(format!("can't write {path} ({error}); start the desk in a folder that you can write to"))
    })?;
    *desk.settings() = Settings { conversations: conversations.map(Arc::new), chat_api: chat_api.map(Arc::new) };
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn section_of(form: ConversationsForm) -> Section {
    let ConversationsForm { zendesk, app_id, key_id, key_secret, brand_id } = form;
    section([
        endpoint(&zendesk),
        ("app_id", app_id),
        ("key_id", key_id),
        ("key_secret", key_secret),
        ("brand_id", brand_id),
    ])
}

fn chat_section_of(form: ChatForm) -> Section {
    section([endpoint(&form.zendesk), ("token", form.token)])
}

/// The values that are not empty, without white space around them.
fn section<const N: usize>(values: [(&'static str, String); N]) -> Section {
    let trimmed = values.into_iter().map(|(name, value)| (name, value.trim().to_owned()));
    trimmed.filter(|(_, value)| !value.is_empty()).collect()
}

/// Reads an account from its name, its host or the address of one of its pages; otherwise the URL of an API.
fn endpoint(zendesk: &str) -> (&'static str, String) {
    let zendesk = zendesk.trim();
    let address = if zendesk.contains("://") { zendesk.to_owned() } else { format!("https://{zendesk}") };
    let address = Url::parse(&address).ok().filter(|address| address.port().is_none());
    let account = address.as_ref().and_then(|address| address.host_str()?.strip_suffix(".zendesk.com"));
    let key = if account.is_none() && zendesk.contains("://") { "base_url" } else { "subdomain" };
    (key, account.unwrap_or(zendesk).to_owned())
}

/// Checks the values as a settings file's.
fn load(file: &File) -> Result<(Option<Conversations>, Option<ChatApi>), Vec<FieldProblem>> {
    let variables = |name: &str, section: &Section| -> Variables {
        let variable =
            |(key, value): (&&str, &String)| (table::variable(&format!("{name}.{key}")).into(), value.into());
        section.iter().map(variable).collect()
    };
    let conversations =
        file.conversations.as_ref().map(|section| Conversations::load(None, &variables("conversations", section)));
    let chat_api = file.chat_api.as_ref().map(|section| ChatApi::load(None, &variables("chat_api", section)));
    match (conversations.transpose(), chat_api.transpose()) {
        (Ok(conversations), Ok(chat_api)) => Ok((conversations, chat_api)),
        (conversations, chat_api) => {
            let errors = conversations.err().into_iter().chain(chat_api.err());
            Err(errors.flat_map(|ConfigError { problems, .. }| problems).map(field_problem).collect())
        }
    }
}

fn field_problem(problem: Problem) -> FieldProblem {
    let (section, name) = problem.key.split_once('.').unwrap_or((&problem.key, ""));
    let name = if name == "subdomain" || name == "base_url" { "zendesk" } else { name.trim_end_matches("_file") };
    // The text of a missing setting is about the settings file.
    let text = if problem.source == Source::Missing { "is needed".to_owned() } else { problem.what };
    FieldProblem { field: format!("{section}.{name}"), text }
}

async fn try_keys(conversations: Option<&Conversations>, chat_api: Option<&ChatApi>) -> Result<(), Failure> {
    let mut failures = Vec::new();
    if let Some(settings) = conversations {
        failures.extend(try_conversations(settings).await.err());
    }
    if let Some(settings) = chat_api {
        failures.extend(try_chat_api(settings).await.err());
    }
    let texts: Vec<String> = failures.iter().map(|error| format!("{error:#}")).collect();
    if texts.is_empty() { Ok(()) } else { Err(Failure::unusable(texts.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn an_account_is_known_by_its_name_its_host_or_its_url() {
        for written in [
            "acme",
            " acme ",
            "acme.zendesk.com",
            "acme.zendesk.com/agent",
            "https://acme.zendesk.com",
            "https://acme.zendesk.com/agent/tickets/1?x#y",
            "http://Acme.zendesk.com/",
            "https://acme.zendesk.com/sc",
        ] {
            assert_eq!(endpoint(written), ("subdomain", "acme".to_owned()), "{written}");
        }
        for written in
            ["https://api.smooch.io", "http://127.0.0.1:80/sc", "https://acme.zendesk.com:8443/sc", "https://"]
        {
            assert_eq!(endpoint(written), ("base_url", written.to_owned()));
        }
        for written in ["", "a b", "acme.example", "acme/zendesk"] {
            assert_eq!(endpoint(written), ("subdomain", written.to_owned()));
        }
    }
}
