//! Level, format and standard output of the log; the service works on when nothing reads it.

use std::io::{BufRead, BufReader, PipeReader, Read, Write, pipe};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use serde_json::Value;

use crate::access_log::requests;
use crate::client::{Request, connect, read};
use crate::harness::{Process, Server, command, recommended, send_signal};
use crate::published_keys::until;

/// A service whose standard output the test controls.
struct Unread<R = PipeReader> {
    child: Process,
    log: Option<BufReader<R>>,
    public: SocketAddr,
    admin: SocketAddr,
}

impl Unread {
    fn start(changes: &[(&str, &str)]) -> Self {
        let (log, stdout) = pipe().unwrap();
        Self::writing_to(stdout.into(), log, changes)
    }
}

impl<R: Read> Unread<R> {
    fn writing_to(stdout: OwnedFd, log: R, changes: &[(&str, &str)]) -> Self {
        let child = Process(command(&["serve"], &recommended(changes)).stdout(stdout).spawn().unwrap());
        let mut log = BufReader::new(log);
        let mut first = String::new();
        log.read_line(&mut first).unwrap();
        let first: Value = serde_json::from_str(&first).unwrap();
        let address = |name: &str| first[name].as_str().unwrap().parse().unwrap();
        Self { child, log: Some(log), public: address("listen"), admin: address("admin_listen") }
    }

    /// Sends requests that log this many lines, and checks that each is answered.
    fn ask(&self, requests: usize) {
        let mut stream: TcpStream = connect(self.public);
        let mut buffer = vec![0; 64 * 1024];
        for _ in 0..requests.div_ceil(50) {
            stream.write_all(&b"GET /generate/token HTTP/1.1\r\n\r\n".repeat(50)).unwrap();
            let mut answered = 0;
            while answered < 50 {
                let length = read(&mut stream, &mut buffer).unwrap();
                assert_ne!(length, 0);
                answered += String::from_utf8_lossy(&buffer[..length]).matches("HTTP/1.1 401").count();
            }
        }
    }

    fn stop(&mut self) -> Option<i32> {
        send_signal("TERM", &self.child.0.id().to_string());
        let mut status = None;
        until("stopped", || {
            status = self.child.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }
}

impl<R: Read + Send + 'static> Unread<R> {
    /// Reads the log while it sends so many more requests, until it reports lost lines; stops the service, and returns all lines.
    fn read_until_lost_lines_are_reported(&mut self, requests: usize) -> Vec<String> {
        let log = self.log.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        self.ask(requests);
        let mut lines = Vec::new();
        until("lost lines are reported", || {
            lines.extend(receiver.try_iter());
            lines.iter().any(|line: &String| line.contains("\"lines\":"))
        });
        assert_eq!(self.stop(), Some(0));
        lines.extend(receiver.iter());
        lines
    }
}

/// How many of the lines are in the access log, and how many the log reports as lost.
fn written_and_lost(lines: &[Value]) -> (u64, u64) {
    let written = lines.iter().filter(|line| line["message"] == "request").count();
    (written.try_into().unwrap(), lines.iter().filter_map(|line| line["lines"].as_u64()).sum())
}

#[test]
fn malformed_text_from_clients_is_not_logged() {
    for format in ["json", "text"] {
        let server = Server::with(&[("log.format", format), ("log.level", "debug")]);
        let odd = ["null", "https://a@b.example", "https://[31mred.example", "https://EXAMPLE.com", "javascript:1"];
        for origin in odd {
            server.get("/generate/token").header("Origin", origin).send();
        }
        for path in ["/jwt_fn.js", "/openapi.json"] {
            server.get(path).header("Origin", "jane@example.com").header("If-None-Match", "*").send();
        }
        server.request("JANE-EXAMPLE-COM", "/jane@example.com?jane").send();
        let log = server.stop().log;
        let lines: Vec<&String> = log.iter().filter(|line| line.contains("duration_us")).collect();
        assert_eq!(lines.len(), odd.len() + 3);
        assert!(!lines.iter().any(|line| line.to_lowercase().contains("jane")), "{lines:?}");
        assert!(lines[0].contains("null") && !lines[0].contains("malformed"), "{lines:?}");
        assert!(lines[1..odd.len() + 2].iter().all(|line| line.contains("malformed")), "{lines:?}");
        assert!(lines[odd.len() + 2].contains("other"));
    }
}

#[test]
fn unknown_routes_and_probes_are_counted_and_logged_only_at_debug() {
    for (level, lines) in [("info", 3), ("debug", 12)] {
        let server = Server::with(&[("log.level", level)]);
        for (method, path) in [
            ("GET", "/nowhere"),
            ("GET", "/"),
            ("GET", "/.env"),
            ("POST", "/wp-login.php"),
            ("OPTIONS", "/nowhere"),
            ("GET", "/generate"),
            ("GET", "/generate/tokens/"),
            ("GET", "/health"),
            ("HEAD", "/health"),
            // Logged at every level: known routes, with mistakes of a page.
            ("GET", "/messaging/token"),
            ("DELETE", "/generate/token"),
            ("GET", "/generate/token/"),
        ] {
            server.request(method, path).send();
        }
        let metrics = Request::new(server.admin, "GET", "/metrics").send().body;
        assert!(metrics.contains("\nzendesk_token_requests_not_found_total 8\n"), "{metrics}");
        let logged = requests(&server.stop().log);
        assert_eq!(logged.len(), lines, "{level}");
        let unknown = (&logged[0]["refusal"], &logged[0]["cause"]);
        assert!(level == "info" || unknown == (&"00-08".into(), &"no such route".into()), "{unknown:?}");
    }
}

#[test]
fn a_reader_that_stops_reading_does_not_stop_the_service() {
    let mut service = Unread::start(&[]);
    // 12,000 lines exceed the pipe and the queue together.
    service.ask(12_000);
    assert_eq!(Request::new(service.admin, "GET", "/ready").send().status, 200);
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn lost_lines_are_counted_when_the_reader_reads_again() {
    let mut service = Unread::start(&[]);
    service.ask(12_000);
    let lines = service.read_until_lost_lines_are_reported(0);
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (written, lost) = written_and_lost(&lines);
    // The two lines about the shutdown may be lost too.
    assert!(lost > 0 && (12_000..=12_002).contains(&(written + lost)), "{written} {lost}");
}

#[test]
fn failed_writes_are_counted_and_no_line_continues_a_torn_one() {
    // On a full disk, or here on a non-blocking socket, a write fails, perhaps after a part.
    let (log, stdout) = UnixStream::pair().unwrap();
    stdout.set_nonblocking(true).unwrap();
    let mut service = Unread::writing_to(stdout.into(), log, &[]);
    service.ask(12_000);
    let lines = service.read_until_lost_lines_are_reported(50);
    assert!(lines.iter().all(|line| line.matches("\"timestamp\"").count() <= 1), "a torn line goes on");
    let whole: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let (written, lost) = written_and_lost(&whole);
    assert!(lost > 0 && (12_050..=12_052).contains(&(written + lost)), "{written} {lost}");
}

#[test]
fn a_closed_standard_output_does_not_stop_the_service() {
    let mut service = Unread::start(&[]);
    service.log = None;
    service.ask(1_000);
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn the_addresses_are_logged_at_every_level() {
    for level in ["error", "warn", "info", "trace"] {
        let service = Unread::start(&[("log.level", level)]);
        assert_ne!(service.public.port(), 0);
    }
}
