//! `desk`: a page on loopback that finds and resolves conflicts in Messaging, and shows visitors of Chat.

mod chat;
mod guard;
mod job;
mod messaging;
mod setup;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::listen;
use crate::app::loopback::bind_loopback;
use crate::config::settings::FILE_VARIABLE;
use crate::config::{Limits, Problem, environment};
use crate::http::json::Json;
use crate::metrics::Metrics;
use crate::server::listener::Listener;
use crate::server::{self, stop_signal};
use crate::terminal::UsageError;

use super::api::ApiError;
use super::conversations::Conversations;
use super::messages::{ApiNames, CONVERSATIONS};
use super::{check, record, settings};

use guard::Guard;
use job::Work;

pub(super) const AFTER_HELP: &str = "\
The page finds the user of Messaging that has a player's email, and offers what can be done about it. It listens only on
loopback, and opens in the browser that gets the printed address first.

  zendesk-token desk --config desk.toml

Without a settings file, the page asks for the keys of Zendesk's APIs, and writes the file. In a container, --published names
the address of the host's loopback where the port is published:

  docker run --rm --publish 127.0.0.1:8002:8002 --user \"$(id -u):$(id -g)\" --volume \"$PWD:/desk\" zendesk-token-desk";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Loopback address and port of the page [default: 127.0.0.1:8002, or a free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Loopback address where the browser finds the page, if a container's port is published there; --listen may be any then
    #[arg(long, value_name = "ADDRESS", requires = "listen")]
    published: Option<SocketAddr>,

    /// Do not open the browser
    #[arg(long)]
    no_browser: bool,
}

/// The settings file without `--config`.
const DEFAULT_FILE: &str = "desk.toml";

/// Most bytes of a request's body. The longest has a pasted login token.
const MAX_BODY: usize = 64 << 10;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = concat!(include_str!("../app/palette.css"), include_str!("page/page.css"));
const SCRIPT: &str = include_str!("page/page.js");

/// The email and the login id in pasted text with a token, unverified.
#[derive(Default, Serialize)]
pub(crate) struct TokenPlayer {
    pub(crate) email: Option<String>,
    pub(crate) external_id: Option<String>,
}

/// What all requests share.
struct Desk {
    guard: Guard,
    /// The settings file, which may not exist yet.
    file: PathBuf,
    settings: Mutex<Settings>,
    work: Work,
    player_in: fn(&str) -> TokenPlayer,
}

/// The settings of the APIs that can be used.
#[derive(Clone, Default)]
struct Settings {
    conversations: Option<Arc<settings::Conversations>>,
    chat_api: Option<Arc<settings::ChatApi>>,
}

/// A refusal: `{"error": "what is wrong, and the fix"}`.
struct Failure(StatusCode, String);

/// The settings file is of something else.
#[derive(Debug, thiserror::Error)]
#[error("--config: {0} has neither [conversations] nor [chat_api]; add one, or name a file that does not exist yet")]
pub(super) struct NoSection(String);

/// Serves the page until SIGTERM, SIGINT or SIGHUP. Work that has begun is finished first.
pub(super) fn run(
    arguments: &Arguments,
    file: Option<&Path>,
    player_in: fn(&str) -> TokenPlayer,
) -> anyhow::Result<()> {
    let file = file.map(Path::to_owned).or_else(named_file).unwrap_or_else(|| DEFAULT_FILE.into());
    let settings = Settings::load(&file)?;
    Runtime::new()?.block_on(async {
        let (socket, address) = bind(arguments)?;
        let guard = Guard::new(address)?;
        let url = format!("http://{address}{}", guard.home());
        let desk = Desk { guard, file, settings: Mutex::new(settings), work: Work::default(), player_in };
        let desk = Arc::new(desk);
        writeln!(
            io::stdout(),
            "The support desk runs on this machine. Open its page:\n\n{url}\n\nPress Ctrl-C to stop."
        )?;
        if !arguments.no_browser {
            open_browser(&url);
        }
        serve(socket, &desk).await?;
        desk.work.finish().await;
        Ok(())
    })
}

/// The file that `ZENDESK_TOKEN_CONFIG` names.
fn named_file() -> Option<PathBuf> {
    let variable = environment().into_iter().find(|(name, _)| name == FILE_VARIABLE);
    variable.map(|(_, value)| value).filter(|value| !value.is_empty()).map(Into::into)
}

/// Binds the socket, and returns the address where the browser finds it.
fn bind(arguments: &Arguments) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let is_reachable = |address: Option<SocketAddr>| address.is_some_and(|address| !address.ip().is_loopback());
    if is_reachable(arguments.published) {
        return Err(UsageError("--published: must be a loopback address, for example 127.0.0.1:8002").into());
    }
    if let (Some(published), Some(address)) = (arguments.published, arguments.listen) {
        return Ok((listen(address, "--listen")?, published));
    }
    if is_reachable(arguments.listen) {
        let text =
            "--listen: must be a loopback address, for example 127.0.0.1:8002; in a container, give --published too";
        return Err(UsageError(text).into());
    }
    let socket = bind_loopback(arguments.listen, 8002)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// Opens a browser. If there is none, the printed address is enough.
fn open_browser(url: &str) {
    let (program, arguments): (_, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("cmd", &["/c", "start", ""])
    } else {
        ("xdg-open", &[])
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut child) = command.spawn() {
        thread::spawn(move || child.wait());
    }
}

async fn serve(socket: TcpListener, desk: &Arc<Desk>) -> anyhow::Result<()> {
    const SOON: Duration = Duration::from_secs(5);
    let limits = Limits {
        connections: 64,
        connections_per_client: 64,
        requests_in_flight: 64,
        header_bytes: 32 << 10,
        header_timeout: SOON,
        idle_timeout: SOON,
        request_timeout: SOON,
        drain: SOON,
        drain_delay: Duration::ZERO,
    };
    let (stop, mut hangup) = (stop_signal()?, signal(SignalKind::hangup())?);
    let stop = async move {
        tokio::select! {
            () = stop => {}
            // The terminal was closed. A container's first process would not notice otherwise.
            _ = hangup.recv() => {}
        }
    };
    let listener = Listener::internal("desk", socket, router(desk), limits, &Metrics::new());
    server::run(listener, Vec::<Listener<Router>>::new(), stop, || {}).await;
    Ok(())
}

fn router(desk: &Arc<Desk>) -> Router {
    let at = |path: &str| format!("{}{path}", desk.guard.home());
    Router::new()
        .route(&at(""), get(|| async { file("text/html; charset=utf-8", PAGE) }))
        .route(&at("page.css"), get(|| async { file("text/css; charset=utf-8", STYLE) }))
        .route(&at("page.js"), get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }))
        .route(&at("state"), get(state))
        .route(&at("settings"), post(setup::save))
        .route(&at("token"), post(token))
        .route(&at("find"), post(messaging::find))
        .route(&at("conversations"), post(messaging::conversations))
        .route(&at("messages"), post(messaging::messages))
        .route(&at("plan"), post(job::plan))
        .route(&at("resolve"), post(job::resolve))
        .route(&at("job"), get(job::job))
        .route(&at("record"), get(job::record))
        .route(&at("visitor"), post(chat::visitor))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        // Other paths need no check: their 404 reveals nothing.
        .route_layer(middleware::from_fn_with_state(Arc::clone(desk), guard::check))
        .fallback(|| async { guard::explain(StatusCode::NOT_FOUND) })
        .layer(CatchPanicLayer::custom(|_| guard::explain(StatusCode::INTERNAL_SERVER_ERROR)))
        // Outermost, so that refusals have them too.
        .layer(middleware::map_response(guard::set_headers))
        .with_state(Arc::clone(desk))
}

fn file(content_type: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, content_type)], text).into_response()
}

/// What the page shows first.
#[derive(Serialize)]
struct PageState<'a> {
    csrf: &'a str,
    conversations: Option<ApiState>,
    chat_api: Option<ApiState>,
    settings_file: String,
    /// Where records are saved.
    folder: String,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ApiState {
    url: String,
    app_id: Option<String>,
    brand_id: Option<String>,
}

async fn state(State(desk): State<Arc<Desk>>) -> Response {
    let Settings { conversations, chat_api } = desk.settings().clone();
    let of_conversations = conversations.iter().flat_map(|settings| &settings.warnings);
    let warnings = of_conversations.chain(chat_api.iter().flat_map(|settings| &settings.warnings));
    Json(PageState {
        csrf: desk.guard.csrf(),
        warnings: warnings.map(Problem::to_string).collect(),
        conversations: conversations.map(|settings| ApiState {
            url: settings.endpoint.url.clone(),
            app_id: Some(settings.app_id.clone()),
            brand_id: settings.brand_id.clone(),
        }),
        chat_api: chat_api.map(|settings| ApiState {
            url: settings.endpoint.url.clone(),
            app_id: None,
            brand_id: None,
        }),
        settings_file: desk.file.display().to_string(),
        folder: desk.folder().display().to_string(),
    })
    .into_response()
}

#[derive(Deserialize)]
struct Pasted {
    token: String,
}

/// Reads the player from a pasted token.
async fn token(State(desk): State<Arc<Desk>>, body: Bytes) -> Result<Response, Failure> {
    let Pasted { token } = read(&body)?;
    let player = (desk.player_in)(&token);
    if player.email.is_none() && player.external_id.is_none() {
        return Err(Failure::unusable(
            "the text has no token with an email or a login id; paste the whole login token",
        ));
    }
    Ok(Json(player).into_response())
}

/// Reads a request's body.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| Failure(StatusCode::BAD_REQUEST, "the request is not the page's".into()))
}

impl Desk {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of the settings file, where records are saved too.
    fn folder(&self) -> &Path {
        record::folder(&self.file)
    }

    /// A client of the Sunshine Conversations API.
    fn conversations(&self, on_retry: impl Fn(String) + Send + Sync + 'static) -> Result<Conversations, Failure> {
        let settings = self.settings().conversations.clone();
        let settings =
            settings.ok_or_else(|| Failure::unusable("the settings have no [conversations]; add that section"))?;
        let client = Conversations::new(&settings, move |retry| on_retry(CONVERSATIONS.retry_text(retry)));
        client.map_err(|error| Failure::unusable(error.to_string()))
    }
}

impl Settings {
    /// Loads the sections that a settings file or the environment has. Without any, the page asks for them.
    fn load(path: &Path) -> anyhow::Result<Self> {
        let file = path.exists().then_some(path);
        // The variable that names the file must not be followed to a file that does not exist yet.
        let variables = || environment().into_iter().filter(|(name, _)| name != FILE_VARIABLE).collect::<Vec<_>>();
        let check::Desk { conversations, chat_api } = check::Desk::load(file, variables)?;
        if file.is_some() && conversations.is_none() && chat_api.is_none() {
            return Err(NoSection(path.display().to_string()).into());
        }
        Ok(Self { conversations: conversations.map(Arc::new), chat_api: chat_api.map(Arc::new) })
    }
}

impl Failure {
    /// The request is understood, but can't be carried out.
    fn unusable(text: impl Into<String>) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, text.into())
    }

    /// A failed call of an API; `not_found` says what the API does not have.
    fn of_api(api: &ApiNames, error: &ApiError, not_found: &str) -> Self {
        if *error == ApiError::NotFound {
            Self(StatusCode::NOT_FOUND, not_found.to_owned())
        } else {
            Self(StatusCode::BAD_GATEWAY, api.failure(error).0)
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: String,
        }
        (self.0, Json(Body { error: self.1 })).into_response()
    }
}
