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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
    let pulse = Arc::new(Pulse::default());
    let io = TokioIo::new(Watched { stream, pulse: Arc::clone(&pulse) });
    // Each in a box of its own: kept with the connection, every idle one would have room for one.
    let service = service_fn(|request| Box::pin(answer(&app, &pulse, peer.ip(), request)));
    // A client may close its half as soon as it has asked (`printf … | nc`); it still gets its answer.
    let connection = http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut drain = pin!(draining.wait_for(|is_draining| *is_draining));
    let mut deadline = Instant::now() + limits.header_timeout;
    let mut alarm = pin!(sleep_until(deadline));
    poll_fn(|cx| {
        if !pulse.is_draining() && drain.as_mut().poll(cx).is_ready() && pulse.drain() {
            deadline = deadline.min(Instant::now() + LINGER);
        }
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // One look at the clock for all that went on: most requests come and are answered within one poll.
        if let Some(phase) = pulse.moved() {
            deadline = Instant::now()
                + match phase {
                    Phase::Fresh | Phase::Reading => limits.header_timeout,
                    // The request timeout ends the answer; this is for a client that then does not take it.
                    Phase::Answering => app.request_timeout() + limits.idle_timeout,
                    Phase::Idle if pulse.is_draining() => LINGER,
                    Phase::Idle => limits.idle_timeout,
                };
        }
        // Set the alarm anew only when it would ring too late; ringing too early costs one look.
        if deadline < alarm.deadline() {
            alarm.as_mut().reset(deadline);
        }
        while alarm.as_mut().poll(cx).is_ready() {
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
        pulse.enter(Phase::Answering);
        let has_body = !body.is_end_stream() || head.headers.contains_key(TRANSFER_ENCODING);
        let mut response = app.answer(&head, body, peer).await;
        pulse.enter(Phase::Idle);
        if pulse.is_draining() || has_body {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Accepted; no byte came yet.
    Fresh,
    /// Some of a request's headers came.
    Reading,
    /// A request is being answered.
    Answering,
    /// Between two requests.
    Idle,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Fresh, Self::Reading, Self::Answering, Self::Idle];
}

/// Keeps what a connection is doing. Its own task alone asks and tells; atomic, since that may go from one
/// thread to another.
#[derive(Default)]
struct Pulse {
    /// Place in [`Phase::ALL`].
    phase: AtomicUsize,
    has_moved: AtomicBool,
    is_draining: AtomicBool,
}

impl Pulse {
    fn phase(&self) -> Phase {
        Phase::ALL.get(self.phase.load(Ordering::Relaxed)).copied().unwrap_or(Phase::Fresh)
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as usize, Ordering::Relaxed);
        self.has_moved.store(true, Ordering::Relaxed);
    }

    /// The phase, when one was entered since this was last asked.
    fn moved(&self) -> Option<Phase> {
        let has_moved = self.has_moved.load(Ordering::Relaxed);
        self.has_moved.store(false, Ordering::Relaxed);
        has_moved.then(|| self.phase())
    }

    /// Bytes came in.
    fn received(&self) {
        match self.phase() {
            // The time for the first headers began when the connection did.
            Phase::Fresh => self.phase.store(Phase::Reading as usize, Ordering::Relaxed),
            Phase::Idle => self.enter(Phase::Reading),
            Phase::Reading | Phase::Answering => {}
        }
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// From now on the answers close the connection. Says whether there is nothing under way.
    fn drain(&self) -> bool {
        self.is_draining.store(true, Ordering::Relaxed);
        matches!(self.phase(), Phase::Fresh | Phase::Idle)
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

/// Takes one piece at a time, so that hyper puts a body behind its head: to copy so few bytes is quicker than to write
/// two pieces.
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
}
