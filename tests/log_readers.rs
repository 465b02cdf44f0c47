//! The service keeps working when the reader of its log stops reading.

use std::io::{BufRead, BufReader, PipeReader, Read, Write, pipe};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::thread;
use std::time::Instant;

use crate::client::{Request, connect, read};
use crate::harness::{PATIENCE, command, recommended, send_signal};

/// A service whose standard output the test controls.
struct Unread<R = PipeReader> {
    child: Child,
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
        let child = command(&["serve"], &recommended(changes)).stdout(stdout).spawn().unwrap();
        let mut log = BufReader::new(log);
        let mut first = String::new();
        log.read_line(&mut first).unwrap();
        let first: serde_json::Value = serde_json::from_str(&first).unwrap();
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

    fn terminate(&self) {
        send_signal("TERM", &self.child.id().to_string());
    }

    fn stop(&mut self) -> Option<i32> {
        self.terminate();
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
        }
        panic!("the service did not stop");
    }
}

impl<R> Drop for Unread<R> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_reader_that_stops_reading_stops_nothing_else() {
    let mut service = Unread::start(&[]);
    // 12,000 lines exceed the pipe and the queue together.
    service.ask(12_000);
    assert_eq!(Request::new(service.admin, "GET", "/ready").send().status, 200);
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn lines_that_were_lost_are_counted_once_it_reads_again() {
    let mut service = Unread::start(&[]);
    service.ask(12_000);
    // The output ends with the process.
    service.terminate();
    let lines = service.log.take().unwrap().lines().map_while(Result::ok);
    let lines: Vec<serde_json::Value> = lines.map(|line| serde_json::from_str(&line).unwrap()).collect();
    let written = lines.iter().filter(|line| line["message"] == "request").count();
    let lost: u64 = lines.iter().filter_map(|line| line["lines"].as_u64()).sum();
    assert!(lost > 0);
    // The two lines about the shutdown may be lost too.
    assert!((12_000..=12_002).contains(&(u64::try_from(written).unwrap() + lost)), "{written} {lost}");
}

#[test]
fn lines_that_could_not_be_written_are_counted_once_they_can_be_and_go_on_with_no_torn_one() {
    // On a full disk, or here on a non-blocking socket, a write fails, perhaps after a part.
    let (log, stdout) = UnixStream::pair().unwrap();
    stdout.set_nonblocking(true).unwrap();
    let mut service = Unread::writing_to(stdout.into(), log, &[]);
    service.ask(12_000);
    let log = service.log.take().unwrap();
    let reader = thread::spawn(move || log.lines().map_while(Result::ok).collect::<Vec<_>>());
    service.ask(50);
    assert_eq!(service.stop(), Some(0));
    let lines = reader.join().unwrap();
    assert!(lines.iter().all(|line| line.matches("\"timestamp\"").count() <= 1), "a torn line goes on");
    let whole: Vec<serde_json::Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let written = whole.iter().filter(|line| line["message"] == "request").count();
    let lost: u64 = whole.iter().filter_map(|line| line["lines"].as_u64()).sum();
    assert!(lost > 0);
    assert!((12_050..=12_052).contains(&(u64::try_from(written).unwrap() + lost)), "{written} {lost}");
}

#[test]
fn a_reader_that_is_gone_stops_nothing() {
    let mut service = Unread::start(&[]);
    service.log = None;
    service.ask(1_000);
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn where_it_listens_is_said_at_every_level() {
    for level in ["error", "warn", "info", "trace"] {
        let service = Unread::start(&[("log.level", level)]);
        assert_ne!(service.public.port(), 0);
    }
}
