//! A TCP proxy between pages and the service, which records every request and response unchanged.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::server::listener::ACCEPT_PAUSE;

/// Most exchanges that are kept; a page shows only the last few.
const MAX_EXCHANGES: usize = 64;

/// Most bytes that are kept of a request and of a response.
const MAX_BYTES: usize = 16 * 1024;

/// Most connections at the same time; a browser has six.
const MAX_CONNECTIONS: usize = 128;

/// Longest time of a connection, idle or not.
const MAX_LIFETIME: Duration = Duration::from_mins(2);

/// A request and its response so far, with headers.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Exchange {
    /// Counted from 1.
    number: u64,
    pub(super) request: String,
    answer: String,
    /// From the first byte of the request to the first byte of the response.
    milliseconds: f64,
}

pub(super) struct RecordingProxy {
    service: SocketAddr,
    exchanges: Mutex<VecDeque<Exchange>>,
    is_cut: watch::Sender<bool>,
}

impl RecordingProxy {
    pub(super) fn new(service: SocketAddr) -> Self {
        Self { service, exchanges: Mutex::default(), is_cut: watch::Sender::new(false) }
    }

    /// Cuts all connections, as if the service were down, or allows them again.
    pub(super) fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }

    /// The exchanges after a number.
    pub(super) fn after(&self, number: u64) -> Vec<Exchange> {
        self.exchanges().iter().filter(|exchange| exchange.number > number).cloned().collect()
    }

    /// Forwards the connections of a listener, until its task is aborted.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener) -> Infallible {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok((page, _)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
            if *self.is_cut.borrow() {
                continue;
            }
            let (proxy, mut is_cut) = (Arc::clone(&self), self.is_cut.subscribe());
            tokio::spawn(async move {
                tokio::select! {
                    _ = timeout(MAX_LIFETIME, proxy.forward(page)) => {}
                    _ = is_cut.wait_for(|is_cut| *is_cut) => {}
                }
                drop(permit);
            });
        }
    }

    async fn forward(&self, mut page: TcpStream) -> io::Result<()> {
        let mut service = TcpStream::connect(self.service).await?;
        page.set_nodelay(true)?;
        service.set_nodelay(true)?;
        let (mut sent, mut received) = (vec![0; MAX_BYTES], vec![0; MAX_BYTES]);
        let mut current = Exchange::default();
        let mut began = Instant::now();
        loop {
            tokio::select! {
                read = page.read(&mut sent) => {
                    let bytes = sent.get(..read?).unwrap_or_default();
                    if bytes.is_empty() {
                        service.shutdown().await?;
                        return tokio::io::copy(&mut service, &mut page).await.map(drop);
                    }
                    if current.number == 0 || !current.answer.is_empty() {
                        current = self.begin();
                        began = Instant::now();
                    }
                    append(&mut current.request, bytes);
                    self.keep(&current);
                    service.write_all(bytes).await?;
                }
                read = service.read(&mut received) => {
                    let bytes = received.get(..read?).unwrap_or_default();
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    if current.answer.is_empty() {
                        current.milliseconds = began.elapsed().as_secs_f64() * 1000.0;
                    }
                    append(&mut current.answer, bytes);
                    self.keep(&current);
                    page.write_all(bytes).await?;
                }
            }
        }
    }

    /// Posts a form to the service as Zendesk's servers do, and records it.
    pub(super) async fn post(&self, path: &str, form: &str) -> io::Result<()> {
        if *self.is_cut.borrow() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Zendesk (pretend)\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{form}",
            self.service,
            form.len()
        );
        let mut current = self.begin();
        let began = Instant::now();
        append(&mut current.request, request.as_bytes());
        let mut service = TcpStream::connect(self.service).await?;
        service.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        service.read_to_end(&mut answer).await?;
        current.milliseconds = began.elapsed().as_secs_f64() * 1000.0;
        append(&mut current.answer, &answer);
        self.keep(&current);
        Ok(())
    }

    fn exchanges(&self) -> MutexGuard<'_, VecDeque<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Exchange {
        let mut exchanges = self.exchanges();
        let number = exchanges.back().map_or(1, |last| last.number + 1);
        let exchange = Exchange { number, ..Exchange::default() };
        exchanges.push_back(exchange.clone());
        if exchanges.len() > MAX_EXCHANGES {
            exchanges.pop_front();
        }
        exchange
    }

    fn keep(&self, current: &Exchange) {
        if let Some(kept) = self.exchanges().iter_mut().find(|kept| kept.number == current.number) {
            kept.clone_from(current);
        }
    }
}

/// Appends bytes up to a length of [`MAX_BYTES`]; marks with `…` that the rest is missing.
fn append(text: &mut String, bytes: &[u8]) {
    let room = MAX_BYTES.saturating_sub(text.len());
    text.push_str(&String::from_utf8_lossy(bytes.get(..room).unwrap_or(bytes)));
    if room > 0 && bytes.len() > room {
        text.push('…');
    }
}
