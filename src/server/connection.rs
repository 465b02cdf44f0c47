//! Serves HTTP/1.1 on one connection, within the timeouts of `[limits]`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use crate::config::Limits;

/// How long an idle connection stays open after the drain has begun. hyper would close it at once, and lose a request that is
/// sent at that moment (`drain::a_request_just_after_the_stop_…`).
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// A service for HTTP requests, such as an axum `Router`. A request's extensions have the client's address as
/// `ConnectInfo<SocketAddr>`.
pub type HttpService = BoxCloneSyncService<Request<Incoming>, Response, Infallible>;

/// Serves one connection until the client, a timeout or the drain ends it. After `max_body` bytes of a request's body a read
/// fails with [`io::ErrorKind::FileTooLarge`].
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    service: HttpService,
    limits: &Limits,
    max_body: usize,
    mut draining: watch::Receiver<bool>,
) {
    let state = &State::default();
    let service = service_fn(move |mut request: Request<Incoming>| {
        state.is_handling.store(true, Ordering::Relaxed);
        state.body_bytes.store(0, Ordering::Relaxed);
        let has_body = !request.body().is_end_stream() || request.headers().contains_key(TRANSFER_ENCODING);
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = service.clone().oneshot(request);
        async move {
            let mut response = response.await?;
            state.is_handling.store(false, Ordering::Relaxed);
            state.has_responded.store(true, Ordering::Relaxed);
            // After a body with an ambiguous end (`Transfer-Encoding` and `Content-Length`), the rest could be read as another
            // request (`hostile_clients::a_body_is_never_read_as_a_second_request`).
            if has_body || state.is_draining.load(Ordering::Relaxed) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let stream = TimedStream::new(stream, limits, max_body, state);
    let connection = builder(limits).serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = draining.wait_for(|is_draining| *is_draining) => {}
    }
    state.is_draining.store(true, Ordering::Relaxed);
    // hyper-util's `GracefulShutdown` does not support this pause.
    if timeout(LINGER, connection.as_mut()).await.is_err() {
        // hyper would close the connection while headers still arrive
        // (`drain::a_request_that_is_half_sent_at_the_stop_is_answered`).
        if !state.is_reading_headers.load(Ordering::Relaxed) {
            connection.as_mut().graceful_shutdown();
        }
        let _ = connection.await;
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // A client may close its half after the request, as `printf … | nc` does.
        .half_close(true)
        .max_buf_size(limits.header_bytes)
        // Copies the short body, which is faster than a vectored write.
        .writev(false)
        // hyper's timer runs from the end of a response to the end of the next headers, so that idle time would reduce the
        // time for headers (`hostile_clients::the_idle_timeout_does_not_shorten_the_header_timeout`).
        .header_read_timeout(None);
    builder
}

/// The state of a connection. Only its own task uses it; atomic, since the task may move to another thread.
#[derive(Default)]
struct State {
    /// A part of a request's headers has arrived.
    is_reading_headers: AtomicBool,
    /// The service handles a request; bytes that arrive are its body.
    is_handling: AtomicBool,
    body_bytes: AtomicUsize,
    /// A response was given, so that the idle timeout has to start.
    has_responded: AtomicBool,
    is_draining: AtomicBool,
}

/// A stream that fails to read and write when the client is too slow; hyper then closes the connection.
struct TimedStream<'a, S> {
    stream: S,
    limits: &'a Limits,
    max_body: usize,
    state: &'a State,
    /// While headers arrive, the header timeout: from accept for the first ones, from their first byte for later ones
    /// (`hostile_clients::slow_headers_…`). Between requests, the idle timeout, from the last response.
    read_timeout: Pin<Box<Sleep>>,
    /// The headers of the first request have not arrived completely.
    is_first_request: bool,
    /// The last bytes that arrived.
    tail: [u8; 3],
    /// Runs while the client does not read the response (`hostile_clients::a_client_that_never_reads_is_cut_off`).
    write_timeout: Option<Pin<Box<Sleep>>>,
}

impl<'a, S> TimedStream<'a, S> {
    fn new(stream: S, limits: &'a Limits, max_body: usize, state: &'a State) -> Self {
        let read_timeout = Box::pin(sleep(limits.header_timeout));
        Self {
            stream,
            limits,
            max_body,
            state,
            read_timeout,
            is_first_request: true,
            tail: [0; 3],
            write_timeout: None,
        }
    }

    /// Headers end with an empty line; bytes after it belong to the next request
    /// (`hostile_clients::a_partial_request_behind_a_whole_one_has_the_header_timeout`). Empty lines before a request do not count
    /// (RFC 9112 §2.2, `hostile_clients::empty_lines_do_not_extend_a_timeout`).
    fn received(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().skip(bytes.len().saturating_sub(self.tail.len())) {
            let [_, second, third] = self.tail;
            self.tail = [second, third, *byte];
        }
        let was_reading = self.state.is_reading_headers.load(Ordering::Relaxed);
        if !was_reading && bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return;
        }
        let is_complete = matches!(self.tail, [_, b'\n', b'\n'] | [b'\n', b'\r', b'\n']);
        self.state.is_reading_headers.store(!is_complete, Ordering::Relaxed);
        if is_complete {
            self.is_first_request = false;
        } else if !was_reading && !self.is_first_request {
            self.read_timeout.as_mut().reset(Instant::now() + self.limits.header_timeout);
        }
    }

    fn with_timeout<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write_timeout = None;
            return polled;
        }
        let timer = self.write_timeout.get_or_insert_with(|| Box::pin(sleep(self.limits.idle_timeout)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<'_, S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let is_body = self.state.is_handling.load(Ordering::Relaxed);
        if is_body && self.state.body_bytes.load(Ordering::Relaxed) >= self.max_body {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if is_body {
            self.state.body_bytes.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
            return polled;
        }
        if polled.is_ready() {
            self.received(buffer.filled().get(before..).unwrap_or_default());
            return polled;
        }
        if self.state.has_responded.swap(false, Ordering::Relaxed)
            && !self.state.is_reading_headers.load(Ordering::Relaxed)
        {
            let idle_timeout = self.limits.idle_timeout;
            self.read_timeout.as_mut().reset(Instant::now() + idle_timeout);
        }
        self.read_timeout.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.with_timeout(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.with_timeout(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.with_timeout(cx, polled)
    }
}
