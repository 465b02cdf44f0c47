//! `desk`: a page on loopback that finds and resolves conflicts in Messaging, and shows visitors of Chat.

mod chat;
mod browser;
mod guard;
mod job;
mod messaging;
mod setup;

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::ensure;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::app::listen;
use crate::app::loopback::bind_loopback;
use crate::config::reader::Reader;
use crate::config::settings::FILE_VARIABLE;
use crate::config::{Limits, Problem, environment};
use crate::http::json::Json;
use crate::metrics::Metrics;
use crate::server;
use crate::server::listener::Listener;
use crate::server::signals::{Hangup, stop_signal};
use crate::terminal::{UsageError, block_on, print};
use crate::zendesk::signing_key::random_id;

use super::api::{ApiError, OnRetry};
use super::conversations::Conversations;
use super::messages::ApiNames;
use super::{check, settings};

use browser::RedirectFile;
use guard::Guard;
use job::Work;

pub(super) const AFTER_HELP: &str = "\
The page finds the user of Messaging that has a player's email, and offers what can be done about it. It listens only on
loopback, and works only in the browser that opens the printed address first.

  zendesk-token desk --config desk.toml

Without a settings file, the page asks for the keys of Zendesk's APIs, and writes the file. In a container, --published names
the address of the host's loopback where the port is published:

  docker run --rm --publish 127.0.0.1:8002:8002 --user \"$(id -u):$(id -g)\" --volume \"$PWD:/desk\" zendesk-token-desk";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Loopback address and port of the page [default: 127.0.0.1:8002, or a free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Loopback address of the host where a container's port is published; --listen may be any address then
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

/// Longest time of a request: several calls of an API, of a minute each.
const MAX_TIME: Duration = Duration::from_mins(5);

const NO_PAGE: &str =
    "There is no page of the support desk here. Its address is new at each start: use the one of the last start.\n";
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
    /// Where the browser is sent from.
    redirect: RedirectFile,
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

/// A request's JSON.
struct Body<T>(T);

/// A refusal: `{"error": "what is wrong, and the fix"}`.
#[derive(Debug)]
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
    block_on(async {
        let (socket, address) = bind(arguments)?;
        let guard = Guard::new(address)?;
        let url = format!("http://{address}{}", guard.home());
        let (settings, work) = (Mutex::new(settings), Work::default());
        let desk = Arc::new(Desk { guard, redirect: RedirectFile::default(), file, settings, work, player_in });
        print(format!("The support desk runs on this machine. Open its page:\n\n{url}\n\nPress Ctrl-C to stop.\n"))?;
        if !arguments.no_browser {
            desk.redirect.open(&desk.beside_settings(&format!("support-desk-{}.html", random_id()?)), &url);
        }
        serve(socket, &desk).await?;
        desk.redirect.remove();
        ensure!(desk.work.running().is_none(), "stopped before the work has ended; look at the users in a new start");
        Ok(())
    })?
}

/// The file that `ZENDESK_TOKEN_CONFIG` names.
fn named_file() -> Option<PathBuf> {
    environment().remove(OsStr::new(FILE_VARIABLE)).filter(|path| !path.is_empty()).map(Into::into)
}

/// Binds the socket, and returns the address where the browser finds it.
fn bind(arguments: &Arguments) -> anyhow::Result<(TcpListener, SocketAddr)> {
    if let (Some(published), Some(address)) = (arguments.published, arguments.listen) {
        if !published.ip().is_loopback() {
            return Err(UsageError("--published: must be a loopback address, for example 127.0.0.1:8002").into());
        }
        return Ok((listen(address, "--listen")?, published));
    }
    let refusal =
        "--listen: must be a loopback address, for example 127.0.0.1:8002; in a container, give --published too";
    let socket = bind_loopback(arguments.listen, 8002, UsageError(refusal))?;
    let address = socket.local_addr()?;
    Ok((socket, address))
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
    let first = end_signal()?;
    let stop = async {
        first.await;
        match end_signal() {
            Ok(second) => tokio::select! {
                () = desk.work.finish() => {}
                () = second => {}
            },
            Err(_) => desk.work.finish().await,
        }
    };
    let listener = Listener::internal("desk", socket, router(desk), limits, &Metrics::new());
    server::run(listener, Vec::new(), stop, || {}).await;
    Ok(())
}

/// Resolves at a signal that ends the desk, or when its terminal is closed: as PID 1 of a container it would not end otherwise.
fn end_signal() -> io::Result<impl Future<Output = ()>> {
    let (stop, mut hangup) = (stop_signal()?, Hangup::catch()?);
    Ok(async move {
        tokio::select! {
            () = stop => {}
            () = hangup.recv() => {}
        }
    })
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
        .route(&at("jobs/{plan}"), get(job::job))
        .route(&at("records/{plan}"), get(job::record))
        .route(&at("visitor"), post(chat::visitor))
        .method_not_allowed_fallback(|| async { Failure::of_status(StatusCode::METHOD_NOT_ALLOWED) })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, MAX_TIME))
        // Other paths need no check: their 404 reveals nothing.
        .route_layer(middleware::from_fn_with_state(Arc::clone(desk), guard::check))
        .fallback(|| async { (StatusCode::NOT_FOUND, NO_PAGE) })
        .layer(CatchPanicLayer::custom(|_| Failure::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response()))
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
    /// The plan that is being carried out.
    running: Option<String>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ApiState {
    url: String,
    brand_id: Option<String>,
}

async fn state(State(desk): State<Arc<Desk>>) -> Response {
    let Settings { conversations, chat_api } = desk.settings().clone();
    let of_conversations = conversations.iter().flat_map(|settings| &settings.warnings);
    let warnings = of_conversations.chain(chat_api.iter().flat_map(|settings| &settings.warnings));
    Json(PageState {
        csrf: desk.guard.csrf(),
        warnings: warnings.map(Problem::to_string).collect(),
        conversations: conversations
            .map(|settings| ApiState { url: settings.endpoint.url.clone(), brand_id: settings.brand_id.clone() }),
        chat_api: chat_api.map(|settings| ApiState { url: settings.endpoint.url.clone(), brand_id: None }),
        settings_file: desk.file.display().to_string(),
        running: desk.work.running(),
    })
    .into_response()
}

#[derive(Deserialize)]
struct PastedText {
    token: String,
}

/// Reads the player from a pasted token.
async fn token(
    State(desk): State<Arc<Desk>>,
    Body(PastedText { token }): Body<PastedText>,
) -> Result<Response, Failure> {
    let player = (desk.player_in)(&token);
    if player.email.is_none() && player.external_id.is_none() {
        return Err(Failure::unusable(
            "the text has no token with an email or a login id; paste the whole login token",
        ));
    }
    Ok(Json(player).into_response())
}

impl Desk {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file in the folder of the settings file.
    fn beside_settings(&self, name: &str) -> PathBuf {
        self.file.with_file_name(name)
    }

    /// A client of the Sunshine Conversations API.
    fn conversations(&self) -> Result<Conversations, Failure> {
        self.conversations_with(Box::new(|_| {}))
    }

    fn conversations_with(&self, on_retry: OnRetry) -> Result<Conversations, Failure> {
        let settings = self.settings().conversations.clone();
        let settings = settings.ok_or_else(|| Failure::unusable("the settings have no key of Messaging"))?;
        Conversations::new(&settings, on_retry).map_err(|error| Failure::unusable(error.to_string()))
    }
}

impl Settings {
    /// Loads the sections that a settings file or the environment has. Without any, the page asks for them.
    fn load(path: &Path) -> anyhow::Result<Self> {
        // A link that leads nowhere, or a folder that can't be read, is a problem of the file and not its absence.
        let is_new = path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let file = (!is_new).then_some(path);
        // The variable that names the file must not be followed to a file that does not exist yet.
        let mut variables = environment();
        variables.remove(OsStr::new(FILE_VARIABLE));
        let check::Desk { conversations, chat_api } = check::Desk::of(&Reader::merge(file, &variables))?;
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

    /// A refusal that no route has.
    fn of_status(status: StatusCode) -> Self {
        let text = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "the text is too long; paste only the token",
            status if status.is_client_error() => "the request is not the page's; load the page again",
            _ => "the support desk failed; load the page again",
        };
        Self(status, text.to_owned())
    }

    /// A failed call of an API; `not_found` says what the API does not have.
    fn of_api(api: &ApiNames, error: &ApiError, not_found: &str) -> Self {
        match error {
            ApiError::NotFound => Self(StatusCode::NOT_FOUND, not_found.to_owned()),
            ApiError::InvalidId => Self::unusable("the id is empty, '.' or '..'"),
            ApiError::Refused(_) if !error.is_temporary() => {
                Self(StatusCode::BAD_GATEWAY, api.failure(error).0 + ". Ask your engineer")
            }
            ApiError::Call(_) | ApiError::Refused(_) | ApiError::UnexpectedResponse => {
                Self(StatusCode::BAD_GATEWAY, api.failure(error).0)
            }
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        // A form of another site can't send this type.
        if request.headers().get(CONTENT_TYPE) != Some(&HeaderValue::from_static("application/json")) {
            return Err(Failure::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|rejection| Failure::of_status(rejection.status()))?;
        serde_json::from_slice(&body).map(Self).map_err(|_| Failure::of_status(StatusCode::BAD_REQUEST))
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
