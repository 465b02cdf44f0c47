//! More connections than there is room for.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use crate::client::{Request, send};
use crate::harness::{PATIENCE, Server, command, run_by, usual};
use crate::hostile_clients::{ASK, answer, until_closed};

#[test]
fn a_full_house_closes_new_connections_and_recovers() {
    let server = Server::with(&[("limits.connections", "8")]);
    let mut held: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    for stream in &mut held {
        stream.write_all(ASK).unwrap();
        assert_eq!(answer(stream).status, 401);
    }
    for _ in 0..20 {
        assert!(until_closed(&mut server.connect()).as_millis() < 8000);
    }
    held.truncate(7);
    let started = Instant::now();
    while send(server.public, b"GET /generate/token HTTP/1.1\r\nConnection: close\r\n\r\n").status != 401 {
        assert!(started.elapsed() < PATIENCE, "never recovered");
    }
    for stream in &mut held {
        stream.write_all(ASK).unwrap();
        assert_eq!(answer(stream).status, 401);
    }
    let log = server.stop().log;
    let full = log.iter().filter(|line| line.contains("all connections are in use")).count();
    assert!((1..20).contains(&full), "{log:?}");
}

#[test]
fn one_client_may_have_so_many_connections_but_a_trusted_proxy_any() {
    let most = ("limits.connections_per_client", "3");
    let server = Server::with(&[most]);
    let ask = |stream: &mut TcpStream| {
        stream.write_all(ASK).unwrap();
        answer(stream).status
    };
    let mut held: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
    assert!(held.iter_mut().all(|stream| ask(stream) == 401));
    for _ in 0..10 {
        assert!(until_closed(&mut server.connect()).as_millis() < 8000);
    }
    let url = format!("http://{}/generate/token", server.public);
    let other = ["--silent", "--interface", "127.0.0.2", "--output", "/dev/null", "--write-out", "%{http_code}", &url];
    let other = Command::new("curl").args(other).output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&other), "401", "another client");
    held.truncate(2);
    let started = Instant::now();
    while send(server.public, b"GET /generate/token HTTP/1.1\r\nConnection: close\r\n\r\n").status != 401 {
        assert!(started.elapsed() < PATIENCE, "its place is free again");
    }
    let metrics = Request::new(server.admin, "GET", "/metrics").send().body;
    let refused = metrics.lines().find(|line| line.contains("connections_refused_total{listener=\"public\"}"));
    assert!(refused.is_some_and(|line| !line.ends_with(" 0")), "{refused:?}");
    let log = server.stop().log;
    assert_eq!(log.iter().filter(|line| line.contains("connections_per_client")).count(), 1, "{log:?}");

    let server = Server::with(&[most, ("proxy.trusted", "127.0.0.1")]);
    let mut held: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
    assert!(held.iter_mut().all(|stream| ask(stream) == 401));
}

#[test]
fn fewer_open_files_than_connections_leave_room_for_the_probes_and_for_calls_that_are_made() {
    for (asks_api, connections) in [("false", 32), ("true", 24)] {
        let inner = command(&["serve"], &usual(&[("login.check_revocation", asks_api)]));
        let server = Server::run(run_by("sh", &["-c", "ulimit -n 160 && exec \"$0\" \"$@\""], &inner));
        let flood: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
        for _ in 0..5 {
            assert_eq!(Request::new(server.admin, "GET", "/ready").send().status, 200);
        }
        drop(flood);
        let log = server.stop().log;
        let told = format!("\"connections\":{connections}");
        let warned = log.iter().any(|line| line.contains("raise the limit of open files") && line.contains(&told));
        assert!(warned && !log.iter().any(|line| line.contains("no connection could be accepted")), "{log:?}");
    }
}

#[test]
fn without_a_file_descriptor_probes_are_answered_and_new_connections_closed() {
    let server = Server::with(&[("limits.header_timeout", "1h")]);
    let may_open = |files: &str| {
        let process = server.id().to_string();
        let limit = Command::new("prlimit").args(["--pid", &process, &format!("--nofile={files}:")]).status();
        assert!(limit.unwrap().success());
    };
    assert_eq!(Request::new(server.admin, "GET", "/ready").send().status, 200);
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count();
    may_open(&open.to_string());
    // Some may still get what others have left.
    let held: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
    for _ in 0..20 {
        assert!(until_closed(&mut server.connect()).as_millis() < 8000);
        assert_eq!(Request::new(server.admin, "GET", "/ready").send().status, 200);
    }
    may_open("1000");
    assert_eq!(server.get("/generate/token").send().status, 401);
    drop(held);
    let log = server.stop().log;
    assert!(log.iter().any(|line| line.contains("no file descriptor is left")), "{log:?}");
}
