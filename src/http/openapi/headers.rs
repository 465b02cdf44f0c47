//! The headers of requests and responses in the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Object, RefOr, Required, Type};

/// Name, description and example of a header. It is an integer if the example is one.
pub(super) type Row = (&'static str, &'static str, &'static str);

const EXAMPLE_ORIGIN: &str = "https://shop.example.com";
const EXAMPLE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const EXAMPLE_ETAG: &str = "\"sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC\"";

// Headers of requests.
pub(super) const ORIGIN: Row = (
    "Origin",
    "The page's origin, as browsers send it. It must match `cors.origins`; a request without it is served.",
    EXAMPLE_ORIGIN,
);
pub(super) const OWN_ID: Row = (
    "X-Request-Id",
    "The id of the request in the log, if it is 1 to 63 letters, digits, `-`, `_` or `.`; otherwise a new id is made.",
    EXAMPLE_ID,
);
pub(super) const METHOD: Row = ("Access-Control-Request-Method", "The method of the request that follows.", "GET");
pub(super) const IF_NONE_MATCH: Row = ("If-None-Match", "The `ETag` of a cached copy.", EXAMPLE_ETAG);

// Headers of responses.
pub(super) const ID: Row = ("X-Request-Id", "the request's id in the log", EXAMPLE_ID);
pub(super) const NO_STORE: Row = ("Cache-Control", "no cache may keep the response", "no-store");
pub(super) const KEEP: Row = ("Cache-Control", "every cache may keep the response", "public, max-age=300");
pub(super) const ETAG: Row = ("ETag", "the document's SHA-384 hash", EXAMPLE_ETAG);
pub(super) const VARY: Row = ("Vary", "the response depends on the origin", "Origin");
pub(super) const ALLOW_ORIGIN: Row =
    ("Access-Control-Allow-Origin", "the page's origin, if it is allowed; refusals have it too", EXAMPLE_ORIGIN);
pub(super) const ALLOW_METHODS: Row = ("Access-Control-Allow-Methods", "the methods that a page may use", "GET,HEAD");
pub(super) const ALLOW_POST: Row = (ALLOW_METHODS.0, ALLOW_METHODS.1, "POST");
pub(super) const ALLOW_HEADERS: Row =
    ("Access-Control-Allow-Headers", "the headers that the page may send: all that it requested", "X-Request-Id");
pub(super) const MAX_AGE: Row = ("Access-Control-Max-Age", "seconds for which a browser may cache the response", "600");
pub(super) const RETRY_AFTER: Row = ("Retry-After", "seconds to wait", "1");
pub(super) const CHALLENGE: Row = ("WWW-Authenticate", "the scheme: `Bearer` if `login.bearer` is on", "LoginCookie");
pub(super) const ALLOW: Row = ("Allow", "the methods that the route supports", "GET,HEAD");

pub(super) fn parameters(rows: &[Row]) -> Vec<RefOr<Parameter>> {
    let parameter = |(name, description, example): &Row| {
        let parameter = ParameterBuilder::new().name(*name).parameter_in(ParameterIn::Header).required(Required::False);
        let parameter = parameter.description(Some(*description)).example(Some((*example).into()));
        parameter.schema(Some(Object::with_type(Type::String))).build().into()
    };
    rows.iter().map(parameter).collect()
}

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
