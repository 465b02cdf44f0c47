//! How long may one connection last?
//!
//! hyper's own header timeout also ends idle connections, so a patient proxy and a slow attacker
//! would get the same time. Here each state has its own deadline, and a connection that misses it
//! is closed.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::config::Limits;
use crate::http::App;

/// How long a connection with nothing under way stays open once the drain has begun. A client that
/// sends at just that moment gets its answer, with `Connection: close`, instead of a closed socket.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Serves one connection until the client, a deadline or the drain ends it.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: SocketAddr,
    app: App,
    limits: Arc<Limits>,
    mut draining: watch::Receiver<bool>,
) {
    let pulse = Arc::new(Pulse::new(limits));
    let io = TokioIo::new(Watched { stream, pulse: Arc::clone(&pulse) });
    // Each in a box of its own: kept with the connection, every idle one would have room for one.
    let service = service_fn(|request| Box::pin(answer(&app, &pulse, peer.ip(), request)));
    // A client may close its half as soon as it has asked (`printf … | nc`); it still gets its answer.
    let connection = http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .max_buf_size(pulse.limits.header_bytes)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut drain = pin!(draining.wait_for(|is_draining| *is_draining));
    let mut alarm = pin!(sleep_until(pulse.state().deadline));
    poll_fn(|cx| {
        if !pulse.state().is_draining && drain.as_mut().poll(cx).is_ready() {
            pulse.drain();
        }
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // Set the alarm anew only when it would ring too late; ringing too early costs one look.
        let mut deadline = pulse.state().deadline;
        if deadline < alarm.deadline() {
            alarm.as_mut().reset(deadline);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            deadline = pulse.state().deadline;
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    })
    .await;
}

/// Answers one request, and says so when it is the connection's last: while draining, and after a
/// request with a body. Only Zendesk's servers have a reason to send one, and seldom; and where its end
/// is in doubt (`Transfer-Encoding` beside `Content-Length`) the rest would be read as a request that
/// nobody sent.
fn answer(
    app: &App,
    pulse: &Pulse,
    peer: IpAddr,
    request: Request<Incoming>,
) -> impl Future<
    Output = Result<Response<impl Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + 'static>, Infallible>,
> {
    // Taken apart before the future is made, and no `async fn`: that has room for its arguments twice.
    let (head, body) = request.into_parts();
    async move {
        pulse.answering(app.request_timeout());
        let has_body = !body.is_end_stream() || head.headers.contains_key(TRANSFER_ENCODING);
        let mut response = app.answer(&head, body, peer).await;
        if pulse.answered() || has_body {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// What a connection is doing, and until when it may.
struct Pulse {
    limits: Arc<Limits>,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct State {
    phase: Phase,
    deadline: Instant,
    is_draining: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Accepted; no byte came yet.
    Fresh,
    /// Some of a request's headers came.
    Reading,
    /// A request is being answered; `limits.request_timeout` watches over it.
    Answering,
    /// Between two requests.
    Idle,
}

impl Pulse {
    fn new(limits: Arc<Limits>) -> Self {
        let deadline = Instant::now() + limits.header_timeout;
        Self { limits, state: Mutex::new(State { phase: Phase::Fresh, deadline, is_draining: false }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came in.
    fn received(&self) {
        let mut state = self.state();
        match state.phase {
            Phase::Fresh => state.phase = Phase::Reading,
            Phase::Idle => {
                state.phase = Phase::Reading;
                state.deadline = Instant::now() + self.limits.header_timeout;
            }
            Phase::Reading | Phase::Answering => {}
        }
    }

    /// The headers are in. The request timeout ends the answer; this is for a client that then does
    /// not take it.
    fn answering(&self, request_timeout: Duration) {
        let mut state = self.state();
        state.phase = Phase::Answering;
        state.deadline = Instant::now() + request_timeout + self.limits.idle_timeout;
    }

    /// The answer is on its way; whether the connection must end with it.
    fn answered(&self) -> bool {
        let mut state = self.state();
        let rest = if state.is_draining { LINGER } else { self.limits.idle_timeout };
        state.phase = Phase::Idle;
        state.deadline = Instant::now() + rest;
        state.is_draining
    }

    fn drain(&self) {
        let mut state = self.state();
        state.is_draining = true;
        if matches!(state.phase, Phase::Fresh | Phase::Idle) {
            state.deadline = state.deadline.min(Instant::now() + LINGER);
        }
    }
}

/// A stream that tells the pulse when bytes come in.
struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.received();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
