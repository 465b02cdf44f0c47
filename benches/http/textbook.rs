//! The textbook server: the same exchange with the same packages, each used as in its own examples.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::error_handling::HandleErrorLayer;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, COOKIE, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use cookie::{Cookie, CookieJar};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Value, json};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowMethods, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing::Level;

use crate::servers::{CHAT_SECRET, LOGIN_SECRET, SHOP};

/// How long an issued token is valid, in seconds.
const VALIDITY: u64 = 300;

struct Keys {
    login: DecodingKey,
    chat: EncodingKey,
}

/// Serves on `address`, and logs to standard output from `level` on.
pub fn run(address: &str, level: &str) {
    tracing_subscriber::fmt().json().with_max_level(level.parse::<Level>().unwrap()).init();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        axum::serve(tokio::net::TcpListener::bind(address).await.unwrap(), router()).await.unwrap();
    });
}

fn router() -> Router {
    let keys = Keys {
        login: DecodingKey::from_secret(LOGIN_SECRET.as_bytes()),
        chat: EncodingKey::from_secret(CHAT_SECRET.as_bytes()),
    };
    let cors = CorsLayer::new()
        .allow_origin([HeaderValue::from_static(SHOP)])
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .allow_credentials(true)
        .expose_headers([HeaderName::from_static("x-request-id")])
        .max_age(Duration::from_mins(10));
    let trace = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    Router::new()
        .route("/generate/token", get(token))
        .with_state(Arc::new(keys))
        .layer(header(CACHE_CONTROL, "no-store"))
        .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(VARY, ORIGIN.as_str()))
        .layer(RequestBodyLimitLayer::new(1 << 20))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(10)))
        .layer(
            ServiceBuilder::new()
                .layer(HandleErrorLayer::new(|_| async { StatusCode::SERVICE_UNAVAILABLE }))
                .load_shed()
                .concurrency_limit(1024),
        )
        .layer(CatchPanicLayer::new())
        .layer(cors)
        .layer(trace)
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
}

fn header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

async fn token(State(keys): State<Arc<Keys>>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    let jar = cookies(&headers);
    let token = jar.get("token").ok_or(StatusCode::UNAUTHORIZED)?.value();
    let validation = Validation::new(Algorithm::HS256);
    let login = decode::<Value>(token, &keys.login, &validation).map_err(|_| StatusCode::UNAUTHORIZED)?.claims;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.as_secs();
    let claims = json!({
        "name": login["username"],
        "email": login["email"],
        "external_id": login["sub"],
        "iat": now,
        "exp": now + VALIDITY,
    });
    let token = encode(&Header::new(Algorithm::HS256), &claims, &keys.chat);
    Ok(Json(json!({ "token": token.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)? })))
}

/// All cookies of a request, as axum-extra's jar reads them.
fn cookies(headers: &HeaderMap) -> CookieJar {
    let mut jar = CookieJar::new();
    let headers = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    for cookie in headers.flat_map(|value| value.split(';')).filter_map(|cookie| Cookie::parse(cookie.to_owned()).ok())
    {
        jar.add_original(cookie);
    }
    jar
}
