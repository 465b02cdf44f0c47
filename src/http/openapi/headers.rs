//! The headers of requests and answers, as the OpenAPI document describes them.

use std::collections::BTreeMap;

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Object, RefOr, Required, Type};

/// A header: name, description, example. It is an integer if the example is one.
pub(super) type Row = (&'static str, &'static str, &'static str);

const ORIGIN: &str = "https://shop.example.com";
const REQUEST_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const ETAG: &str = "\"sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC\"";

/// What a page's request may have.
pub(super) const ASKED_BY_PAGES: [Row; 2] = [
    (
        "Origin",
        "The page's origin, which browsers set. If it is not in `cors.origins`, the request is refused; without one it is served.",
        ORIGIN,
    ),
    ASKED_ID,
];
/// What every request may have.
pub(super) const ASKED_ID: Row = (
    "X-Request-Id",
    "Names the request in the log. It is used if it is 1 to 63 letters, digits, `-`, `_` or `.`; otherwise a new one is made.",
    REQUEST_ID,
);
/// What a preflight has, next to what a page's request may have.
pub(super) const ASKED_METHOD: Row =
    ("Access-Control-Request-Method", "The method that the page is going to use.", "GET");
/// What a request for a document may have.
pub(super) const ASKED_ETAG: Row = ("If-None-Match", "The `ETag` of a copy.", ETAG);

/// Every answer but a document.
pub(super) const ID: Row = ("X-Request-Id", "the request's id in the log", REQUEST_ID);
/// Every answer but a document.
pub(super) const NO_STORE: Row = ("Cache-Control", "no cache may keep the answer", "no-store");
/// Answers to pages.
pub(super) const CORS: [Row; 2] = [
    ("Access-Control-Allow-Origin", "the page's origin, if it sent an allowed one; refusals have it too", ORIGIN),
    ("Vary", "the answer depends on the origin", "Origin"),
];
/// Answers to preflights.
pub(super) const PREFLIGHT: [Row; 3] = [
    ("Access-Control-Allow-Methods", "the methods that a page may use", "GET,HEAD"),
    ("Access-Control-Allow-Headers", "the headers that a page may send: those that it asked for", "X-Request-Id"),
    ("Access-Control-Max-Age", "seconds for which a browser may remember the answer", "600"),
];
/// Documents.
pub(super) const KEPT: [Row; 2] = [
    ("Cache-Control", "any cache may keep the answer", "public, max-age=300"),
    ("ETag", "the document's hash, as `integrity` attributes have it", ETAG),
];
/// Refusals after which a client may try again.
pub(super) const RETRY_AFTER: Row = ("Retry-After", "seconds to wait", "1");
/// 401.
pub(super) const CHALLENGE: Row = ("WWW-Authenticate", "`Bearer` if `login.bearer` is on", "LoginCookie");
/// 405.
pub(super) const ALLOW: Row = ("Allow", "the methods that the path takes", "GET,HEAD");

/// Headers of a request.
pub(super) fn parameters(rows: &[Row]) -> Vec<RefOr<Parameter>> {
    let parameter = |(name, description, example): &Row| {
        let parameter = ParameterBuilder::new().name(*name).parameter_in(ParameterIn::Header).required(Required::False);
        let parameter = parameter.description(Some(*description)).example(Some((*example).into()));
        parameter.schema(Some(Object::with_type(Type::String))).build().into()
    };
    rows.iter().map(parameter).collect()
}

/// Headers of an answer.
pub(super) fn headers(rows: &[Row]) -> BTreeMap<String, RefOr<Header>> {
    let header = |(name, description, example): &Row| {
        let header = HeaderBuilder::new().description(Some(*description));
        let header = match example.parse::<u32>() {
            Ok(number) => header.schema(Some(Object::with_type(Type::Integer))).example(Some(number.into())),
            Err(_) => header.schema(Some(Object::with_type(Type::String))).example(Some((*example).into())),
        };
        ((*name).to_owned(), header.build().into())
    };
    rows.iter().map(header).collect()
}
