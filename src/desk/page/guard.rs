//! Lets only the page itself use the desk: host, origin, cookie and CSRF token of each request.
//!
//! The random path keeps out programs that do not know it. The check of `Host` stops DNS rebinding, that of `Origin` other sites. The
//! cookie is for the browser that comes first: others may see the path later.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cookie::Cookie;

use crate::app::loopback::random_path;
use crate::zendesk::signing_key::{SignError, random_id};

use super::{Desk, Failure};

const COOKIE_NAME: &str = "desk";
const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

pub(super) struct Guard {
    /// The random path of the page, with `/` at its end.
    home: String,
    /// The page's own values of `Host`.
    hosts: [String; 2],
    cookie: String,
    csrf: String,
    /// Whether a browser has opened the page, and got the cookie.
    is_taken: AtomicBool,
}

impl Guard {
    pub(super) fn new(address: SocketAddr) -> Result<Self, SignError> {
        let host = |host: String| if address.port() == 80 { host } else { format!("{host}:{}", address.port()) };
        let ip = if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() };
        Ok(Self {
            home: random_path()?,
            hosts: [host(ip), host("localhost".to_owned())],
            cookie: random_id()?,
            csrf: random_id()?,
            is_taken: AtomicBool::new(false),
        })
    }

    pub(super) fn home(&self) -> &str {
        &self.home
    }

    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Whether a request names the page's own host, and comes from its origin or from no page.
    fn is_own(&self, method: &Method, headers: &HeaderMap) -> bool {
        let only = |name: HeaderName| {
            let mut values = headers.get_all(name).iter();
            values.next().map(|value| if values.next().is_some() { "" } else { value.to_str().unwrap_or_default() })
        };
        let is_host = |text: &str| self.hosts.iter().any(|host| host == text);
        let Some(host) = only(HOST).filter(|host| is_host(host)) else { return false };
        only(ORIGIN).map_or(*method != Method::POST, |origin| origin.strip_prefix("http://") == Some(host))
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let headers = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = headers.flat_map(Cookie::split_parse).flatten();
        cookies.any(|cookie| cookie.name() == COOKIE_NAME && is_same(cookie.value(), &self.cookie))
    }

    fn has_csrf_token(&self, headers: &HeaderMap) -> bool {
        let token = headers.get(CSRF_TOKEN).and_then(|value| value.to_str().ok());
        token.is_some_and(|token| is_same(token, &self.csrf))
    }
}

fn is_same(text: &str, secret: &str) -> bool {
    verify_slices_are_equal(text.as_bytes(), secret.as_bytes()).is_ok()
}

/// Refuses all requests but those of the page.
pub(super) async fn check(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let guard = &desk.guard;
    let (method, headers) = (request.method(), request.headers());
    let is_post = *method == Method::POST;
    if !guard.is_own(method, headers) {
        return Failure(StatusCode::FORBIDDEN, "only for the support desk's own page".to_owned()).into_response();
    }
    if is_post && !guard.has_csrf_token(headers) {
        let text = "the page is of an earlier start; load it again".to_owned();
        return Failure(StatusCode::FORBIDDEN, text).into_response();
    }
    if guard.has_cookie(headers) {
        return next.run(request).await;
    }
    let is_home = *method == Method::GET && request.uri().path() == guard.home;
    if !is_home || guard.is_taken.swap(true, Ordering::Relaxed) {
        let text = "This page is open in another browser. Use that one, or stop the support desk and start it again.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    desk.redirect.remove();
    let cookie = format!("{COOKIE_NAME}={}; Path={}; HttpOnly; SameSite=Strict", guard.cookie, guard.home);
    let mut response = next.run(request).await;
    response.headers_mut().extend(HeaderValue::try_from(cookie).map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// Sets the headers of all responses.
pub(super) async fn set_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
