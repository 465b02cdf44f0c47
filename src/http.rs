//! The routers of the public and of the admin listener, and the layers that every public request passes.

mod accept;
mod access_log;
pub mod admin;
mod check;
pub mod client_ip;
pub mod credentials;
pub mod document;
pub mod error;
pub mod health;
pub mod json;
mod live_router;
pub mod openapi;
pub mod origin;
pub mod rate_limit;
pub mod per_client;
mod request_id;
pub mod script;
mod state;
pub mod support_sdk;
pub mod token;
mod traceparent;

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{CACHE_CONTROL, HeaderValue, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use tower::layer::util::Identity;
use tower::{Layer, Service, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::limit::{RequestBodyLimitLayer, ResponseBody};
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::products::PRODUCTS;
use crate::exchange::ExchangeError;

use access_log::{AccessLogLayer, Client};
use check::{CheckLayer, check};
use document::CROSS_ORIGIN_RESOURCE_POLICY;
use error::{ApiError, Reason};
use request_id::RandomId;

use state::Counted;

pub use live_router::LiveRouter;
pub use state::AppState;

/// The status of `TimeoutLayer`'s answer, which no handler gives.
const TIMED_OUT: StatusCode = StatusCode::GATEWAY_TIMEOUT;

/// The public listener's routes.
pub fn router(state: Arc<AppState>) -> Router {
    let pages = with_layers(pages().into(), origin::cors(&state), refuse(&state, Asker::Page), &state);
    // No page has a reason to call it.
    let servers = for_zendesks_servers(servers().into());
    let servers = with_layers(servers, CorsLayer::new(), refuse(&state, Asker::Server), &state);
    // For anybody: they say nothing of anybody. Paths that are not served stand here too, so that a request for one spends no rate limit.
    let documents = Router::from(for_anybody()).fallback(not_found);
    let documents = with_layers(documents, origin::cors(&state), Identity::new(), &state);
    pages.merge(servers).merge(documents.layer(map_response(document::same_for_all))).with_state(state)
}

/// The routes for the shop's pages.
fn pages() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new()
        .routes(routes!(token::chat))
        .routes(routes!(token::messaging))
        .routes(routes!(token::help_center))
}

/// The route for Zendesk's servers.
fn servers() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(support_sdk::token))
}

/// The routes that anybody may ask: the documents, and the one of probes.
fn for_anybody() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new()
        .routes(routes!(script::answer))
        .routes(routes!(openapi::answer))
        .routes(routes!(health::answer))
}

/// Whether a path would be a route's with single slashes and none at its end.
fn has_only_slashes_wrong(path: &str) -> bool {
    fn names(path: &str) -> impl Iterator<Item = &str> {
        path.split('/').filter(|name| !name.is_empty())
    }
    let mut routes = PRODUCTS.map(token::path).into_iter().chain([script::PATH, openapi::PATH, health::PATH]);
    routes.any(|route| names(route).eq(names(path)))
}

/// Puts routes behind the layers of the public listener, with `cors` among them and `inner` behind them. Each request passes
/// them from the top to the bottom, its answer the other way. They are one layer to the router, which boxes a future for each.
pub fn with_layers<L>(
    routes: Router<Arc<AppState>>,
    cors: CorsLayer,
    inner: L,
    state: &Arc<AppState>,
) -> Router<Arc<AppState>>
where
    L: Layer<Route> + Clone + Send + Sync + 'static,
    L::Service: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync,
{
    let layers = ServiceBuilder::new()
        // Outermost: every answer and every line of the log has an id, the client's own where it is sane.
        .map_request(request_id::drop_unusable)
        .layer(SetRequestIdLayer::x_request_id(RandomId))
        .layer(PropagateRequestIdLayer::x_request_id())
        // Outside of all that answers: nobody keeps an answer that does not say so itself, or takes it for another type.
        .layer(SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        // No page of another origin gets an answer into its process as an image or a script. It does not affect CORS.
        .layer(SetResponseHeaderLayer::if_not_present(
            CROSS_ORIGIN_RESOURCE_POLICY,
            HeaderValue::from_static("same-origin"),
        ))
        .layer(SetResponseHeaderLayer::overriding(VARY, HeaderValue::from_static("Origin")))
        .layer(SetResponseHeaderLayer::if_not_present(WWW_AUTHENTICATE, challenge(state.exchange.takes_bearer())))
        // Outside of all that refuses: every refusal is logged and counted.
        .layer(AccessLogLayer::new(state))
        // Outside of all that refuses: a page can read every refusal, a panic's and a timeout's too.
        .layer(cors)
        // Outside of all code that is ours: a panic ends one request and not the connection's others.
        .layer(CatchPanicLayer::custom(panicked))
        // Before a request can wait for anything: too many that wait are what this is against.
        .layer(limit_in_flight(state))
        // Innermost of these: what is timed is the handler.
        .map_response(timed_out)
        .layer(TimeoutLayer::with_status_code(TIMED_OUT, state.request_timeout))
        .layer(inner);
    routes.method_not_allowed_fallback(method_not_allowed).layer(layers)
}

/// The layers of Zendesk's servers: a limit on bodies, and all trouble of ours worth another try, a panic too.
pub fn for_zendesks_servers<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.layer(
        ServiceBuilder::new()
            .map_response(|response: Response<_>| support_sdk::worth_another_try(response.map(Body::new)))
            .layer(CatchPanicLayer::custom(panicked))
            .map_response(too_large)
            .layer(RequestBodyLimitLayer::new(support_sdk::MAX_READ)),
    )
}

/// Who a token is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asker {
    Page,
    Server,
}

/// Refuses a request for a token before its login token is read.
fn refuse(
    state: &Arc<AppState>,
    asker: Asker,
) -> CheckLayer<impl Fn(&Request) -> Result<(), ApiError> + Clone + use<>> {
    let state = Arc::clone(state);
    check(move |request| {
        // First, so that a foreign page spends nothing of the player's rate limit. `CorsLayer` only hides the answer from such a
        // page, and would have the token issued.
        origin::allowed_origin(request.headers(), &state.origins)?;
        origin::not_embedded(request.headers())?;
        if let (Asker::Page, Some(limit)) = (asker, &state.rate_limit) {
            limit.check(Client::of(request)).map_err(Reason::TooManyRequests)?;
        }
        // A product without a secret is not there, whatever the method.
        match request.extensions().get().and_then(token::product) {
            Some(product) if !state.exchange.serves(product) => Err(ExchangeError::NotServed.into()),
            Some(_) | None => Ok(()),
        }
    })
}

/// Limits the requests that are answered at once, but not probes: a platform would restart a service that has much to do.
fn limit_in_flight(
    state: &Arc<AppState>,
) -> CheckLayer<impl Fn(&Request) -> Result<Option<Counted>, ApiError> + Clone + use<>> {
    let (in_flight, most) = (Arc::clone(&state.counters.in_flight), state.requests_in_flight);
    check(move |request| {
        if request.extensions().get().is_some_and(|route: &MatchedPath| route.as_str() == health::PATH) {
            return Ok(None);
        }
        in_flight.take(most).map(Some).ok_or(Reason::TooManyInFlight.into())
    })
}

/// What a 401 asks for (RFC 9110 §11.6.1 wants every 401 to say so): a bearer token where it is taken, else the login cookie,
/// for which there is no registered scheme.
fn challenge<B>(takes_bearer: bool) -> impl Fn(&Response<B>) -> Option<HeaderValue> + Clone + use<B> {
    let scheme = HeaderValue::from_static(if takes_bearer { "Bearer" } else { "LoginCookie" });
    move |response| (response.status() == StatusCode::UNAUTHORIZED).then(|| scheme.clone())
}

/// The error table's answer in the place of `TimeoutLayer`'s, which has no body.
fn timed_out<B: Into<Body>>(response: Response<B>) -> Response {
    if response.status() == TIMED_OUT { ApiError(Reason::TooSlow).into_response() } else { response.map(Into::into) }
}

/// The error table's answer in the place of `RequestBodyLimitLayer`'s.
fn too_large(response: Response<ResponseBody<Body>>) -> Response {
    match response.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError(Reason::BodyTooLarge).into_response(),
        _ => response.map(Body::new),
    }
}

/// The panic itself is logged where it happens.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    ApiError(Reason::Panicked).into_response()
}

async fn not_found(uri: Uri) -> ApiError {
    ApiError(if has_only_slashes_wrong(uri.path()) { Reason::SlashesInPath } else { Reason::RouteUnknown })
}

async fn method_not_allowed() -> ApiError {
    ApiError(Reason::MethodUnknown)
}
