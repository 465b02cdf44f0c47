//! An HTTP server on loopback that gives the answers that a test sets.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::client::{headers, read};
use crate::harness::PATIENCE;

#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Status and body.
    Answer(u16, String),
    /// Status, more headers (`Retry-After: 1\r\n`) and body.
    With(u16, String, String),
    /// A delay, then status and body.
    Late(Duration, u16, String),
    /// 302 to this address.
    Redirect(String),
    /// A body without end.
    Huge,
    /// A body that ends one byte early.
    CutOff(String),
    /// Closes the connection without an answer.
    HangUp,
    /// Bytes that are not HTTP.
    Noise,
}

/// The server. It stops when it is dropped.
pub struct Stub {
    pub address: SocketAddr,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stub {
    /// Answers each request with what `answer` returns: headers for any kind of answer, and the answer.
    pub fn start(
        address: SocketAddr,
        answer: impl Fn(ReceivedRequest) -> (String, Reply) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let (address, is_stopping) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let (should_stop, answer) = (Arc::clone(&is_stopping), Arc::new(answer));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if should_stop.load(Ordering::Relaxed) {
                    break;
                }
                let (answer, mut stream) = (Arc::clone(&answer), stream.unwrap());
                thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    if let Some(request) = ReceivedRequest::read(&mut stream) {
                        let (headers, reply) = answer(request);
                        reply.write(&mut stream, &headers);
                    }
                });
            }
        });
        Self { address, is_stopping, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl ReceivedRequest {
    fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let length = read(stream, &mut chunk).ok().filter(|length| *length > 0)?;
            bytes.extend_from_slice(&chunk[..length]);
            let text = String::from_utf8_lossy(&bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let mut lines = head.lines();
            let mut words = lines.next()?.split(' ').map(str::to_owned);
            let (method, target) = (words.next()?, words.next()?);
            let request = Self { method, target, headers: headers(lines), body: body.to_owned() };
            let length = request.header("content-length").and_then(|length| length.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(request);
            }
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

impl Reply {
    fn write(self, stream: &mut TcpStream, headers: &str) {
        let mut answer = |status: u16, more: &str, body: &str| {
            let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            let head = format!("HTTP/1.1 {status} X\r\n{headers}Connection: close\r\n{length}{more}\r\n{body}");
            let _ = stream.write_all(head.as_bytes());
        };
        match self {
            Self::Answer(status, body) => answer(status, "", &body),
            Self::With(status, more, body) => answer(status, &more, &body),
            Self::Late(wait, status, body) => {
                thread::sleep(wait);
                answer(status, "", &body);
            }
            Self::Redirect(to) => answer(302, &format!("Location: {to}\r\n"), ""),
            Self::Huge => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[");
                while stream.write_all(&[b' '; 8192]).is_ok() {}
            }
            Self::CutOff(body) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len() + 1);
                let _ = stream.write_all((head + &body).as_bytes());
            }
            Self::HangUp => {}
            Self::Noise => drop(stream.write_all(b"220 mail.example.com ESMTP\r\n")),
        }
    }
}
