//! How the service stops.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::{Answer, Request, connect, read};
use crate::harness::{PATIENCE, Process, Server, command, run_by, send_signal, skip, usual};
use crate::hostile_clients::{ASK, ask, read_to_end};
use crate::login_tokens::LoginToken;
use crate::published_keys::until;
use crate::reload::{Folder, hang_up};

fn ready(server: &Server) -> u16 {
    Request::new(server.admin, "GET", "/ready").send().status
}

/// Connections with half a request, for which a drain waits.
fn half_requests(server: &Server, count: usize) -> Vec<TcpStream> {
    let mut streams: Vec<TcpStream> = (0..count).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream.write_all(b"GET /generate/token HTTP/1.1\r\nX-Half: ").unwrap();
    }
    // The answer to a later request shows that they were read.
    assert_eq!(server.get("/generate/token").send().status, 401);
    streams
}

/// Waits until new connections are refused.
fn until_refusing(server: &Server) {
    until("refusing connections", || TcpStream::connect_timeout(&server.public, PATIENCE).is_err());
}

/// Whether this is a refusal that ends the connection.
fn is_last(answer: &Answer) -> bool {
    (answer.status, answer.header("connection").as_deref()) == (401, Some("close"))
}

#[test]
fn sigterm_and_sigint_end_the_service_with_status_0() {
    for signal in ["TERM", "INT"] {
        let server = Server::with(&[("limits.drain", "1h")]);
        assert_eq!(server.stop_by(signal).status.code(), Some(0), "{signal}");
    }
}

#[test]
fn sigterm_while_the_settings_are_read_stops_it_at_once() {
    let folder = Folder::new();
    let pipe = folder.path("settings.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut serve = command(&["serve", "--config", pipe.to_str().unwrap()], &usual(&[]));
    let mut server = Process(serve.stderr(Stdio::null()).spawn().unwrap());
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap();
        u64::from_str_radix(status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap(), 16).unwrap()
    };
    // The bits of SIGHUP, which is caught just before the settings are read, and SIGTERM.
    until("reading", || caught() & 1 << 0 != 0);
    assert_ne!(caught() & 1 << 14, 0, "as PID 1 it would not get SIGTERM");
    send_signal("TERM", &server.0.id().to_string());
    until("stopped", || server.0.try_wait().unwrap().is_some());
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
}

#[test]
fn signals_stop_it_as_pid_1_too() {
    for signal in ["TERM", "INT"] {
        let inner = command(&["serve"], &usual(&[]));
        let probe = Command::new("unshare").args(["--user", "--map-root-user", "--pid", "--fork", "true"]).output();
        if !probe.is_ok_and(|probe| probe.status.success()) {
            return skip("unshare (util-linux) can't make a PID namespace here");
        }
        let arguments = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--"];
        let server = Server::run(run_by("unshare", &arguments, &inner));
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.id())).unwrap();
        send_signal(signal, children.trim());
        assert_eq!(server.wait().status.code(), Some(0), "{signal}");
    }
}

#[test]
fn one_processor_is_enough_to_answer_reload_and_drain() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let one = allowed.trim().split([',', '-']).next().unwrap();
    let settings = usual(&[("limits.drain", "1s")]);
    let server = Server::run(run_by("taskset", &["--cpu-list", one], &command(&["serve"], &settings)));
    let held = half_requests(&server, 10);
    let ask = || server.get("/generate/token").cookie(LoginToken::valid().mint()).send().status;
    assert!((0..20).all(|_| ask() == 200));
    hang_up(&server, "done");
    assert_eq!((ask(), ready(&server)), (200, 200));
    let stopped = server.stop();
    assert_eq!(stopped.status.code(), Some(0));
    assert!(stopped.log.last().unwrap().contains("\"cut_off\":10"), "{:?}", stopped.log.last());
    drop(held);
}

#[test]
fn requests_that_outlast_the_drain_are_cut_off() {
    let server =
        Server::with(&[("limits.drain", "1s"), ("limits.header_timeout", "1h"), ("limits.idle_timeout", "1h")]);
    let held = half_requests(&server, 10);
    let stopped = server.stop();
    assert_eq!(stopped.status.code(), Some(0));
    assert!(stopped.took.as_millis() >= 900, "{:?}", stopped.took);
    assert!(stopped.log.last().unwrap().contains("\"cut_off\":10"), "{:?}", stopped.log.last());
    drop(held);
}

#[test]
fn idle_and_silent_connections_do_not_delay_the_stop() {
    let server = Server::with(&[("limits.drain", "1h"), ("limits.header_timeout", "1h")]);
    let mut idle = server.connect();
    ask(&mut idle);
    let silent = server.connect();
    assert_eq!(server.stop().status.code(), Some(0));
    drop((idle, silent));
}

#[test]
fn while_draining_it_is_live_but_not_ready_and_refuses_connections() {
    let server = Server::start();
    let mut half = half_requests(&server, 1).remove(0);
    assert_eq!(ready(&server), 200);
    server.signal("TERM");
    until("not ready", || ready(&server) == 503);
    until_refusing(&server);
    assert_eq!(Request::new(server.admin, "GET", "/live").send().status, 200);
    // The request in flight is finished, and its connection closed.
    half.write_all(b"done\r\n\r\n").unwrap();
    assert!(is_last(&read_to_end(&mut half)));
    assert_eq!(server.wait().status.code(), Some(0));
}

#[test]
fn connections_that_wait_to_be_accepted_at_the_stop_are_served() {
    let server = Server::start();
    // The kernel accepts for a stopped process.
    server.signal("STOP");
    let mut waiting: Vec<TcpStream> = (0..300).map(|_| server.connect()).collect();
    for stream in &mut waiting {
        stream.write_all(ASK).unwrap();
    }
    server.signal("TERM");
    server.signal("CONT");
    assert!(waiting.iter_mut().all(|stream| read_to_end(stream).status == 401));
    assert_eq!(server.wait().status.code(), Some(0));
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
        until("under load", || answered.load(Ordering::Relaxed) > 2000);
        server.signal("TERM");
        until_refusing(&server);
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(server.wait().status.code(), Some(0));
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {}", answered.load(Ordering::Relaxed));
}

#[test]
fn a_request_just_after_the_stop_on_an_idle_connection_is_answered() {
    let is_answered = || {
        let server = Server::start();
        let mut idle = server.connect();
        ask(&mut idle);
        server.signal("TERM");
        until_refusing(&server);
        thread::sleep(Duration::from_millis(300));
        let _ = idle.write_all(ASK);
        let answer = read_to_end(&mut idle);
        assert_eq!(server.wait().status.code(), Some(0));
        is_last(&answer)
    };
    // The service waits a second for such a request, which a slow machine may miss.
    until("answered", is_answered);
}

#[test]
fn a_request_that_is_half_sent_at_the_stop_is_answered() {
    let server = Server::start();
    let (first, rest) = ASK.split_at(10);
    let mut streams = [server.connect(), server.connect()];
    // One is new, one is kept from an earlier request.
    ask(&mut streams[1]);
    for stream in &mut streams {
        stream.write_all(first).unwrap();
    }
    // A later request that is answered shows that the halves were read.
    assert_eq!(server.get("/generate/token").send().status, 401);
    server.signal("TERM");
    thread::sleep(Duration::from_millis(1600));
    for stream in &mut streams {
        stream.write_all(rest).unwrap();
        assert!(is_last(&read_to_end(stream)));
    }
    assert_eq!(server.wait().status.code(), Some(0));
}

#[test]
fn new_connections_do_not_delay_the_stop() {
    const FLOOD: usize = 20_000;
    let server = Server::with(&[("limits.drain", "1h")]);
    // It keeps the drain going.
    let half = half_requests(&server, 1);
    let (clients, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) && clients.fetch_add(1, Ordering::Relaxed) < FLOOD {
                    // Each is silent for a moment.
                    let silent = TcpStream::connect(server.public);
                    thread::sleep(Duration::from_millis(1));
                    drop(silent);
                }
            });
        }
        until("flooded", || clients.load(Ordering::Relaxed) > 500);
        server.signal("TERM");
        until("not ready", || ready(&server) == 503);
        until_refusing(&server);
        assert!(clients.load(Ordering::Relaxed) < FLOOD, "it did not close before the flood ended");
        stop.store(true, Ordering::Relaxed);
        drop(half);
    });
    assert_eq!(server.wait().status.code(), Some(0));
}

/// Sends requests on one connection after another until `stop`. A request without a token is a failure, a refused connection is not.
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
            if answer.header("connection").as_deref() == Some("close") || n == 300 {
                break;
            }
        }
    }
}

#[test]
fn health_on_the_public_listener_has_the_status_of_ready_and_no_body() {
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
        let foreign = server.get("/health").header("Origin", "https://evil.example");
        bare(foreign.header("Sec-Fetch-Mode", "no-cors").send(), 200);
    }
    assert_eq!(probe("POST").refusal(), "405 00-09");
    hang_up(&server, "done");
    bare(probe("GET"), 200);
    server.signal("TERM");
    until("draining", || probe("GET").status == 503);
    assert_eq!(server.get("/generate/token").send().status, 401, "still served");
    bare(probe("GET"), 503);
    bare(probe("HEAD"), 503);
    assert_eq!(ready(&server), 503);
    let log = server.stop_by("KILL").log;
    let lines: Vec<&String> = log.iter().filter(|line| line.contains("\"/health\"")).collect();
    // The last lines may be lost.
    assert!(lines.len() >= 17 && lines.iter().all(|line| line.contains("DEBUG")), "{lines:?}");
}

#[test]
fn probes_are_answered_on_the_admin_listener_only() {
    let server = Server::start();
    for (path, status) in [("/live", 200), ("/ready", 200), ("/", 404), ("/generate/token", 404)] {
        assert_eq!(Request::new(server.admin, "GET", path).send().status, status, "{path}");
    }
    let mut flood: Vec<TcpStream> = (0..64).map(|_| connect(server.admin)).collect();
    flood.clear();
    until("ready again", || ready(&server) == 200);
}
