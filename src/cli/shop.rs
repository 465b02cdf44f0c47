//! What does a pretend shop answer, whose page shows every step of the way?
//!
//! Only the demo serves it, on loopback. It shows secrets and tokens, a pasted login token too, so it answers pages of its own
//! origins and nobody else: not another site's, no name that leads here by a trick (DNS rebinding), and no other user of this
//! machine, who does not know the random path that all of it stands under.

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
use crate::http::token::path;

use super::journey::{Journey, Step};
use super::players::LoginSecrets;
use super::session::{Session, SignIn, SignOut};
use super::wire::{Exchanged, Wire};

/// The page, with places for its style and its script.
const PAGE: &str = include_str!("demo/page.html");
const STYLE: &str = include_str!("demo/page.css");
const SCRIPT: &str = include_str!("demo/page.js");

/// What the shop stands on.
pub struct Shop {
    /// The wire to the service.
    pub wire: Arc<Wire>,
    /// The service, step by step.
    pub journey: Journey,
    /// What login tokens are signed with; nothing where only real ones are tried.
    pub login_secrets: Option<LoginSecrets>,
    /// Each product's secret, for the page to check signatures with.
    pub product_secrets: Vec<(Product, String)>,
    /// Origins of the page, the usual one first. The last is none that the service allows.
    pub origins: Vec<String>,
    /// The path of the page, `/` at its end, which nobody can guess.
    pub home: String,
    /// Where the service is, for pages.
    pub service: String,
    /// Where the cookie is set: the shop, under the service's host.
    pub cookie_home: String,
    /// Who is signed in, and with what.
    pub session: Mutex<Session>,
}

/// Everything that the page has to know.
#[derive(Serialize)]
struct Known {
    session: Session,
    service: String,
    cookie_home: String,
    usual_origin: String,
    foreign_origin: String,
    can_mint: bool,
    products: Vec<KnownProduct>,
}

#[derive(Serialize)]
struct KnownProduct {
    word: &'static str,
    path: &'static str,
    secret: String,
}

#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    exchanged: Exchanged,
    steps: Vec<Step>,
}

impl Shop {
    /// The routes.
    pub fn routes(self) -> Router {
        let shop = Arc::new(self);
        let at = |path: &str| format!("{}{path}", shop.home);
        Router::new()
            .route(&at(""), get(page))
            .route(&at("known"), get(known))
            .route(&at("sign-in"), post(sign_in))
            .route(&at("sign-out"), post(sign_out))
            .route(&at("wire/{product}"), get(wire))
            .route(&at("zendesk"), post(zendesk))
            .route(&at("service/{state}"), post(cut_wire))
            // Not around the 404 of other paths, which says nothing to anybody.
            .route_layer(middleware::from_fn_with_state(Arc::clone(&shop), only_own))
            .with_state(shop)
    }

    /// Whether a request is one of the page's: by a name of ours, and from no other site's page.
    fn is_own(&self, method: &Method, headers: &HeaderMap) -> bool {
        let of = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let mut own = self.origins.iter().chain([&self.cookie_home]);
        let is_host = of(HOST).is_some_and(|host| own.clone().any(|own| own.strip_prefix("http://") == Some(host)));
        is_host && of(ORIGIN).map_or(method == Method::GET, |origin| own.any(|own| own == origin))
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a session, sets its cookies, and goes back to the page.
    fn answer(&self, session: Session, next: &str) -> Response {
        let set = cookies(&session);
        *self.session() = session;
        (set, self.back(next)).into_response()
    }

    /// Back to the page at its usual origin, which is to go on with `next`.
    fn back(&self, next: &str) -> impl IntoResponse + use<> {
        let origin = self.origins.first().map_or("", String::as_str);
        let is_plain = next.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'/');
        (StatusCode::SEE_OTHER, [(LOCATION, format!("{origin}{}#{}", self.home, if is_plain { next } else { "" }))])
    }
}

fn cookies(session: &Session) -> AppendHeaders<Vec<(HeaderName, HeaderValue)>> {
    let set = session.set_cookies.iter().filter_map(|cookie| Some((SET_COOKIE, HeaderValue::try_from(cookie).ok()?)));
    AppendHeaders(set.collect())
}

/// Refuses every other host and origin.
async fn only_own(State(shop): State<Arc<Shop>>, request: Request, next: Next) -> Response {
    if !shop.is_own(request.method(), request.headers()) {
        return (StatusCode::FORBIDDEN, "only for the demo's own page\n").into_response();
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // No `Referer` has the path. With `no-referrer` the forms would have no `Origin`.
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    response
}

async fn page(State(shop): State<Arc<Shop>>) -> Response {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes())));
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self' {}; form-action 'self' {} {}; img-src data:; base-uri 'none'; \
         frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE),
        shop.service,
        shop.cookie_home,
        shop.origins.join(" ")
    );
    let page = PAGE.replace("/*style*/", STYLE).replace("/*script*/", SCRIPT);
    // A cookie of an earlier demo is nobody's.
    let stale = if shop.session().login_token.is_none() { Session::out() } else { Session::default() };
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (CONTENT_SECURITY_POLICY, policy)];
    (cookies(&stale), headers, page).into_response()
}

async fn known(State(shop): State<Arc<Shop>>) -> Json<Known> {
    let products = shop.product_secrets.iter().map(|(product, secret)| KnownProduct {
        word: product.as_str(),
        path: path(*product),
        secret: secret.clone(),
    });
    Json(Known {
        session: shop.session().clone(),
        service: shop.service.clone(),
        cookie_home: shop.cookie_home.clone(),
        usual_origin: shop.origins.first().cloned().unwrap_or_default(),
        foreign_origin: shop.origins.last().cloned().unwrap_or_default(),
        can_mint: shop.login_secrets.is_some(),
        products: products.collect(),
    })
}

async fn sign_in(State(shop): State<Arc<Shop>>, Form(form): Form<SignIn>) -> Response {
    let next = form.next.clone();
    match Session::sign_in(form, shop.login_secrets.as_ref()) {
        Ok(session) => shop.answer(session, &next),
        Err(problem) => {
            shop.session().problem = Some(problem);
            shop.back("").into_response()
        }
    }
}

async fn sign_out(State(shop): State<Arc<Shop>>, Form(form): Form<SignOut>) -> Response {
    shop.answer(Session::out(), &form.next)
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

/// What went over the wire since, and how far each request came.
async fn wire(
    State(shop): State<Arc<Shop>>,
    Path(word): Path<String>,
    Query(After { after }): Query<After>,
) -> Response {
    let Some(product) = PRODUCTS.into_iter().find(|product| product.as_str() == word) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut told = Vec::new();
    for exchanged in shop.wire.after(after) {
        let (headers, body) = read(&exchanged.request);
        let mut fields = form_urlencoded::parse(body.as_bytes());
        let user_token = fields.find(|(name, _)| name == "user_token").map(|(_, token)| token);
        let steps = shop.journey.travel(product, &headers, user_token.as_deref()).await;
        told.push(Told { exchanged, steps });
    }
    Json(told).into_response()
}

/// The headers and the body of a request as it was sent.
fn read(request: &str) -> (HeaderMap, &str) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let headers = headers.filter_map(|(name, value)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.trim_ascii()).ok()?))
    });
    (
        headers.fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        }),
        body,
    )
}

/// Asks as Zendesk's servers do for the player of an app.
async fn zendesk(State(shop): State<Arc<Shop>>) -> Response {
    let token = shop.session().login_token.clone();
    let field = |token| form_urlencoded::Serializer::new(String::new()).append_pair("user_token", token).finish();
    let form = token.as_deref().map_or_else(String::new, field);
    match shop.wire.post(path(Product::SupportSdk), &form).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn cut_wire(State(shop): State<Arc<Shop>>, Path(state): Path<String>) -> StatusCode {
    shop.wire.cut(state == "down");
    StatusCode::NO_CONTENT
}
