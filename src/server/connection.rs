//! Serves HTTP/1.1 on one connection, within the time limits of `[limits]`.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ConnectInfo;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, timeout};
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

/// Serves one connection until the client, a limit or the drain ends it. Of a request's body `max_body` bytes are read from the
/// wire; the next read fails with [`io::ErrorKind::FileTooLarge`].
pub(super) async fn serve<S: Answers>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    service: S,
    limits: &Limits,
    max_body: usize,
    mut draining: watch::Receiver<bool>,
) {
    let state = &State::default();
    let answer = service_fn(move |mut request: Request<Incoming>| {
        state.answering.store(true, Ordering::Relaxed);
        state.body.store(0, Ordering::Relaxed);
        let has_body = !request.body().is_end_stream() || request.headers().contains_key(TRANSFER_ENCODING);
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = service.clone().oneshot(request);
        async move {
            let mut response = response.await?;
            state.answering.store(false, Ordering::Relaxed);
            state.answered.store(true, Ordering::Relaxed);
            // Where the end of a body is in doubt (`Transfer-Encoding` beside `Content-Length`), the rest would be read as
            // a request that nobody sent (`hostile_clients::a_body_is_never_read_as_a_second_request`).
            if has_body || state.draining.load(Ordering::Relaxed) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        // `printf … | nc` closes its half as soon as it has asked, and gets its answer.
        .half_close(true)
        .max_buf_size(limits.header_bytes)
        // Head and body in one write: to copy a short body is quicker than a second piece.
        .writev(false)
        // hyper's one timer runs from the end of an answer to the end of the next headers, so that an idle while would be
        // taken off the time for headers (`hostile_clients::headers_have_their_whole_time_after_an_idle_while`).
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(TimedStream::new(stream, limits, max_body, state)), answer);
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = draining.wait_for(|is_draining| *is_draining) => {}
    }
    state.draining.store(true, Ordering::Relaxed);
    // hyper-util's `GracefulShutdown` has no room for this pause.
    if timeout(LINGER, connection.as_mut()).await.is_err() {
        // hyper would close the connection under headers that are still coming
        // (`drain::a_request_that_is_half_sent_at_the_stop_is_answered`).
        if !state.reading.load(Ordering::Relaxed) {
            connection.as_mut().graceful_shutdown();
        }
        let _ = connection.await;
    }
}

/// What a connection is doing. Only its own task looks at it; atomic, since a task may move to another thread.
#[derive(Default)]
struct State {
    /// Some of a request's headers came, and not all.
    reading: AtomicBool,
    /// A request is being answered. What is read then is its body, which the service waits for or not.
    answering: AtomicBool,
    /// Bytes that were read meanwhile.
    body: AtomicUsize,
    /// A request was answered since this was last looked at.
    answered: AtomicBool,
    draining: AtomicBool,
}

/// A stream whose reads and writes fail when the client holds them up for too long; hyper then closes the connection.
struct TimedStream<'a, S> {
    stream: S,
    limits: &'a Limits,
    max_body: usize,
    state: &'a State,
    /// The time for what is waited for: headers, from accept for the first and from their first byte for later ones
    /// (`hostile_clients::slow_headers_…`), or the next request, from the last answer.
    read: Pin<Box<Sleep>>,
    /// No headers have come whole yet.
    is_fresh: bool,
    /// The last bytes that came.
    tail: [u8; 3],
    /// Runs while the client takes nothing of an answer (`hostile_clients::a_client_that_never_reads_is_cut_off`).
    write: Option<Pin<Box<Sleep>>>,
}

impl<'a, S> TimedStream<'a, S> {
    fn new(stream: S, limits: &'a Limits, max_body: usize, state: &'a State) -> Self {
        let read = Box::pin(sleep(limits.header_timeout));
        Self { stream, limits, max_body, state, read, is_fresh: true, tail: [0; 3], write: None }
    }

    /// Headers begin with their first byte, and end with the empty line behind them. Bytes behind that line are the next
    /// request's (`hostile_clients::a_partial_request_behind_a_whole_one_has_the_header_timeout`). Empty lines before a
    /// request are nothing, as HTTP has it (`hostile_clients::empty_lines_win_no_time`).
    fn received(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().skip(bytes.len().saturating_sub(self.tail.len())) {
            let [_, second, third] = self.tail;
            self.tail = [second, third, *byte];
        }
        let was_reading = self.state.reading.load(Ordering::Relaxed);
        if !was_reading && bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return;
        }
        let is_whole = matches!(self.tail, [_, b'\n', b'\n'] | [b'\n', b'\r', b'\n']);
        self.state.reading.store(!is_whole, Ordering::Relaxed);
        if is_whole {
            self.is_fresh = false;
        } else if !was_reading && !self.is_fresh {
            self.read.as_mut().reset(Instant::now() + self.limits.header_timeout);
        }
    }

    fn in_time<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write = None;
            return polled;
        }
        let timer = self.write.get_or_insert_with(|| Box::pin(sleep(self.limits.idle_timeout)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<'_, S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let is_body = self.state.answering.load(Ordering::Relaxed);
        if is_body && self.state.body.load(Ordering::Relaxed) >= self.max_body {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if is_body {
            self.state.body.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
            return polled;
        }
        if polled.is_ready() {
            self.received(buffer.filled().get(before..).unwrap_or_default());
            return polled;
        }
        if self.state.answered.swap(false, Ordering::Relaxed) && !self.state.reading.load(Ordering::Relaxed) {
            let idle_timeout = self.limits.idle_timeout;
            self.read.as_mut().reset(Instant::now() + idle_timeout);
        }
        self.read.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
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
