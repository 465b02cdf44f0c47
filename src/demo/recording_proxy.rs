//! What goes over the wire between a page and the service?
//!
//! The demo stands between the two and hands every byte on as it came: what it shows was sent.

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

/// Exchanges that are kept; a page asks for the last few.
const KEPT: usize = 64;

/// Most bytes that are kept of a request or an answer.
const MAX_BYTES: usize = 16 * 1024;

/// Connections at once: a browser has six.
const CONNECTIONS: usize = 128;

/// Longest time that one lasts, idle or not.
const LONGEST: Duration = Duration::from_mins(2);

/// A request and its answer, so far.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Exchanged {
    /// Which one it is, counted from 1.
    pub number: u64,
    /// The request, byte for byte.
    pub request: String,
    /// The answer.
    pub answer: String,
    /// From the request's first byte to the answer's.
    pub milliseconds: f64,
}

/// The wire.
pub struct Wire {
    service: SocketAddr,
    seen: Mutex<VecDeque<Exchanged>>,
    is_cut: watch::Sender<bool>,
}

impl Wire {
    /// To the service at an address.
    #[must_use]
    pub fn new(service: SocketAddr) -> Self {
        Self { service, seen: Mutex::default(), is_cut: watch::Sender::new(false) }
    }

    /// Cuts it, as if the service were not there, or mends it.
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }

    /// The exchanges after a number.
    #[must_use]
    pub fn after(&self, number: u64) -> Vec<Exchanged> {
        self.seen().iter().filter(|exchanged| exchanged.number > number).cloned().collect()
    }

    /// Carries what comes to a listener, for ever.
    pub async fn carry(self: Arc<Self>, listener: TcpListener) -> Infallible {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok((page, _)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            if *self.is_cut.borrow() {
                continue;
            }
            let (wire, mut is_cut) = (Arc::clone(&self), self.is_cut.subscribe());
            tokio::spawn(async move {
                tokio::select! {
                    _ = timeout(LONGEST, wire.connect(page)) => {}
                    _ = is_cut.wait_for(|is_cut| *is_cut) => {}
                }
                drop(place);
            });
        }
    }

    async fn connect(&self, mut page: TcpStream) -> io::Result<()> {
        let mut service = TcpStream::connect(self.service).await?;
        page.set_nodelay(true)?;
        service.set_nodelay(true)?;
        let (mut asked, mut answered) = (vec![0; MAX_BYTES], vec![0; MAX_BYTES]);
        let mut current = Exchanged::default();
        let mut began = Instant::now();
        loop {
            tokio::select! {
                read = page.read(&mut asked) => {
                    let bytes = asked.get(..read?).unwrap_or_default();
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
                read = service.read(&mut answered) => {
                    let bytes = answered.get(..read?).unwrap_or_default();
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

    /// Posts a form over the wire, as a server does.
    ///
    /// # Errors
    /// The service is not there.
    pub async fn post(&self, path: &str, form: &str) -> io::Result<()> {
        if *self.is_cut.borrow() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Zendesk (pretended)\r\nContent-Type: application/x-www-form-urlencoded\r\n\
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

    fn seen(&self) -> MutexGuard<'_, VecDeque<Exchanged>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Exchanged {
        let mut seen = self.seen();
        let number = seen.back().map_or(1, |last| last.number + 1);
        let begun = Exchanged { number, ..Exchanged::default() };
        seen.push_back(begun.clone());
        if seen.len() > KEPT {
            seen.pop_front();
        }
        begun
    }

    fn keep(&self, current: &Exchanged) {
        if let Some(kept) = self.seen().iter_mut().find(|kept| kept.number == current.number) {
            kept.clone_from(current);
        }
    }
}

/// Adds what there is room for, and says where more would be.
fn append(text: &mut String, bytes: &[u8]) {
    let room = MAX_BYTES.saturating_sub(text.len());
    text.push_str(&String::from_utf8_lossy(bytes.get(..room).unwrap_or(bytes)));
    if room > 0 && bytes.len() > room {
        text.push('…');
    }
}
