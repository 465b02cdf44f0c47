//! Limits on connections: all, of one client, and of open files.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request as HttpRequest, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use zendesk_token::http::per_client::PerClientLimit;
use zendesk_token::metrics::Metrics;
use zendesk_token::server::{self, HttpService, listener::Listener};

use crate::client::{Answer, Request, connect};
use crate::harness::{PATIENCE, Server, command, run_by, usual};
use crate::hostile_clients::{ASK, answer, ask, until_closed};
use crate::published_keys::until;
use crate::reload::Folder;
use crate::settings::load;

#[test]
fn connections_over_the_limit_are_closed_until_one_is_free() {
    let server = Server::with(&[("limits.connections", "8"), ("limits.header_timeout", "1h")]);
    let mut held: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    held.iter_mut().for_each(ask);
    for _ in 0..20 {
        until_closed(&mut server.connect());
    }
    held.truncate(7);
    until("one is free", || server.get("/generate/token").send().status == 401);
    held.iter_mut().for_each(ask);
    let log = server.stop().log;
    let full = log.iter().filter(|line| line.contains("all connections are in use")).count();
    assert!((1..20).contains(&full), "{log:?}");
}

/// The open connection and the answer to one request of a client at this address; nothing if it was closed.
async fn ask_from(client: &str, server: SocketAddr) -> Option<(tokio::net::TcpStream, String)> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(client.parse().unwrap(), 0)).unwrap();
    let mut stream = socket.connect(server).await.unwrap();
    let _ = stream.write_all(ASK).await;
    let mut bytes = vec![0; 4096];
    let length = stream.read(&mut bytes).await.unwrap_or(0);
    (length > 0).then(|| (stream, Answer::read(&bytes[..length]).body))
}

#[tokio::test]
async fn each_client_has_its_own_limit_of_connections() {
    let folder = Folder::new();
    let log = Arc::new(File::create(folder.path("log")).unwrap());
    let _logging = tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(log).finish());
    let config = load(None, &usual(&[])).unwrap();
    let (socket, metrics) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Metrics::new());
    let address = socket.local_addr().unwrap();
    // The client's address.
    let service = HttpService::new(tower::service_fn(|request: HttpRequest<_>| async move {
        let _: &hyper::body::Incoming = request.body();
        let peer: &ConnectInfo<SocketAddr> = request.extensions().get().unwrap();
        Ok::<_, Infallible>(Response::new(Body::from(peer.ip().to_string())))
    }));
    let clients = PerClientLimit::default();
    let admit =
        move |peer: IpAddr| clients.try_acquire(peer, 3).map(|permit| -> server::listener::Permit { Box::new(permit) });
    let listener = Listener::new("public", socket, service, config.limits, &metrics).admitting(Arc::new(admit));
    let server = tokio::spawn(server::run(listener, Vec::new(), std::future::pending(), || ()));
    let mut held = Vec::new();
    for client in ["127.0.0.1", "127.0.0.2"] {
        for _ in 0..3 {
            let (stream, answer) = ask_from(client, address).await.unwrap();
            assert_eq!(answer, client);
            held.push(stream);
        }
        for _ in 0..10 {
            assert!(ask_from(client, address).await.is_none(), "one too many");
        }
    }
    assert!(metrics.text(std::iter::empty()).contains("connections_refused_total{listener=\"public\"} 20"));
    held.remove(0);
    let started = Instant::now();
    while ask_from("127.0.0.1", address).await.is_none() {
        assert!(started.elapsed() < PATIENCE, "never free again");
    }
    server.abort();
    let log = std::fs::read_to_string(folder.path("log")).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("connections_per_client")).count(), 1, "{log}");
}

#[test]
fn loopback_and_trusted_proxies_have_no_limit_per_client() {
    let config = load(None, &usual(&[("proxy.trusted", "10.0.0.0/8")])).unwrap();
    assert_eq!(config.limits.connections_per_client, 256);
    for (peer, is_many) in [
        ("127.0.0.1", true),
        ("127.9.9.9", true),
        ("::1", true),
        ("::ffff:127.0.0.1", true),
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("192.0.2.1", false),
        ("2001:db8::1", false),
    ] {
        assert_eq!(config.proxy.is_many_clients(peer.parse().unwrap()), is_many, "{peer}");
    }
    let server = Server::with(&[("limits.connections_per_client", "3")]);
    let mut held: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
    held.iter_mut().for_each(ask);
}

#[test]
fn an_ipv6_subnet_is_one_client_and_gets_its_permits_back() {
    let clients = PerClientLimit::default();
    let take = |address: String| clients.try_acquire(address.parse().unwrap(), 3);
    let held: Vec<_> = (0..20).filter_map(|host| take(format!("2001:db8:0:1::{host:x}"))).collect();
    assert_eq!(held.len(), 3);
    assert!(take("2001:db8:0:2::1".to_owned()).is_some(), "another subnet");
    assert!(take("192.0.2.1".to_owned()).is_some());
    drop(held);
    assert!(take("2001:db8:0:1::2".to_owned()).is_some());
}

#[test]
fn idle_and_silent_connections_of_the_admin_listener_are_closed() {
    let server = Server::with(&[("limits.idle_timeout", "1h"), ("limits.header_timeout", "1h")]);
    let mut idle = connect(server.admin);
    idle.write_all(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(answer(&mut idle).status, 200);
    let silent = connect(server.admin);
    for mut stream in [idle, silent] {
        until_closed(&mut stream);
    }
}

#[test]
fn a_low_limit_of_open_files_leaves_room_for_probes_and_outgoing_calls() {
    for (asks_api, connections) in [("false", 32), ("true", 24)] {
        let inner = command(&["serve"], &usual(&[("login.check_revocation", asks_api)]));
        let server = Server::run(run_by("sh", &["-c", "ulimit -n 160 && exec \"$0\" \"$@\""], &inner));
        let flood: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
        for _ in 0..5 {
            assert_eq!(Request::new(server.admin, "GET", "/ready").send().status, 200);
        }
        drop(flood);
        let log = server.stop().log;
        let field = format!("\"connections\":{connections}");
        let warned = log.iter().any(|line| line.contains("raise the limit of open files") && line.contains(&field));
        assert!(warned && !log.iter().any(|line| line.contains("can't accept connections")), "{log:?}");
    }
}

#[test]
fn without_a_file_descriptor_open_connections_are_served_and_new_ones_wait() {
    let server = Server::with(&[("limits.header_timeout", "1h")]);
    let may_open = |files: &str| {
        let process = server.id().to_string();
        let limit = Command::new("prlimit").args(["--pid", &process, &format!("--nofile={files}:")]).status();
        assert!(limit.unwrap().success());
    };
    let mut held = server.connect();
    ask(&mut held);
    // Not more than the standard three.
    may_open("3");
    let mut waiting: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
    for stream in &mut waiting {
        stream.write_all(ASK).unwrap();
    }
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        // `utime` and `stime` (proc_pid_stat(5)), in hundredths of a second.
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(1));
    assert!(ticks() - before < 30, "it spins");
    ask(&mut held);
    may_open("1000");
    assert!(waiting.iter_mut().all(|stream| answer(stream).status == 401));
    assert_eq!(Request::new(server.admin, "GET", "/ready").send().status, 200);
    let log = server.stop().log;
    let failed = log.iter().filter(|line| line.contains("can't accept connections")).count();
    assert!((1..20).contains(&failed), "{log:?}");
}
