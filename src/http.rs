//! The public router: its routes and the middleware around them.

mod accept;
mod access_log;
pub mod admin;
pub mod client_ip;
pub mod credentials;
mod document;
pub mod error;
pub(crate) mod health;
pub(crate) mod json;
mod live_router;
pub mod middleware;
pub mod openapi;
pub mod origin;
pub mod per_client;
pub mod rate_limit;
mod request_id;
pub(crate) mod script;
mod state;
pub(crate) mod support_sdk;
pub mod token;
mod traceparent;
pub(crate) mod user_token;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use tower::layer::util::Identity;
use tower_http::cors::CorsLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::products::PRODUCTS;

use error::{ApiError, Reason};
use middleware::{check_token_request, support_sdk_middleware, with_middleware};

pub use live_router::LiveRouter;
pub use state::AppState;

fn router(state: Arc<AppState>) -> Router {
    let checks = |rate_limit| from_fn_with_state((Arc::clone(&state), rate_limit), check_token_request);
    let cors = |methods| origin::cors(&state, methods);
    let of_pages = || checks(state.rate_limit.clone());
    let pages = with_middleware(page_routes().into(), cors(&[Method::GET, Method::HEAD]), of_pages(), &state);
    let user_tokens = with_middleware(user_token_routes().into(), cors(&[Method::POST]), of_pages(), &state);
    // No CORS: pages have no reason to call this route. No rate limit: Zendesk's servers call it for all players.
    let servers = support_sdk_middleware(server_routes().into());
    let servers = with_middleware(servers, CorsLayer::new(), checks(None), &state);
    // The fallback is here, without checks, so that a request for an unknown path does not count for the rate limit.
    let open = Router::from(open_routes()).fallback(not_found);
    let open = with_middleware(open, cors(&[Method::GET, Method::HEAD]), Identity::new(), &state);
    let open = open.layer(map_response(document::remove_request_headers));
    pages.merge(user_tokens).merge(servers).merge(open).with_state(state)
}

/// The routes for the shop's pages.
fn page_routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new()
        .routes(routes!(token::chat))
        .routes(routes!(token::messaging))
        .routes(routes!(token::help_center))
}

/// The route for apps with the Support SDK, which pages may call too.
fn user_token_routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(user_token::issue))
}

/// The route for Zendesk's servers.
fn server_routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(support_sdk::token))
}

/// The routes that need no login token and have no checks.
fn open_routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new()
        .routes(routes!(script::script))
        .routes(routes!(script::module))
        .routes(routes!(script::types))
        .routes(routes!(openapi::openapi))
        .routes(routes!(health::health))
}

async fn not_found(uri: Uri) -> ApiError {
    ApiError(if has_extra_slashes(uri.path()) { Reason::SlashesInPath } else { Reason::RouteNotFound })
}

/// Whether a path is a route with doubled or trailing slashes.
fn has_extra_slashes(path: &str) -> bool {
    fn segments(path: &str) -> impl Iterator<Item = &str> {
        path.split('/').filter(|segment| !segment.is_empty())
    }
    let others = [user_token::PATH, openapi::PATH, health::PATH];
    let mut routes = PRODUCTS.map(token::path).into_iter().chain(script::PATHS).chain(others);
    routes.any(|route| segments(route).eq(segments(path)))
}
