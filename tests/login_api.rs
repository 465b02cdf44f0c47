//! A Login API on loopback that can be slow, wrong, huge, redirecting, gone and rotated.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crate::harness::PATIENCE;
use crate::login_tokens::PROJECT;

/// How the API answers a path.
#[derive(Clone)]
pub enum Reply {
    /// Status and body.
    Answer(u16, String),
    /// The same, after a while.
    Late(Duration, u16, String),
    /// 302 to that address.
    Redirect(String),
    /// A body without end.
    Huge,
    /// Closes the connection without a word.
    HangUp,
    /// Something that is no HTTP.
    Noise,
}

/// The path of the login project's keys.
pub fn keys_path() -> String {
    format!("/api/projects/{PROJECT}/keys")
}

pub const VALIDATE_PATH: &str = "/api/token/validate";

/// A file of the RS256 fixtures.
pub fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rs256").join(name);
    fs::read_to_string(path).unwrap()
}

pub struct LoginApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    replies: Mutex<BTreeMap<String, Reply>>,
    /// Method, path and body of each request.
    asked: Mutex<Vec<(String, String, String)>>,
    /// How far its clock is ahead of ours, in seconds.
    ahead: Mutex<i64>,
    /// Whether a cache has kept its answers for a while.
    is_cached: AtomicBool,
    is_stopping: AtomicBool,
}

impl LoginApi {
    /// Publishes the first key set, and says of every token that it stands.
    pub fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::new(Shared::default()));
        let mut api = Self { address, shared: Arc::clone(&shared), thread: None };
        api.reply(&keys_path(), Reply::Answer(200, fixture("first.json")));
        api.reply(VALIDATE_PATH, Reply::Answer(204, String::new()));
        api.thread = Some(thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.is_stopping.load(Ordering::Relaxed) {
                    break;
                }
                let (shared, stream) = (Arc::clone(&shared), stream.unwrap());
                thread::spawn(move || shared.answer(stream));
            }
        }));
        api
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn reply(&self, path: &str, reply: Reply) {
        self.shared.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    pub fn publish(&self, key_set: &str) {
        self.reply(&keys_path(), Reply::Answer(200, fixture(key_set)));
    }

    pub fn set_clock_ahead(&self, seconds: i64) {
        *self.shared.ahead.lock().unwrap() = seconds;
    }

    pub fn put_behind_a_cache(&self) {
        self.shared.is_cached.store(true, Ordering::Relaxed);
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|(_, asked, _)| asked == path).count()
    }

    /// Method and body of the last request for a path.
    pub fn last(&self, path: &str) -> (String, String) {
        let asked = self.shared.asked.lock().unwrap();
        asked
            .iter()
            .rfind(|(_, asked, _)| asked == path)
            .map(|(method, _, body)| (method.clone(), body.clone()))
            .unwrap()
    }
}

impl Drop for LoginApi {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let Some((method, path, body)) = read(&mut stream) else { return };
        let reply = self.replies.lock().unwrap().get(&path).cloned();
        self.asked.lock().unwrap().push((method, path, body));
        match reply.unwrap_or(Reply::Answer(404, String::new())) {
            Reply::Answer(status, body) => self.write(&mut stream, status, "", &body),
            Reply::Late(wait, status, body) => {
                thread::sleep(wait);
                self.write(&mut stream, status, "", &body);
            }
            Reply::Redirect(to) => self.write(&mut stream, 302, &format!("Location: {to}\r\n"), ""),
            Reply::Huge => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[");
                while stream.write_all(&[b' '; 8192]).is_ok() {}
            }
            Reply::HangUp => {}
            Reply::Noise => drop(stream.write_all(b"220 mail.example.com ESMTP\r\n")),
        }
    }

    fn write(&self, stream: &mut TcpStream, status: u16, header: &str, body: &str) {
        let ahead = *self.ahead.lock().unwrap();
        let shift = Duration::from_secs(ahead.unsigned_abs());
        let now = SystemTime::now();
        let date = httpdate::fmt_http_date(if ahead < 0 { now - shift } else { now + shift });
        let age = if self.is_cached.load(Ordering::Relaxed) { "Age: 300\r\n" } else { "" };
        let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head =
            format!("HTTP/1.1 {status} X\r\nDate: {date}\r\n{age}Connection: close\r\n{length}{header}\r\n{body}");
        let _ = stream.write_all(head.as_bytes());
    }
}

/// Method, path and body of a request.
fn read(stream: &mut TcpStream) -> Option<(String, String, String)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = crate::client::read(stream, &mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            let mut words = head.split(' ').map(str::to_owned);
            return Some((words.next()?, words.next()?, body.to_owned()));
        }
    }
}
