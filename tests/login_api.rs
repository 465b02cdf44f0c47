//! A Login API on loopback that can be slow, wrong, huge, redirecting, gone and rotated.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::login_tokens::PROJECT;
use crate::stub::{Asked, Reply, Stub};

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
    asked: Mutex<Vec<Asked>>,
    /// How far its clock is ahead of ours, in seconds.
    ahead: Mutex<i64>,
    /// Whether a cache has kept its answers for a while.
    is_cached: AtomicBool,
}

impl LoginApi {
    /// Publishes the first key set, and says of every token that it stands.
    pub fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub fn at(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let answering = Arc::clone(&shared);
        let api = Self { stub: Stub::start(address, move |asked| answering.answer(asked)), shared };
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

    /// How requests for a path are answered, or those with a body.
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
        self.shared.asked.lock().unwrap().iter().filter(|asked| asked.target == path).count()
    }

    /// Method and body of the last request for a path.
    pub fn last(&self, path: &str) -> (String, String) {
        let asked = self.shared.asked.lock().unwrap();
        asked
            .iter()
            .rfind(|asked| asked.target == path)
            .map(|asked| (asked.method.clone(), asked.body.clone()))
            .unwrap()
    }
}

impl Shared {
    fn answer(&self, asked: Asked) -> (String, Reply) {
        let replies = self.replies.lock().unwrap();
        let reply = replies.get(&asked.body).or(replies.get(&asked.target)).cloned();
        drop(replies);
        self.asked.lock().unwrap().push(asked);
        let ahead = *self.ahead.lock().unwrap();
        let shift = Duration::from_secs(ahead.unsigned_abs());
        let now = SystemTime::now();
        let date = httpdate::fmt_http_date(if ahead < 0 { now - shift } else { now + shift });
        let age = if self.is_cached.load(Ordering::Relaxed) { "Age: 300\r\n" } else { "" };
        (format!("Date: {date}\r\n{age}"), reply.unwrap_or(Reply::Answer(404, String::new())))
    }
}
