//! Serves HTTP/1.1 on one connection, within the time limits of `[limits]`.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ConnectInfo;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep, timeout};
use tower::{Service, ServiceExt};

use crate::config::Limits;

/// How long a connection without a request stays open once the drain has begun. hyper closes it at once, and the
/// request that a client sends at just that moment would be lost (`drain::a_client_that_sends_just_after_the_stop_…`).
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// A tower service that answers each request, an axum `Router` for one. It finds the client's address as
/// `ConnectInfo<SocketAddr>` in the request's extensions.
pub trait Answers:
    Service<Request<Incoming>, Response = Response<Self::Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;
}

impl<S, B> Answers for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Body = B;
}

/// Serves one connection until the client, a limit or the drain ends it.
pub(super) async fn serve<S: Answers>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    service: S,
    limits: &Limits,
    mut draining: watch::Receiver<bool>,
) {
    let (is_answering, is_draining) = (&AtomicBool::new(false), &AtomicBool::new(false));
    let answer = service_fn(move |mut request: Request<Incoming>| {
        is_answering.store(true, Ordering::Relaxed);
        let has_body = !request.body().is_end_stream() || request.headers().contains_key(TRANSFER_ENCODING);
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = service.clone().oneshot(request);
        async move {
            let mut response = response.await?;
            is_answering.store(false, Ordering::Relaxed);
            // Where the end of a body is in doubt (`Transfer-Encoding` beside `Content-Length`), the rest would be read as
            // a request that nobody sent (`hostile_clients::a_body_is_never_read_as_a_second_request`).
            if has_body || is_draining.load(Ordering::Relaxed) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let stream = TimedStream::new(stream, limits, is_answering);
    let connection = http1::Builder::new()
        // `printf … | nc` closes its half as soon as it has asked, and gets its answer
        // (`hostile_clients::a_client_that_has_finished_sending_still_gets_its_answer`).
        .half_close(true)
        .max_buf_size(limits.header_bytes)
        // Head and body in one write: to copy a short body is quicker than a second piece.
        .writev(false)
        .timer(TokioTimer::new())
        // hyper's timer runs while a connection is idle too, so it is the idle limit. Headers have one in `TimedStream`.
        .header_read_timeout(limits.idle_timeout)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = draining.wait_for(|is_draining| *is_draining) => {}
    }
    is_draining.store(true, Ordering::Relaxed);
    // hyper-util's `GracefulShutdown` has no room for this pause.
    if timeout(LINGER, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// A stream whose reads and writes fail when the client holds them up for too long; hyper then closes the connection.
///
/// A request that comes in one piece, and an answer that the client takes, touch no timer here.
struct TimedStream<'a, S> {
    stream: S,
    header_timeout: Duration,
    write_timeout: Duration,
    /// While it is true, what is read is a body, which the service waits for or not.
    is_answering: &'a AtomicBool,
    /// Runs from accept for the first headers, and from their first byte for later ones
    /// (`hostile_clients::slow_headers_…`).
    headers: Option<Pin<Box<Sleep>>>,
    /// The last bytes that came.
    tail: [u8; 3],
    /// Runs while the client takes nothing of an answer (`hostile_clients::a_client_that_never_reads_is_cut_off`).
    write: Option<Pin<Box<Sleep>>>,
}

impl<'a, S> TimedStream<'a, S> {
    fn new(stream: S, limits: &Limits, is_answering: &'a AtomicBool) -> Self {
        Self {
            stream,
            header_timeout: limits.header_timeout,
            write_timeout: limits.idle_timeout,
            is_answering,
            headers: Some(Box::pin(sleep(limits.header_timeout))),
            tail: [0; 3],
            write: None,
        }
    }

    /// Starts the time for headers at their first byte, and ends it at the empty line behind them. Bytes behind that line
    /// are the next request's (`hostile_clients::a_partial_request_behind_a_whole_one_has_the_header_timeout`).
    fn received(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().skip(bytes.len().saturating_sub(self.tail.len())) {
            let [_, second, third] = self.tail;
            self.tail = [second, third, *byte];
        }
        if matches!(self.tail, [_, b'\n', b'\n'] | [b'\n', b'\r', b'\n']) {
            self.headers = None;
        } else if self.headers.is_none() && !bytes.is_empty() {
            self.headers = Some(Box::pin(sleep(self.header_timeout)));
        }
    }

    fn in_time<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write = None;
            return polled;
        }
        let timer = self.write.get_or_insert_with(|| Box::pin(sleep(self.write_timeout)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<'_, S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.is_answering.load(Ordering::Relaxed) {
            return polled;
        }
        if polled.is_ready() {
            self.received(buffer.filled().get(before..).unwrap_or_default());
            return polled;
        }
        match &mut self.headers {
            Some(timer) => timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            None => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.in_time(cx, polled)
    }
}
