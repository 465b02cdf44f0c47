//! Which path is answered by what, and whom is it for?

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::Method;
use axum::http::request::Parts;
use tower::Service;

use crate::config::Config;
use crate::config::products::{PRODUCTS, Product};
use crate::exchange::{Exchange, ExchangeError};

use super::answer::Answer;
use super::cause::Cause;
use super::document::Document;
use super::support_sdk::Endpoint;
use super::{openapi, script, token};

/// A path that somebody may ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// A product's token.
    Token(Product),
    /// See [`script`].
    Script,
    /// See [`openapi`].
    OpenApi,
}

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

impl Route {
    /// The route of a path, as it came: nothing is decoded.
    pub(super) fn of(path: &str) -> Option<Self> {
        let routes = PRODUCTS.into_iter().map(Self::Token).chain([Self::Script, Self::OpenApi]);
        routes.into_iter().find(|route| route.path() == path)
    }

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Token(product) => token::path(product),
            Self::Script => script::PATH,
            Self::OpenApi => openapi::PATH,
        }
    }
}

impl Asker {
    /// Who asks for a route. A path that is none is a page's mistake.
    pub(super) const fn of(route: Option<Route>) -> Self {
        match route {
            Some(Route::Token(product)) if !product.is_for_pages() => Self::Server,
            Some(Route::Token(_)) | None => Self::Page,
            Some(Route::Script | Route::OpenApi) => Self::Anyone,
        }
    }
}

/// What answers on the routes, by a match and no router: there are six, and everything else of a request
/// hangs on which it is.
pub(super) enum Routes {
    /// The service's own.
    Own(Box<Own>),
    /// Others.
    Given(Router),
}

/// What the service's own routes need.
pub(super) struct Own {
    exchange: Arc<Exchange>,
    support_sdk: Endpoint,
    script: Document,
    openapi: Document,
}

impl Routes {
    /// The service's own.
    pub(super) fn own(exchange: &Arc<Exchange>, config: &Config) -> Self {
        Self::Own(Box::new(Own {
            exchange: Arc::clone(exchange),
            support_sdk: Endpoint::new(config.limits.requests_in_flight),
            script: script::document(),
            openapi: openapi::document(),
        }))
    }

    /// Answers one request of `client`'s.
    ///
    /// # Errors
    /// The refusal that it gets.
    pub(super) async fn answer<B>(
        &self,
        route: Option<Route>,
        head: &Parts,
        body: B,
        client: IpAddr,
    ) -> Result<Answer, Cause>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let own = match self {
            Self::Own(own) => own,
            Self::Given(routes) => {
                let request = Request::from_parts(head.clone(), Body::new(body));
                let Ok(response) = Box::pin(routes.clone().call(request)).await;
                return Ok(response.into());
            }
        };
        // Boxed each by itself: one for all would be larger than what an allocator has at hand (glibc's keeps 1 KiB).
        let document = match route {
            None => return Err(Cause::RouteUnknown),
            Some(Route::Token(product)) if !own.exchange.serves(product) => {
                return Err(ExchangeError::NotServed.into());
            }
            Some(Route::Token(product)) if product.is_for_pages() => {
                check_method(head, &[Method::GET, Method::HEAD], "GET,HEAD")?;
                return Box::pin(token::token(product, &own.exchange, &head.headers)).await;
            }
            Some(Route::Token(_)) => {
                check_method(head, &[Method::POST], "POST")?;
                return Box::pin(own.support_sdk.token(&own.exchange, &head.headers, Body::new(body), client)).await;
            }
            Some(Route::Script) => &own.script,
            Some(Route::OpenApi) => &own.openapi,
        };
        check_method(head, &[Method::GET, Method::HEAD], "GET,HEAD")?;
        Ok(document.answer(&head.headers).into())
    }
}

fn check_method(head: &Parts, known: &[Method], names: &'static str) -> Result<(), Cause> {
    if known.contains(&head.method) { Ok(()) } else { Err(Cause::MethodUnknown(names)) }
}
