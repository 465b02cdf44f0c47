//! The routes of the pretend shop, whose page shows every step of a request.
//!
//! The shop shows secrets and tokens, also pasted ones. So it answers only its own origins and host names, which keeps
//! out other sites and DNS rebinding, and only below a random path, which other users of this machine do not know.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::{Form, Path, Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, ORIGIN,
    REFERRER_POLICY, SET_COOKIE,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::config::products::{PRODUCTS, Product};
use crate::http::json::Json;
use crate::http::script;
use crate::http::token::path;

use super::players::Logins;
use super::recording_proxy::{Exchange, RecordingProxy};
use super::session::{Session, SignIn, SignOut};
use super::trace::{Step, Trace};

/// The page, with placeholders for its style and its script.
const PAGE: &str = include_str!("page.html");
const STYLE: &str = concat!(include_str!("../app/palette.css"), include_str!("page.css"));
const SCRIPT: &str = include_str!("page.js");

/// The shop's state.
pub(super) struct Shop {
    pub(super) proxy: Arc<RecordingProxy>,
    pub(super) trace: Trace,
    /// For new login tokens; `None` if players paste real ones.
    pub(super) logins: Option<Logins>,
    /// For the page, which verifies signatures.
    pub(super) product_secrets: Vec<(Product, String)>,
    /// Origins of the page: the first is allowed by the service, the last is not.
    pub(super) origins: Vec<String>,
    /// The random path of the page, with `/` at its end.
    pub(super) home: String,
    /// URL of the service.
    pub(super) service: String,
    /// URL of the shop under the service's host, where it sets the cookie.
    pub(super) cookie_home: String,
    pub(super) session: Mutex<Session>,
    /// Finds the token in pasted text.
    pub(super) pasted_token: fn(&str) -> String,
}

/// The state that the page reads.
#[derive(Serialize)]
struct PageData {
    session: Session,
    service: String,
    cookie_home: String,
    usual_origin: String,
    foreign_origin: String,
    can_mint: bool,
    products: Vec<ProductData>,
}

#[derive(Serialize)]
struct ProductData {
    name: &'static str,
    path: &'static str,
    secret: String,
}

#[derive(Serialize)]
struct TracedExchange {
    #[serde(flatten)]
    exchange: Exchange,
    steps: Vec<Step>,
}

impl Shop {
    pub(super) fn router(self) -> Router {
        let shop = Arc::new(self);
        let at = |path: &str| format!("{}{path}", shop.home);
        Router::new()
            .route(&at(""), get(page))
            .route(&at("data"), get(data))
            .route(&at("sign-in"), post(sign_in))
            .route(&at("sign-out"), post(sign_out))
            .route(&at("exchanges/{product}"), get(exchanges))
            .route(&at("zendesk"), post(zendesk))
            .route(&at("service/{state}"), post(set_service_state))
            // Other paths need no check: their 404 reveals nothing.
            .route_layer(middleware::from_fn_with_state(Arc::clone(&shop), require_own_origin))
            .with_state(shop)
    }

    /// Whether a request comes from the shop's own page, and names one of the shop's hosts.
    fn is_own(&self, method: &Method, headers: &HeaderMap) -> bool {
        let of = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let mut own = self.origins.iter().chain([&self.cookie_home]);
        let is_host = of(HOST).is_some_and(|host| own.clone().any(|own| own.strip_prefix("http://") == Some(host)));
        is_host && of(ORIGIN).map_or(method == Method::GET, |origin| own.any(|own| own == origin))
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a session, sets its cookies, and redirects to the page.
    fn start(&self, session: Session, next: &str) -> Response {
        let set = cookies(&session);
        *self.session() = session;
        (set, self.redirect(next)).into_response()
    }

    /// Redirects to the page at its allowed origin, with `next` as fragment.
    fn redirect(&self, next: &str) -> impl IntoResponse + use<> {
        let origin = self.origins.first().map_or("", String::as_str);
        let is_plain = next.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'/');
        (StatusCode::SEE_OTHER, [(LOCATION, format!("{origin}{}#{}", self.home, if is_plain { next } else { "" }))])
    }
}

fn cookies(session: &Session) -> AppendHeaders<Vec<(HeaderName, HeaderValue)>> {
    let set = session.set_cookies.iter().filter_map(|cookie| Some((SET_COOKIE, HeaderValue::try_from(cookie).ok()?)));
    AppendHeaders(set.collect())
}

async fn require_own_origin(State(shop): State<Arc<Shop>>, request: Request, next: Next) -> Response {
    if !shop.is_own(request.method(), request.headers()) {
        return (StatusCode::FORBIDDEN, "only for the demo's own page\n").into_response();
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Keeps the path out of `Referer`. With `no-referrer` the forms would send no `Origin`.
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    response
}

async fn page(State(shop): State<Arc<Shop>>) -> Response {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes())));
    let policy = format!(
        "default-src 'none'; script-src {} {}{}; style-src {}; connect-src 'self' {}; form-action 'self' {} {}; img-src data:; base-uri 'none'; \
         frame-ancestors 'none'",
        hash(SCRIPT),
        shop.service,
        script::PATH,
        hash(STYLE),
        shop.service,
        shop.cookie_home,
        shop.origins.join(" ")
    );
    let page = PAGE.replace("/*style*/", STYLE).replace("/*script*/", SCRIPT);
    // Deletes the cookies of an earlier demo.
    let stale = if shop.session().login_token.is_none() { Session::signed_out() } else { Session::default() };
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (CONTENT_SECURITY_POLICY, policy)];
    (cookies(&stale), headers, page).into_response()
}

async fn data(State(shop): State<Arc<Shop>>) -> Json<PageData> {
    let products = shop.product_secrets.iter().map(|(product, secret)| ProductData {
        name: product.as_str(),
        path: path(*product),
        secret: secret.clone(),
    });
    Json(PageData {
        session: shop.session().clone(),
        service: shop.service.clone(),
        cookie_home: shop.cookie_home.clone(),
        usual_origin: shop.origins.first().cloned().unwrap_or_default(),
        foreign_origin: shop.origins.last().cloned().unwrap_or_default(),
        can_mint: shop.logins.is_some(),
        products: products.collect(),
    })
}

async fn sign_in(State(shop): State<Arc<Shop>>, Form(form): Form<SignIn>) -> Response {
    let next = form.next.clone();
    match Session::sign_in(form, shop.logins.as_ref(), shop.pasted_token) {
        Ok(session) => shop.start(session, &next),
        Err(problem) => {
            shop.session().problem = Some(problem);
            shop.redirect("").into_response()
        }
    }
}

async fn sign_out(State(shop): State<Arc<Shop>>, Form(form): Form<SignOut>) -> Response {
    shop.start(Session::signed_out(), &form.next)
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

/// The exchanges after a number, each with its trace.
async fn exchanges(
    State(shop): State<Arc<Shop>>,
    Path(name): Path<String>,
    Query(After { after }): Query<After>,
) -> Response {
    let Some(product) = PRODUCTS.into_iter().find(|product| product.as_str() == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut traced = Vec::new();
    for exchange in shop.proxy.after(after) {
        let (headers, body) = parse(&exchange.request);
        let mut fields = form_urlencoded::parse(body.as_bytes());
        let user_token = fields.find(|(name, _)| name == "user_token").map(|(_, token)| token);
        let steps = shop.trace.run(product, &headers, user_token.as_deref()).await;
        traced.push(TracedExchange { exchange, steps });
    }
    Json(traced).into_response()
}

/// The headers and the body of a recorded request.
fn parse(request: &str) -> (HeaderMap, &str) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let headers = headers.filter_map(|(name, value)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.trim_ascii()).ok()?))
    });
    (headers.collect(), body)
}

/// Requests a token as Zendesk's servers do for the player of an app.
async fn zendesk(State(shop): State<Arc<Shop>>) -> Response {
    let token = shop.session().login_token.clone();
    let field = |token| form_urlencoded::Serializer::new(String::new()).append_pair("user_token", token).finish();
    let form = token.as_deref().map_or_else(String::new, field);
    match shop.proxy.post(path(Product::SupportSdk), &form).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn set_service_state(State(shop): State<Arc<Shop>>, Path(state): Path<String>) -> StatusCode {
    shop.proxy.cut(state == "down");
    StatusCode::NO_CONTENT
}
