//! How the service stops.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Answer, Request, connect, read};
use crate::harness::{PATIENCE, Server, command, run_by, send_signal, skip, usual};
use crate::login_tokens::LoginToken;
use crate::reload::reloads;

fn ready(admin: SocketAddr) -> u16 {
    Request::new(admin, "GET", "/ready").send().status
}

/// A connection with half a request on it, which keeps a drain waiting.
fn half_a_request(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(b"GET /generate/token HTTP/1.1\r\nX-Half: ").unwrap();
    stream
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never {what}");
        thread::yield_now();
    }
}

#[test]
fn sigterm_and_sigint_end_the_service_with_status_0() {
    for signal in ["TERM", "INT"] {
        let server = Server::with(&[("limits.drain", "1h")]);
        assert_eq!(server.stop_by(signal).status.code(), Some(0), "{signal}");
    }
}

#[test]
fn as_pid_1_it_stops_by_signal_too() {
    for signal in ["TERM", "INT"] {
        let inner = command(&["serve"], &usual(&[]));
        let probe = Command::new("unshare").args(["--user", "--map-root-user", "--pid", "--fork", "true"]).output();
        if !probe.is_ok_and(|probe| probe.status.success()) {
            return skip("unshare (util-linux) can't make a PID namespace here");
        }
        let arguments = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--"];
        let server = Server::run(run_by("unshare", &arguments, &inner));
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.id())).unwrap();
        send_signal(signal, children.trim());
        assert_eq!(server.wait().status.code(), Some(0), "{signal}");
    }
}

#[test]
fn with_one_processor_it_answers_reloads_and_drains_all_the_same() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let one = allowed.trim().split([',', '-']).next().unwrap();
    let settings = usual(&[("limits.drain", "1s")]);
    let server = Server::run(run_by("taskset", &["--cpu-list", one], &command(&["serve"], &settings)));
    let held: Vec<TcpStream> = (0..10).map(|_| half_a_request(&server)).collect();
    let ask = || server.get("/generate/token").cookie(LoginToken::valid().mint()).send().status;
    assert!((0..20).all(|_| ask() == 200));
    server.signal("HUP");
    wait_until("reloaded", || reloads(&server, "done") == 1);
    assert_eq!((ask(), ready(server.admin)), (200, 200));
    let stopped = server.stop();
    assert_eq!(stopped.status.code(), Some(0));
    assert!(stopped.log.last().unwrap().contains("\"cut_off\":10"), "{:?}", stopped.log.last());
    drop(held);
}

#[test]
fn clients_that_hold_on_are_cut_off_when_the_drain_is_over() {
    let server =
        Server::with(&[("limits.drain", "1s"), ("limits.header_timeout", "1h"), ("limits.idle_timeout", "1h")]);
    let held: Vec<TcpStream> = (0..10).map(|_| half_a_request(&server)).collect();
    // Only what has been read is under way; a whole request behind it shows that it has been.
    assert_eq!(server.get("/generate/token").send().status, 401);
    let stopped = server.stop();
    assert_eq!(stopped.status.code(), Some(0));
    assert!(stopped.took.as_millis() >= 900, "{:?}", stopped.took);
    assert!(stopped.log.last().unwrap().contains("\"cut_off\":10"), "{:?}", stopped.log.last());
    drop(held);
}

#[test]
fn idle_and_silent_connections_do_not_hold_up_the_stop() {
    let server = Server::with(&[("limits.drain", "1h"), ("limits.header_timeout", "1h")]);
    let mut idle = server.connect();
    idle.write_all(b"GET /generate/token HTTP/1.1\r\n\r\n").unwrap();
    assert!(read(&mut idle, &mut [0; 4096]).unwrap() > 0);
    let silent = server.connect();
    assert_eq!(server.stop().status.code(), Some(0));
    drop((idle, silent));
}

#[test]
fn while_draining_it_is_live_but_not_ready_and_takes_no_connection() {
    let server = Server::start();
    let mut half = half_a_request(&server);
    assert_eq!(server.get("/generate/token").send().status, 401);
    assert_eq!(ready(server.admin), 200);
    server.signal("TERM");
    wait_until("not ready", || ready(server.admin) == 503);
    wait_until("closed", || TcpStream::connect_timeout(&server.public, PATIENCE).is_err());
    assert_eq!(Request::new(server.admin, "GET", "/live").send().status, 200);
    // The request under way is finished, and told that it is the last.
    half.write_all(b"done\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    half.read_to_end(&mut answer).unwrap();
    let answer = Answer::read(&answer);
    assert_eq!((answer.status, answer.header("connection").as_deref()), (401, Some("close")));
    assert_eq!(server.wait().status.code(), Some(0));
}

#[test]
fn connections_that_wait_to_be_accepted_at_the_stop_are_served() {
    let server = Server::start();
    // The kernel accepts for a stopped process, and hands over once it runs again.
    server.signal("STOP");
    let mut waiting: Vec<TcpStream> = (0..300).map(|_| server.connect()).collect();
    for stream in &mut waiting {
        stream.write_all(b"GET /generate/token HTTP/1.1\r\n\r\n").unwrap();
    }
    server.signal("TERM");
    server.signal("CONT");
    for mut stream in waiting {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(Answer::read(&answer).status, 401);
    }
    assert_eq!(server.wait().status.code(), Some(0));
}

#[test]
fn during_the_drain_delay_it_still_accepts_but_is_not_ready() {
    let server = Server::with(&[("limits.drain_delay", "1h")]);
    server.signal("TERM");
    wait_until("not ready", || ready(server.admin) == 503);
    assert_eq!(server.get("/generate/token").send().status, 401);
}

#[test]
fn a_stop_under_load_fails_no_request() {
    let server = Server::with(&[("log.level", "info")]);
    let request = format!("GET /generate/token HTTP/1.1\r\nCookie: token={}\r\n\r\n", LoginToken::valid().mint());
    let (answered, failed, stop) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| load(server.public, &request, &answered, &failed, &stop));
        }
        wait_until("under load", || answered.load(Ordering::Relaxed) > 2000);
        server.signal("TERM");
        wait_until("refusing connections", || TcpStream::connect_timeout(&server.public, PATIENCE).is_err());
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(server.wait().status.code(), Some(0));
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {}", answered.load(Ordering::Relaxed));
}

#[test]
fn a_client_that_sends_just_after_the_stop_gets_its_answer_and_is_told_that_it_is_the_last() {
    let is_answered = || {
        let server = Server::start();
        let mut idle = server.connect();
        idle.write_all(b"GET /generate/token HTTP/1.1\r\n\r\n").unwrap();
        assert!(read(&mut idle, &mut [0; 4096]).unwrap() > 0);
        server.signal("TERM");
        wait_until("closed", || TcpStream::connect_timeout(&server.public, PATIENCE).is_err());
        thread::sleep(Duration::from_millis(300));
        let mut answer = Vec::new();
        let _ = idle.write_all(b"GET /generate/token HTTP/1.1\r\n\r\n").and_then(|()| idle.read_to_end(&mut answer));
        assert_eq!(server.wait().status.code(), Some(0));
        let answer = Answer::read(&answer);
        (answer.status, answer.header("connection").as_deref()) == (401, Some("close"))
    };
    // The service waits a second for such a request, which a slow machine may miss.
    wait_until("answered", is_answered);
}

#[test]
fn a_request_that_is_half_sent_at_the_stop_is_answered() {
    let server = Server::start();
    let (first, rest) = (b"GET /generate/token HT".as_slice(), b"TP/1.1\r\n\r\n".as_slice());
    let mut streams = [server.connect(), server.connect()];
    // One is fresh, one is kept from an earlier request.
    streams[1].write_all(&[first, rest].concat()).unwrap();
    assert!(read(&mut streams[1], &mut [0; 4096]).unwrap() > 0);
    for stream in &mut streams {
        stream.write_all(first).unwrap();
    }
    // A later request that is answered shows that the halves were read.
    assert_eq!(server.get("/generate/token").send().status, 401);
    server.signal("TERM");
    thread::sleep(Duration::from_millis(1600));
    for stream in &mut streams {
        stream.write_all(rest).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = Answer::read(&answer);
        assert_eq!((answer.status, answer.header("connection").as_deref()), (401, Some("close")));
    }
    assert_eq!(server.wait().status.code(), Some(0));
}

#[test]
fn clients_that_keep_coming_do_not_hold_up_the_stop() {
    const FLOOD: usize = 20_000;
    let server = Server::with(&[("limits.drain", "1h")]);
    // The drain lasts until somebody has looked at it.
    let half = half_a_request(&server);
    assert_eq!(server.get("/generate/token").send().status, 401);
    let (came, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) && came.fetch_add(1, Ordering::Relaxed) < FLOOD {
                    // Each stays for a moment, without a word.
                    let stays = TcpStream::connect(server.public);
                    thread::sleep(Duration::from_millis(1));
                    drop(stays);
                }
            });
        }
        wait_until("flooded", || came.load(Ordering::Relaxed) > 500);
        server.signal("TERM");
        wait_until("not ready", || ready(server.admin) == 503);
        wait_until("closed", || TcpStream::connect_timeout(&server.public, PATIENCE).is_err());
        assert!(came.load(Ordering::Relaxed) < FLOOD, "it closed while they came");
        stop.store(true, Ordering::Relaxed);
        drop(half);
    });
    assert_eq!(server.wait().status.code(), Some(0));
}

/// Keeps asking, on one connection as long as the service lets it. Being refused a connection is no
/// failure; being left without an answer to a request is.
fn load(address: SocketAddr, request: &str, answered: &AtomicUsize, failed: &AtomicUsize, stop: &AtomicBool) {
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address) else { return };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        for n in 0.. {
            let length =
                stream.write_all(request.as_bytes()).and_then(|()| read(&mut stream, &mut buffer)).unwrap_or(0);
            let answer = Answer::read(&buffer[..length]);
            if answer.status != 200 {
                failed.fetch_add(1, Ordering::Relaxed);
                return;
            }
            answered.fetch_add(1, Ordering::Relaxed);
            // Half of the connections are given up by the client now and then.
            if answer.header("connection").as_deref() == Some("close") || n == 300 {
                break;
            }
        }
    }
}

#[test]
fn health_on_the_public_listener_says_what_ready_says_and_nothing_else() {
    let server = Server::with(&[
        ("limits.drain_delay", "1m"),
        ("rate_limit.per_second", "1"),
        ("rate_limit.burst", "1"),
        ("log.level", "debug"),
    ]);
    let bare = |answer: Answer, status: u16| {
        assert_eq!((answer.status, answer.body.as_str()), (status, ""));
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
        assert_eq!((answer.header("content-type"), answer.header("etag")), (None, None));
    };
    let probe = |method: &str| server.request(method, "/health").send();
    for _ in 0..5 {
        bare(probe("GET"), 200);
        bare(probe("HEAD"), 200);
        bare(
            server.get("/health").header("Origin", "https://evil.example").header("Sec-Fetch-Mode", "no-cors").send(),
            200,
        );
    }
    assert_eq!(probe("POST").refusal(), "405 00-09");
    server.signal("HUP");
    wait_until("reloaded", || reloads(&server, "failed") + reloads(&server, "done") == 1);
    bare(probe("GET"), 200);
    server.signal("TERM");
    wait_until("draining", || probe("GET").status == 503);
    bare(probe("GET"), 503);
    bare(probe("HEAD"), 503);
    assert_eq!(ready(server.admin), 503);
    let log = server.stop_by("KILL").log;
    let lines: Vec<&String> = log.iter().filter(|line| line.contains("\"/health\"")).collect();
    assert!(lines.len() >= 18 && lines.iter().all(|line| line.contains("DEBUG")), "{lines:?}");
}

#[test]
fn probes_are_answered_on_the_admin_listener_only() {
    let server = Server::start();
    for (path, status) in [("/live", 200), ("/ready", 200), ("/", 404), ("/generate/token", 404)] {
        assert_eq!(Request::new(server.admin, "GET", path).send().status, status, "{path}");
    }
    let mut flood: Vec<TcpStream> = (0..64).map(|_| connect(server.admin)).collect();
    flood.clear();
    wait_until("ready again", || ready(server.admin) == 200);
}
