//! Starts the service in a process for one test, and kills it when the test ends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{self, Request};
use crate::login_tokens::PROJECT;

pub const LOGIN_SECRET: &str = include_str!("fixtures/login_secret").trim_ascii_end();
pub const CHAT_SECRET: &str = "9b1d7e5c3a2f4860b7c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5";
pub const MESSAGING_SECRET: &str = "b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfef";
pub const HELP_CENTER_SECRET: &str = "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89";
pub const SUPPORT_SDK_SECRET: &str = "6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a";
pub const KEY_ID: &str = "app_5f0d1a7b3c11";
pub const ORIGIN: &str = "https://shop.example.com";

/// Longest wait for something that has to happen. A test takes this long only when it fails, or when the machine is that slow.
pub const PATIENCE: Duration = Duration::from_mins(1);

const USUAL: [(&str, &str); 5] = [
    ("listen", "127.0.0.1:0"),
    ("admin.listen", "127.0.0.1:0"),
    ("login.secret", LOGIN_SECRET),
    ("chat.secret", CHAT_SECRET),
    ("cors.origins", ORIGIN),
];

/// Settings of the products other than Chat.
pub const OTHER_PRODUCTS: [(&str, &str); 4] = [
    ("messaging.secret", MESSAGING_SECRET),
    ("messaging.key_id", KEY_ID),
    ("help_center.secret", HELP_CENTER_SECRET),
    ("support_sdk.secret", SUPPORT_SDK_SECRET),
];

/// Settings that `check` warns about when they are not set.
pub const RECOMMENDED: [(&str, &str); 2] = [("login.project_id", PROJECT), ("login.max_lifetime", "24h")];

/// The binary, with these settings as its only environment.
pub fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zendesk-token"));
    command.args(arguments).env_clear();
    for (key, value) in settings {
        command.env(variable(key), value);
    }
    command
}

/// The same command, run by another program.
pub fn run_by(program: &str, arguments: &[&str], inner: &Command) -> Command {
    let mut outer = Command::new(program);
    outer.args(arguments).arg(inner.get_program()).args(inner.get_args()).env_clear();
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer
}

/// Runs the binary to its end.
pub fn output(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    command(arguments, settings).stdin(Stdio::null()).output().unwrap()
}

pub fn variable(key: &str) -> String {
    format!("ZENDESK_TOKEN_{}", key.replace('.', "__").replace('-', "_").to_uppercase())
}

/// The usual settings with some changed.
pub fn usual<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut settings: BTreeMap<_, _> = USUAL.into_iter().collect();
    settings.extend(changes.iter().copied());
    settings.into_iter().collect()
}

/// The usual and the recommended settings with some changed: `check` gives no warning about them.
pub fn recommended<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    usual(&[&RECOMMENDED, changes].concat())
}

/// A process, which is killed when dropped.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A service process, which is killed when dropped.
pub struct Server {
    child: Process,
    log: Receiver<String>,
    seen: Vec<String>,
    pub public: SocketAddr,
    pub admin: SocketAddr,
}

/// The end of a service process.
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

    /// All four products, with some settings changed.
    pub fn with_all_products(changes: &[(&str, &str)]) -> Self {
        Self::with(&[&OTHER_PRODUCTS[..], changes].concat())
    }

    /// Starts a command that serves, and waits until it logs its addresses.
    pub fn run(mut command: Command) -> Self {
        let mut child = Process(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let (sender, log) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut seen = Vec::new();
        while let Ok(line) = log.recv_timeout(PATIENCE) {
            seen.push(line);
            let (public, admin) = (address(&seen, "listen"), address(&seen, "admin_listen"));
            if let Some((public, admin)) = public.zip(admin) {
                return Self { child, log, seen, public, admin };
            }
        }
        panic!("the service did not start: {seen:?}");
    }

    pub fn get(&self, path: &str) -> Request {
        Request::new(self.public, "GET", path)
    }

    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.public, method, path)
    }

    pub fn connect(&self) -> TcpStream {
        client::connect(self.public)
    }

    /// The lines printed until the service was up.
    pub fn take_seen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.seen)
    }

    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    pub fn signal(&self, name: &str) {
        send_signal(name, &self.id().to_string());
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(self) -> Stopped {
        self.stop_by("TERM")
    }

    pub fn stop_by(self, signal: &str) -> Stopped {
        self.signal(signal);
        self.wait()
    }

    /// Waits for the end, and reads the rest of the log.
    pub fn wait(mut self) -> Stopped {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.child.0.try_wait().unwrap() {
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

/// A field of the first log line that has it, in JSON or text.
fn address(log: &[String], name: &str) -> Option<SocketAddr> {
    log.iter().find_map(|line| {
        let text = line.split_once(&format!(" {name}=")).or_else(|| line.split_once(&format!("\"{name}\":\"")))?.1;
        text.split([' ', '"']).next()?.parse().ok()
    })
}

/// Sends a signal with the shell's builtin `kill`, which needs no package.
pub fn send_signal(name: &str, process: &str) {
    let kill = format!("kill -{name} {process}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

/// Reports a test that cannot run here; with CI=true this fails.
pub fn skip(what: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{what}");
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

/// Resident memory of a process in KiB (`proc_pid_status(5)`).
pub fn resident_kib(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
