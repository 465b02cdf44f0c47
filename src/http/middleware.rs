//! The middleware stack of the public listener.

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use tower::{Layer, Service, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::limit::{RequestBodyLimitLayer, ResponseBody};
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::exchange::ExchangeError;

use super::access_log::{Client, access_log};
use super::document::CROSS_ORIGIN_RESOURCE_POLICY;
use super::error::{ApiError, Reason};
use super::rate_limit::RateLimit;
use super::request_id::{self, RandomId};
use super::state::AppState;
use super::{health, origin, support_sdk, token, user_token};

/// The status of `TimeoutLayer`'s response; no handler responds with it.
const TIMED_OUT: StatusCode = StatusCode::GATEWAY_TIMEOUT;

/// Wraps routes in the middleware of the public listener, with `cors` in it and `checks` innermost. A request passes the layers
/// from top to bottom, its response from bottom to top.
///
/// One `ServiceBuilder`, since the router boxes a future for each call of `layer`.
pub fn with_middleware<L>(
    routes: Router<Arc<AppState>>,
    cors: CorsLayer,
    checks: L,
    state: &Arc<AppState>,
) -> Router<Arc<AppState>>
where
    L: Layer<Route> + Clone + Send + Sync + 'static,
    L::Service: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync,
{
    let stack = ServiceBuilder::new()
        // Outermost, so that every response and log line has an id: the client's own if it is usable.
        .map_request(request_id::drop_unusable)
        .layer(SetRequestIdLayer::x_request_id(RandomId))
        .layer(PropagateRequestIdLayer::x_request_id())
        // Outside of everything that responds, so that refusals have these headers too.
        .layer(SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        // Blocks foreign pages from embedding a response, for example as an image. Independent of CORS.
        .layer(SetResponseHeaderLayer::if_not_present(
            CROSS_ORIGIN_RESOURCE_POLICY,
            HeaderValue::from_static("same-origin"),
        ))
        .layer(SetResponseHeaderLayer::overriding(VARY, HeaderValue::from_static("Origin")))
        .layer(SetResponseHeaderLayer::if_not_present(WWW_AUTHENTICATE, challenge(state.exchange.accepts_bearer())))
        // Outside of everything that refuses, so that every refusal is logged and counted.
        .layer(from_fn_with_state(Arc::clone(state), access_log))
        // Outside of everything that refuses, so that a page can read every refusal, panics and timeouts included.
        .layer(cors)
        // Around all handlers and checks, so that a panic fails one request and not its connection.
        .layer(CatchPanicLayer::custom(panicked))
        // Outside of everything that waits, since it limits how many requests wait.
        .layer(from_fn_with_state(Arc::clone(state), limit_in_flight))
        .map_response(timed_out)
        .layer(TimeoutLayer::with_status_code(TIMED_OUT, state.request_timeout))
        .layer(checks);
    routes.method_not_allowed_fallback(method_not_allowed).layer(stack)
}

/// Wraps the route for Zendesk's servers: limits the body, and responds 503 to every server error, panics included.
pub fn support_sdk_middleware<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.layer(
        ServiceBuilder::new()
            .map_response(|response: Response<_>| support_sdk::server_errors_as_503(response.map(Body::new)))
            .layer(CatchPanicLayer::custom(panicked))
            .map_response(too_large)
            .layer(RequestBodyLimitLayer::new(support_sdk::MAX_READ)),
    )
}

/// Checks a request for a token before its login token is read.
pub(super) async fn check_token_request(
    State((state, rate_limit)): State<(Arc<AppState>, Option<Arc<RateLimit>>)>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    // First, so that a foreign page can't use up the player's rate limit. `CorsLayer` would issue the token and only hide the
    // response from the page.
    origin::allowed_origin(request.headers(), &state.origins)?;
    origin::not_embedded(request.headers())?;
    if let Some(limit) = rate_limit {
        limit.check(Client::of(&request)).map_err(Reason::TooManyRequests)?;
    }
    // Not in the handler, since a product that is not configured is a 404 for every method.
    if request.extensions().get().and_then(token::product).is_some_and(|product| !state.exchange.serves(product)) {
        return Err(ExchangeError::NotServed.into());
    }
    if request.extensions().get().is_some_and(user_token::is_route) && !state.exchange.issues_user_tokens() {
        return Err(ExchangeError::UserTokensOff.into());
    }
    Ok(next.run(request).await)
}

/// Limits concurrent requests, except health probes: a platform would restart a busy service.
async fn limit_in_flight(
    State(state): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if request.extensions().get().is_some_and(|route: &MatchedPath| route.as_str() == health::PATH) {
        return Ok(next.run(request).await);
    }
    let _permit = state.shared.in_flight.try_acquire(state.requests_in_flight).ok_or(Reason::TooManyInFlight)?;
    Ok(next.run(request).await)
}

/// `WWW-Authenticate`, which RFC 9110 §11.6.1 requires of a 401. The login cookie has no registered scheme.
fn challenge<B>(accepts_bearer: bool) -> impl Fn(&Response<B>) -> Option<HeaderValue> + Clone + use<B> {
    let scheme = HeaderValue::from_static(if accepts_bearer { "Bearer" } else { "LoginCookie" });
    move |response| (response.status() == StatusCode::UNAUTHORIZED).then(|| scheme.clone())
}

/// Replaces `TimeoutLayer`'s response, which has no body.
fn timed_out<B: Into<Body>>(response: Response<B>) -> Response {
    if response.status() == TIMED_OUT {
        ApiError(Reason::RequestTimeout).into_response()
    } else {
        response.map(Into::into)
    }
}

/// Replaces `RequestBodyLimitLayer`'s response, which is plain text.
fn too_large(response: Response<ResponseBody<Body>>) -> Response {
    match response.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError(Reason::BodyTooLarge).into_response(),
        _ => response.map(Body::new),
    }
}

/// The panic hook has logged the panic.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    ApiError(Reason::Panicked).into_response()
}

async fn method_not_allowed() -> ApiError {
    ApiError(Reason::MethodNotSupported)
}
