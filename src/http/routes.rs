//! Which path is answered by what, and whom is it for?

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::{MethodRouter, any, get, post};

use crate::config::Config;
use crate::config::products::{PRODUCTS, Product};
use crate::exchange::{Exchange, ExchangeError};

use super::cause::Cause;
use super::{openapi, script, support_sdk, token};

/// Whom a path is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// Pages of the shop, and whatever sends no origin.
    Page,
    /// Zendesk's servers.
    Server,
    /// Anybody.
    Anyone,
}

impl Asker {
    pub(super) fn of(path: &str) -> Self {
        match path {
            script::PATH | openapi::PATH => Self::Anyone,
            path if path == token::path(Product::SupportSdk) => Self::Server,
            _ => Self::Page,
        }
    }
}

/// The public routes.
pub(super) fn routes(exchange: &Arc<Exchange>, config: &Config) -> Router {
    let routes = PRODUCTS.into_iter().fold(Router::new(), |routes, product| {
        routes.route(token::path(product), product_route(product, Arc::clone(exchange), config))
    });
    let documents = [(script::PATH, script::document()), (openapi::PATH, openapi::document())];
    let routes = documents.into_iter().fold(routes, |routes, (path, document)| {
        routes.route(path, get(move |headers: HeaderMap| async move { document.answer(&headers) }))
    });
    routes.fallback(|| async { Cause::RouteUnknown }).method_not_allowed_fallback(|| async { Cause::MethodUnknown })
}

/// What answers on a product's path.
fn product_route(product: Product, exchange: Arc<Exchange>, config: &Config) -> MethodRouter {
    if !exchange.serves(product) {
        any(|| async { Cause::Exchange(ExchangeError::NotServed) })
    } else if product.is_for_pages() {
        get(move |request| token::token(product, Arc::clone(&exchange), request))
    } else {
        let endpoint = support_sdk::Endpoint::new(exchange, config.limits.requests_in_flight);
        post(support_sdk::token).with_state(Arc::new(endpoint))
    }
}
