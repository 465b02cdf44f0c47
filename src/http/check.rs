//! A layer that may refuse a request before the inner service gets it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::error::ApiError;

/// Refuses the requests that `check` refuses; holds the value that it returns for the others, such as a permit, until the response.
///
/// Not `axum::middleware::from_fn`, for the reason in [`super::access_log::AccessLogLayer`].
pub(super) fn check<F, G>(check: F) -> CheckLayer<F>
where
    F: Fn(&Request) -> Result<G, ApiError> + Clone,
{
    CheckLayer { check }
}

#[derive(Clone)]
pub(super) struct CheckLayer<F> {
    check: F,
}

#[derive(Clone)]
pub(super) struct Check<F, S> {
    check: F,
    inner: S,
}

impl<F: Clone, S> Layer<S> for CheckLayer<F> {
    type Service = Check<F, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Check { check: self.check.clone(), inner }
    }
}

impl<F, G, S> Service<Request> for Check<F, S>
where
    F: Fn(&Request) -> Result<G, ApiError>,
    S: Service<Request, Response: IntoResponse, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = CheckFuture<S::Future, G>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match (self.check)(&request) {
            Ok(guard) => CheckFuture::Passed { future: self.inner.call(request), guard },
            Err(error) => CheckFuture::Refused { error },
        }
    }
}

pin_project! {
    #[project = CheckFutureProjection]
    pub(super) enum CheckFuture<F, G> {
        Passed { #[pin] future: F, guard: G },
        Refused { error: ApiError },
    }
}

impl<F, R, G> Future for CheckFuture<F, G>
where
    F: Future<Output = Result<R, Infallible>>,
    R: IntoResponse,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            CheckFutureProjection::Passed { future, .. } => {
                let Ok(response) = ready!(future.poll(cx));
                Poll::Ready(Ok(response.into_response()))
            }
            CheckFutureProjection::Refused { error } => Poll::Ready(Ok(error.into_response())),
        }
    }
}
