//! Writes one log line and the metrics of each request.
//!
//! A line has no token, cookie, secret, email, path or query. Text from outside is validated or escaped before it is
//! written.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{HeaderValue, ORIGIN};
use axum::http::{Extensions, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::config::login::LoginName;
use crate::config::origin;
use crate::config::products::{PRODUCTS, Product};
use crate::exchange::Issued;
use crate::login::keys::VerifiedBy;
use crate::metrics::Metrics;
use crate::telemetry::spans;

use super::client_ip::client_ip;
use super::error::{ErrorCode, Reason};
use super::health;
use super::origin::allowed_origin;
use super::request_id::X_REQUEST_ID;
use super::state::AppState;
use super::token;
use super::traceparent::traceparent;
use super::user_token;

/// The outcome of a successful exchange in the metrics; the other outcomes are error codes.
const ISSUED: &str = "issued";

/// The client's address, in the extensions of a request.
#[derive(Clone, Copy)]
pub(super) struct Client(pub(super) IpAddr);

impl Client {
    /// The client of a request that has passed [`access_log`].
    pub(super) fn of(request: &Request) -> IpAddr {
        request.extensions().get().map_or(NO_CLIENT, |Self(client)| *client)
    }
}

/// The client of a request without a connection.
const NO_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Logs and counts each request and its response.
pub(super) async fn access_log(State(state): State<Arc<AppState>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(NO_CLIENT, |ConnectInfo(peer)| peer.ip());
    let client = client_ip(request.headers(), peer, &state.proxy);
    request.extensions_mut().insert(Client(client));
    let _counted = state.metrics.request();
    let entry = Entry::new(&request, client, &state);
    let response = next.run(request).instrument(entry.span.clone()).await;
    entry.finish(&response, &state);
    response
}

/// The part of a log line that is known before the response.
struct Entry {
    started: Instant,
    id: Option<HeaderValue>,
    span: Span,
    trace_id: Option<String>,
    method: &'static str,
    route: Option<MatchedPath>,
    origin: Option<HeaderValue>,
    /// Why a preflight has no CORS headers, although `CorsLayer` responds 200.
    cors_refusal: Option<Reason>,
    client: IpAddr,
}

/// Writes the log line. A macro, since `tracing` needs a constant level.
macro_rules! log_line {
    ($level:ident, $entry:ident, $response:ident, $outcome:ident, $state:ident) => {
        tracing::$level!(
            request_id = $entry.id.as_ref().and_then(|id| id.to_str().ok()),
            trace_id = $entry.trace_id,
            method = $entry.method,
            route = $entry.route(),
            status = $response.status().as_u16(),
            refusal = $outcome.error_code().map(ErrorCode::code),
            // As a string, so that the text format has it in quotes: it can quote claims of a token that is not verified.
            cause = $outcome.reason.or($entry.cors_refusal.as_ref()).map(ToString::to_string),
            duration_us = u64::try_from($entry.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            client = tracing::field::display($entry.client),
            origin = $entry.origin($state),
            login = $outcome.login_and_key().0.map(LoginName::as_str),
            key = $outcome.login_and_key().1.map(VerifiedBy::as_str),
            token_sha256 = $outcome.issued.map(|issued| sha256(issued.token.as_str())),
            sub_sha256 = $outcome.issued.map(|issued| sha256(&issued.external_id)),
            "request"
        )
    };
}

impl Entry {
    fn new(request: &Request, client: IpAddr, state: &AppState) -> Self {
        let started = Instant::now();
        let headers = request.headers();
        let id = headers.get(X_REQUEST_ID).cloned();
        let method = method_name(request.method());
        let is_preflight = request.method() == Method::OPTIONS;
        let route = request.extensions().get::<MatchedPath>().cloned();
        let span = spans::request(
            method,
            route.as_ref().map_or("none", MatchedPath::as_str),
            id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default(),
        );
        let (parent, trace_id) = traceparent(headers).unzip();
        Self {
            started,
            trace_id: spans::adopt(&span, parent).or(trace_id.map(str::to_owned)),
            id,
            span,
            method,
            route,
            origin: headers.get(ORIGIN).cloned(),
            cors_refusal: is_preflight.then(|| allowed_origin(headers, &state.origins).err()).flatten(),
            client,
        }
    }

    /// Logs and counts the response.
    fn finish(&self, response: &Response, state: &AppState) {
        let outcome = Outcome::of(response.extensions());
        if self.route.is_none() {
            state.metrics.count_not_found();
        }
        // The status of the error code, since a response to Zendesk's servers has 503 for every server error.
        match outcome.error_code().map_or(response.status(), ErrorCode::status) {
            // Health probes come every few seconds.
            _ if self.route() == health::PATH => log_line!(debug, self, response, outcome, state),
            StatusCode::SERVICE_UNAVAILABLE => log_line!(warn, self, response, outcome, state),
            status if status.is_server_error() => log_line!(error, self, response, outcome, state),
            // Scanners request so many unknown paths that they would fill the log. Extra slashes are a configuration mistake.
            _ if self.route.is_none() && outcome.reason != Some(&Reason::SlashesInPath) => {
                log_line!(debug, self, response, outcome, state);
            }
            _ => log_line!(info, self, response, outcome, state),
        }
        spans::end(&self.span, response.status().as_u16(), outcome.error_code().map(ErrorCode::code));
        if let (Some(product), Some(label)) = (self.product(), outcome.label()) {
            state.metrics.count_exchange(product, label, self.started.elapsed());
            if let (Some(login), Some(key)) = outcome.login_and_key() {
                state.metrics.count_verification(login.label(), key.as_str());
            }
        }
    }

    /// The origin if it is allowed or has the form that browsers send.
    fn origin(&self, state: &AppState) -> Option<&str> {
        let is_allowed = |text: &str| state.origins.iter().any(|pattern| pattern.allows(text.as_bytes()));
        let shown = |text| if is_allowed(text) { Some(text) } else { origin::shown(text) };
        self.origin.as_ref().map(|origin| origin.to_str().ok().and_then(shown).unwrap_or("malformed"))
    }

    /// The label of the metrics for a route that issues tokens.
    fn product(&self) -> Option<&'static str> {
        let route = self.route.as_ref()?;
        token::product(route).map(Product::as_str).or_else(|| user_token::is_route(route).then_some(user_token::LABEL))
    }

    /// The route, not the path, since the client chooses the path.
    fn route(&self) -> &str {
        self.route.as_ref().map_or("none", MatchedPath::as_str)
    }
}

/// The token or the refusal in the extensions of a response. Others, such as a preflight's, have neither.
struct Outcome<'a> {
    issued: Option<&'a Issued>,
    reason: Option<&'a Reason>,
}

impl<'a> Outcome<'a> {
    fn of(extensions: &'a Extensions) -> Self {
        Self { issued: extensions.get(), reason: extensions.get() }
    }

    fn error_code(&self) -> Option<ErrorCode> {
        self.reason.map(Reason::error_code)
    }

    /// The outcome of an exchange in the metrics.
    fn label(&self) -> Option<&'static str> {
        self.error_code().map(ErrorCode::code).or(self.issued.map(|_| ISSUED))
    }

    /// The login that the token is for, and the key that verified it, as far as they are known.
    fn login_and_key(&self) -> (Option<&LoginName>, Option<VerifiedBy>) {
        match self.issued {
            Some(Issued { verified, .. }) => (Some(&verified.login), Some(verified.key)),
            None => self.reason.map_or((None, None), Reason::login_and_key),
        }
    }
}

/// Creates the metrics' series of all products, outcomes, logins and keys.
pub(super) fn init_metrics<'a>(metrics: &Metrics, logins: impl Iterator<Item = &'a LoginName>) {
    let codes = ErrorCode::ALL.map(ErrorCode::code);
    let outcomes: Vec<&str> = [ISSUED].into_iter().chain(codes).collect();
    let products: Vec<&str> = PRODUCTS.map(Product::as_str).into_iter().chain([user_token::LABEL]).collect();
    metrics.init_exchanges(&products, &outcomes);
    for login in logins {
        metrics.init_login(login.as_str(), &VerifiedBy::ALL.map(VerifiedBy::as_str));
    }
}

/// A method of RFC 9110 or RFC 5789. Other methods are not logged, since the client chooses their text.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::CONNECT => "CONNECT",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// A hash in hexadecimal, to correlate requests or to find a known token.
fn sha256(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()))
}
