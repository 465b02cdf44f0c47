//! One running service for each test, a plain client, and nothing left behind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

pub const LOGIN_SECRET: &str = include_str!("fixtures/login_secret").trim_ascii_end();
pub const CHAT_SECRET: &str = "9b1d7e5c3a2f4860b7c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5";
pub const ORIGIN: &str = "https://shop.example.com";

/// Longest that any single step of a test waits.
pub const PATIENCE: Duration = Duration::from_secs(20);

const USUAL: [(&str, &str); 5] = [
    ("listen", "127.0.0.1:0"),
    ("admin.listen", "127.0.0.1:0"),
    ("login.secret", LOGIN_SECRET),
    ("chat.secret", CHAT_SECRET),
    ("cors.origins", ORIGIN),
];

/// The binary, with no environment but the settings named.
pub fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zendesk-token"));
    command.args(arguments).env_clear();
    for (key, value) in settings {
        command.env(variable(key), value);
    }
    command
}

/// Runs the binary to its end.
pub fn output(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    command(arguments, settings).stdin(Stdio::null()).output().unwrap()
}

pub fn variable(key: &str) -> String {
    format!("ZENDESK_TOKEN_{}", key.replace('.', "__").to_uppercase())
}

/// The usual settings with some changed.
pub fn usual<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut settings: BTreeMap<_, _> = USUAL.into_iter().collect();
    settings.extend(changes.iter().copied());
    settings.into_iter().collect()
}

/// A service in a process of its own; killed when dropped.
pub struct Server {
    child: Child,
    log: Receiver<String>,
    seen: Vec<String>,
    pub public: SocketAddr,
    pub admin: SocketAddr,
}

/// How a service ended.
pub struct Stopped {
    pub status: ExitStatus,
    pub took: Duration,
    pub log: Vec<String>,
}

impl Server {
    pub fn start() -> Self {
        Self::with(&[])
    }

    pub fn with(changes: &[(&str, &str)]) -> Self {
        Self::run(command(&["serve"], &usual(changes)))
    }

    /// Starts a command that serves, and waits until its log says where.
    pub fn run(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, log) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut seen = Vec::new();
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        while let Ok(line) = log.recv_timeout(PATIENCE) {
            seen.push(line);
            let (public, admin) = (address(&seen, "listen"), address(&seen, "admin_listen"));
            if let Some((public, admin)) = public.zip(admin) {
                return Self { child, log, seen, public, admin };
            }
        }
        drop(Self { child, log, seen: Vec::new(), public: unknown, admin: unknown });
        panic!("the service did not start: {seen:?}");
    }

    pub fn get(&self, path: &str) -> Request {
        Request::new(self.public, "GET", path)
    }

    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.public, method, path)
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.public)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(self) -> Stopped {
        self.stop_by("TERM")
    }

    pub fn stop_by(self, signal: &str) -> Stopped {
        self.signal(signal);
        self.wait()
    }

    /// Waits for the end, and takes what was still to be read of the log.
    pub fn wait(mut self) -> Stopped {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut log = std::mem::take(&mut self.seen);
                let took = started.elapsed();
                log.extend(self.log.iter());
                return Stopped { status, took, log };
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the service did not stop");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A member of the newest log line that has it, in either format.
fn address(log: &[String], name: &str) -> Option<SocketAddr> {
    log.iter().find_map(|line| {
        let text = line.split_once(&format!(" {name}=")).or_else(|| line.split_once(&format!("\"{name}\":\"")))?.1;
        text.split([' ', '"']).next()?.parse().ok()
    })
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One request on a connection of its own.
pub struct Request {
    address: SocketAddr,
    head: Vec<u8>,
}

impl Request {
    pub fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        Self { address, head: head.into_bytes() }
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend([name.as_bytes(), b": ", value.as_ref(), b"\r\n"].concat());
        self
    }

    pub fn cookie(self, value: impl AsRef<[u8]>) -> Self {
        self.header("Cookie", [b"token=", value.as_ref()].concat())
    }

    pub fn send(mut self) -> Answer {
        self.head.extend(b"\r\n");
        send(self.address, &self.head)
    }
}

/// Sends bytes on a connection of its own and reads to its end.
pub fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is the answer's end too.
    let _ = stream.read_to_end(&mut answer);
    Answer::read(&answer)
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// Reads an answer; a connection that closed without one has status 0.
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    /// All values of a header, joined.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str()).collect();
        if values.is_empty() { None } else { Some(values.join(", ")) }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The code of a refusal, whose body must be the two members and no more.
    pub fn code(&self) -> String {
        let json = self.json();
        assert_eq!(self.header("content-type").as_deref(), Some("application/json"));
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(2), "{self:?}");
        assert!(json["description"].is_string());
        json["code"].as_str().unwrap().to_owned()
    }

    /// Status and code: `401 00-01`.
    pub fn refusal(&self) -> String {
        let mut text = self.status.to_string();
        let _ = write!(text, " {}", self.code());
        text
    }

    /// The token of a JSON answer.
    pub fn token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["token"].as_str().unwrap().to_owned()
    }
}
