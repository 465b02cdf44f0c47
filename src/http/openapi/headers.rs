//! The headers of requests and answers, as the OpenAPI document describes them.

use std::collections::BTreeMap;

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Object, RefOr, Required, Type};

/// A header: name, description, example. It is an integer if the example is one.
pub(super) type Row = (&'static str, &'static str, &'static str);

const AN_ORIGIN: &str = "https://shop.example.com";
const AN_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const AN_ETAG: &str = "\"sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC\"";

// Headers of requests.
pub(super) const ORIGIN: Row = (
    "Origin",
    "The page's origin, which browsers send. Only pages of `cors.origins` may ask; a request without it is served.",
    AN_ORIGIN,
);
pub(super) const OWN_ID: Row = (
    "X-Request-Id",
    "Names the request in the log, if it is 1 to 63 letters, digits, `-`, `_` or `.`; otherwise a new one is made.",
    AN_ID,
);
pub(super) const METHOD: Row = ("Access-Control-Request-Method", "The method that the page is going to use.", "GET");
pub(super) const IF_NONE_MATCH: Row = ("If-None-Match", "The `ETag` of a copy.", AN_ETAG);

// Headers of answers.
pub(super) const ID: Row = ("X-Request-Id", "the request's id in the log", AN_ID);
pub(super) const NO_STORE: Row = ("Cache-Control", "no cache may keep the answer", "no-store");
pub(super) const KEEP: Row = ("Cache-Control", "any cache may keep the answer", "public, max-age=300");
pub(super) const ETAG: Row = ("ETag", "the document's SHA-384 hash", AN_ETAG);
pub(super) const VARY: Row = ("Vary", "the answer depends on the origin", "Origin");
pub(super) const ALLOW_ORIGIN: Row =
    ("Access-Control-Allow-Origin", "the page's origin, if it is allowed; refusals have it too", AN_ORIGIN);
pub(super) const ALLOW_METHODS: Row = ("Access-Control-Allow-Methods", "the methods that a page may use", "GET,HEAD");
pub(super) const ALLOW_HEADERS: Row =
    ("Access-Control-Allow-Headers", "the headers that the page may send: those that it asked for", "X-Request-Id");
pub(super) const MAX_AGE: Row =
    ("Access-Control-Max-Age", "seconds for which a browser may remember the answer", "600");
pub(super) const RETRY_AFTER: Row = ("Retry-After", "seconds to wait", "1");
pub(super) const CHALLENGE: Row = ("WWW-Authenticate", "the scheme: `Bearer` if `login.bearer` is on", "LoginCookie");
pub(super) const ALLOW: Row = ("Allow", "the methods that the path takes", "GET,HEAD");

/// What an operation may be asked with.
pub(super) fn parameters(rows: &[Row]) -> Vec<RefOr<Parameter>> {
    let parameter = |(name, description, example): &Row| {
        let parameter = ParameterBuilder::new().name(*name).parameter_in(ParameterIn::Header).required(Required::False);
        let parameter = parameter.description(Some(*description)).example(Some((*example).into()));
        parameter.schema(Some(Object::with_type(Type::String))).build().into()
    };
    rows.iter().map(parameter).collect()
}

/// What an answer has.
pub(super) fn headers(rows: &[Row]) -> BTreeMap<String, RefOr<Header>> {
    let header = |(name, description, example): &Row| {
        let (kind, example) = match example.parse::<u32>() {
            Ok(number) => (Type::Integer, number.into()),
            Err(_) => (Type::String, (*example).into()),
        };
        let header = HeaderBuilder::new().description(Some(*description)).example(Some(example));
        ((*name).to_owned(), header.schema(Some(Object::with_type(kind))).build().into())
    };
    rows.iter().map(header).collect()
}
