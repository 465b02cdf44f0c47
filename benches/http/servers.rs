//! Starts the servers to compare, each in its own process.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::routing::get;

use crate::load::Load;

/// Argument that runs the bare server.
pub const BARE: &str = "--bare-server";
/// Argument that runs the textbook server; followed by its address and its log level.
pub const TEXTBOOK: &str = "--textbook-server";

pub const LOGIN_SECRET: &str = "2f1d0c6b7a9e4835b6d2f0e1c3a597884d6e2b1f0a9c8d7e6f5a4b3c2d1e0f9a";
pub const CHAT_SECRET: &str = "9b1d7e5c3a2f4860b7c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5";

/// The only allowed origin.
pub const SHOP: &str = "https://shop.example.com";

/// Clock ticks in a second, for `/proc/PID/stat` (`proc_pid_stat(5)`; 100 on every Linux that Rust supports).
const TICKS: f64 = 100.0;

/// A server process; killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub ready_in: Duration,
}

impl Server {
    /// This project's server. Its log goes to another process, as in a container, and is discarded.
    pub fn ours(level: &str) -> Self {
        let address = free_address();
        let mut command = on_its_processors(env!("CARGO_BIN_EXE_zendesk-token"));
        command.arg("serve").env_clear().envs([
            ("ZENDESK_TOKEN_LISTEN", address.to_string().as_str()),
            ("ZENDESK_TOKEN_ADMIN__LISTEN", "127.0.0.1:0"),
            ("ZENDESK_TOKEN_LOGIN__SECRET", LOGIN_SECRET),
            ("ZENDESK_TOKEN_CHAT__SECRET", CHAT_SECRET),
            ("ZENDESK_TOKEN_CORS__ORIGINS", SHOP),
            ("ZENDESK_TOKEN_LOG__LEVEL", level),
        ]);
        Self::start(command, address)
    }

    /// Bare axum that sends the same bytes as ours.
    pub fn bare(load: &Load) -> Self {
        let example = Self::ours("warn");
        let answer = String::from_utf8(load.ask(example.address).1).unwrap();
        let address = free_address();
        let mut command = on_its_processors(std::env::current_exe().unwrap());
        command.arg(BARE).env("BARE_ADDRESS", address.to_string()).env("BARE_ANSWER", answer);
        Self::start(command, address)
    }

    /// The same exchange, with the same packages used as in their examples.
    pub fn textbook(level: &str) -> Self {
        let address = free_address();
        let mut command = on_its_processors(std::env::current_exe().unwrap());
        command.args([TEXTBOOK, &address.to_string(), level]);
        Self::start(command, address)
    }

    fn start(mut command: Command, address: SocketAddr) -> Self {
        let started = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || while log.read(&mut [0; 8192]).is_ok_and(|read| read > 0) {});
        let mut server = Self { child, address, ready_in: Duration::ZERO };
        while !answers(address) {
            assert!(started.elapsed() < Duration::from_secs(10), "no server on {address}");
        }
        server.ready_in = started.elapsed();
        server
    }

    /// Reloads the settings again and again until `is_over`; returns how often.
    pub fn reload(&self, pause: Duration, is_over: &AtomicBool) -> usize {
        let mut count = 0;
        while !is_over.load(Ordering::Relaxed) {
            let hangup = format!("kill -HUP {}", self.child.id());
            assert!(Command::new("sh").args(["-c", &hangup]).status().unwrap().success());
            count += 1;
            thread::sleep(pause);
        }
        count
    }

    /// CPU time of the process, in user and kernel mode.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
    }

    /// Memory of the process.
    pub fn resident_mib(&self) -> f64 {
        let status = fs::File::open(format!("/proc/{}/status", self.child.id())).unwrap();
        let mut lines = BufReader::new(status).lines().map_while(Result::ok);
        let line = lines.find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program on the first half of the processors; the load has the other half. On shared processors the client would
/// interrupt the server at each response, and the server's CPU time would include the context switches.
fn on_its_processors(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/usr/bin/taskset");
    command.args(["--cpu-list", &format!("0-{}", processors() / 2 - 1)]).arg(program);
    command
}

/// Moves this process to the processors that the servers do not use.
pub fn leave_processors() {
    let rest = format!("{}-{}", processors() / 2, processors() - 1);
    let process = std::process::id().to_string();
    let pinned =
        Command::new("/usr/bin/taskset").args(["--all-tasks", "--cpu-list", "--pid", &rest, &process]).output();
    assert!(pinned.unwrap().status.success());
}

/// The number of processors before this process was moved; at least two.
fn processors() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    let count = *COUNT.get_or_init(|| thread::available_parallelism().unwrap().get());
    assert!(count > 1, "at least two processors are needed");
    count
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").is_ok() && stream.read(&mut [0; 12]).is_ok_and(|read| read == 12)
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The bare server: axum as in its own documentation.
pub fn run_bare() {
    let variable = |name: &str| std::env::vars().find(|(known, _)| known == name).unwrap().1;
    let (address, answer) = (variable("BARE_ADDRESS"), variable("BARE_ANSWER"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        let is_hypers = matches!(name, "date" | "content-length");
        (!is_hypers).then(|| (HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap()))
    };
    let headers: HeaderMap = head.lines().filter_map(header).collect();
    let body: &'static str = body.to_owned().leak();
    let routes = Router::new().route("/generate/token", get(move || async move { (headers.clone(), body) }));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        axum::serve(tokio::net::TcpListener::bind(address).await.unwrap(), routes).await.unwrap();
    });
}
