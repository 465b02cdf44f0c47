//! A Login API on loopback that answers as a test sets it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::login_tokens::PROJECT;
use crate::stub::{ReceivedRequest, Reply, Stub};

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
    stub: Stub,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    replies: Mutex<BTreeMap<String, Reply>>,
    received: Mutex<Vec<ReceivedRequest>>,
    /// Seconds by which its clock is ahead.
    ahead: Mutex<i64>,
    /// Whether its answers come from a cache, with an age.
    is_cached: AtomicBool,
}

impl LoginApi {
    /// Publishes the first key set, and confirms every token.
    pub fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub fn at(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let answering = Arc::clone(&shared);
        let api = Self { stub: Stub::start(address, move |request| answering.answer(request)), shared };
        api.reply(&keys_path(), Reply::Answer(200, fixture("first.json")));
        api.reply(VALIDATE_PATH, Reply::Answer(204, String::new()));
        api
    }

    pub fn address(&self) -> SocketAddr {
        self.stub.address
    }

    pub fn url(&self) -> String {
        self.stub.url()
    }

    /// Sets the answer to requests for `path`, or to requests whose body is `path`.
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

    /// The number of requests for a path.
    pub fn asked(&self, path: &str) -> usize {
        self.shared.received.lock().unwrap().iter().filter(|request| request.target == path).count()
    }

    /// Method and body of the last request for a path.
    pub fn last(&self, path: &str) -> (String, String) {
        let received = self.shared.received.lock().unwrap();
        let last = received.iter().rfind(|request| request.target == path).unwrap();
        (last.method.clone(), last.body.clone())
    }
}

impl Shared {
    fn answer(&self, request: ReceivedRequest) -> (String, Reply) {
        let replies = self.replies.lock().unwrap();
        let reply = replies.get(&request.body).or(replies.get(&request.target)).cloned();
        drop(replies);
        self.received.lock().unwrap().push(request);
        let ahead = *self.ahead.lock().unwrap();
        let shift = Duration::from_secs(ahead.unsigned_abs());
        let now = SystemTime::now();
        let date = httpdate::fmt_http_date(if ahead < 0 { now - shift } else { now + shift });
        let age = if self.is_cached.load(Ordering::Relaxed) { "Age: 300\r\n" } else { "" };
        (format!("Date: {date}\r\n{age}"), reply.unwrap_or(Reply::Answer(404, String::new())))
    }
}
