//! `POST /support-sdk/token`: bodies that are slow, incomplete, in chunks or too large.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Answer, send};
use crate::harness::Server;
use crate::hostile_clients::answer;
use crate::login_tokens::LoginToken;
use crate::published_keys::until;
use crate::support_sdk::{FORM, PATH, check, form};

/// A body that arrives within this time needs no slot.
const AT_ONCE: Duration = Duration::from_millis(100);

const HEAD: &str = "POST /support-sdk/token HTTP/1.1\r\nHost: a\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// A connection on which a request begins; `rest` is what follows the `Host` header.
fn begin(server: &Server, rest: &str) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all([HEAD, rest].concat().as_bytes()).unwrap();
    stream
}

/// A request of a client behind the proxy that stalls after the first byte of its body.
fn stall(server: &Server, client: &str) -> TcpStream {
    begin(server, &format!("X-Forwarded-For: {client}\r\nContent-Length: 100\r\n\r\nu"))
}

/// The answer on a connection that the server closes.
fn end(mut stream: TcpStream) -> Answer {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Answer::read(&answer)
}

/// Whether a request of this client that stalls is refused for want of a slot.
fn is_refused(server: &Server, client: &str, refusal: &str) -> bool {
    let mut stream = stall(server, client);
    // Less than the time that a body has.
    stream.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).is_ok() && Answer::read(&answer).refusal() == refusal
}

#[test]
fn slow_bodies_do_not_starve_zendesk_behind_the_same_address() {
    // A proxy that is not in proxy.trusted: all clients have its address.
    let server = Server::with_all_products(&[("limits.requests_in_flight", "64")]);
    let body = form(&LoginToken::valid());
    let stalled: Vec<TcpStream> = (0..60).map(|_| stall(&server, "")).collect();
    until("all slots of the client taken", || is_refused(&server, "", "429 00-06"));
    for _ in 0..20 {
        assert_eq!(server.request("POST", PATH).body(&body).send().status, 200);
    }
    // Head and body in two packets, as over a long distance.
    let mut stream = begin(&server, &format!("Connection: close\r\nContent-Length: {}\r\n\r\n", body.len()));
    thread::sleep(Duration::from_millis(20));
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(end(stream).status, 200);
    drop(stalled);
}

#[test]
fn stalled_bodies_leave_room_for_everybody_else() {
    let server = Server::with_all_products(&[("limits.requests_in_flight", "16"), ("proxy.trusted", "127.0.0.1")]);
    let login = LoginToken::valid();
    let ask = |client: &str| {
        let request = server.request("POST", PATH).header("X-Forwarded-For", client);
        request.body(form(&login)).send()
    };
    // Of the four slots, a client may take one.
    let clients = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    let mut stalled = Vec::new();
    until("all slots taken", || {
        stalled = clients.map(|client| stall(&server, client)).into();
        thread::sleep(AT_ONCE * 3);
        clients.iter().all(|client| is_refused(&server, client, "429 00-06"))
            && is_refused(&server, "192.0.2.100", "503 00-11")
    });
    for _ in 0..5 {
        for client in ["192.0.2.1", "192.0.2.2", "192.0.2.100"] {
            assert_eq!(ask(client).status, 200);
        }
        assert_eq!(server.get("/generate/token").cookie(login.mint()).send().status, 200);
        assert_eq!(server.get("/jwt_fn.js").send().status, 200);
    }
    for stream in stalled {
        assert_eq!(end(stream).refusal(), "400 00-10", "too late");
    }
    assert_eq!(ask("192.0.2.1").status, 200);
}

#[test]
fn bodies_that_began_before_a_reload_count_after_it() {
    let server = Server::with_all_products(&[("limits.requests_in_flight", "16"), ("proxy.trusted", "127.0.0.1")]);
    let stalled = stall(&server, "192.0.2.1");
    thread::sleep(AT_ONCE * 3);
    until("its slot taken", || is_refused(&server, "192.0.2.1", "429 00-06"));
    server.signal("HUP");
    until("reloaded", || crate::reload::reloads(&server, "done") == 1);
    assert!(is_refused(&server, "192.0.2.1", "429 00-06"));
    assert_eq!(end(stalled).refusal(), "400 00-10");
}

#[test]
fn a_body_has_five_seconds() {
    let server = Server::with_all_products(&[]);
    let started = Instant::now();
    assert_eq!(end(stall(&server, "")).refusal(), "400 00-10");
    assert!(started.elapsed().as_millis() >= 4900, "{:?}", started.elapsed());
    let log = server.stop().log.join("");
    assert!(log.contains("the body did not arrive within 5 s"), "{log}");
}

#[test]
fn a_body_with_a_content_coding_is_malformed() {
    let server = Server::with_all_products(&[]);
    let body = form(&LoginToken::valid());
    for (encoding, status) in
        [("gzip", 400), ("br", 400), ("x", 400), ("identity, gzip", 400), ("", 400), ("Identity", 200)]
    {
        let answer = server.request("POST", PATH).header("Content-Encoding", encoding).body(&body).send();
        assert_eq!(answer.status, status, "{encoding}");
        assert!(status == 200 || answer.code() == "00-10", "{encoding}");
    }
    for (encoding, status) in [("chunked", 200), ("Chunked", 200), ("gzip, chunked", 400)] {
        let request = format!("{HEAD}Transfer-Encoding: {encoding}\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        assert_eq!(send(server.public, request.as_bytes()).status, status, "{encoding}");
    }
}

#[test]
fn a_body_in_chunks_is_a_body() {
    let server = Server::with_all_products(&[]);
    let body = form(&LoginToken::valid());
    for length in [1, 10, body.len() - 10] {
        let chunk = |text: &[u8]| format!("{:x}\r\n{}\r\n", text.len(), String::from_utf8_lossy(text));
        let chunks: String = body.as_bytes().chunks(length).map(chunk).collect();
        let request = format!("{HEAD}Content-Type: {FORM}\r\n{CHUNKED}\r\n{chunks}0\r\n\r\n");
        check(&send(server.public, request.as_bytes()));
    }
}

#[test]
fn a_body_over_16_kib_is_too_large_and_one_of_16_kib_is_not() {
    let server = Server::with_all_products(&[]);
    let form = form(&LoginToken::valid());
    let padded = |bytes: usize| {
        let body = format!("{form}&padding={}", "x".repeat(bytes - form.len() - "&padding=".len()));
        server.request("POST", PATH).header("Content-Type", FORM).body(body).send()
    };
    check(&padded(16 * 1024));
    for bytes in [16 * 1024 + 1, 64 * 1024] {
        assert_eq!(padded(bytes).refusal(), "413 00-13", "{bytes}");
    }
    // More than 64 KiB is refused before it arrives.
    let mut early = begin(&server, "Content-Length: 65537\r\n\r\n");
    assert_eq!(answer(&mut early).refusal(), "413 00-13");
    // Only a part of an endless body is read. A client that keeps sending may miss the answer.
    let mut stream = begin(&server, &format!("{CHUNKED}\r\n"));
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
    let sent = (0..10_000).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count();
    assert!((1..1000).contains(&sent), "{sent} chunks of 64 KiB");
    let log = server.stop().log.join("\n");
    assert_eq!(log.matches("the body is larger than 16 KiB").count(), 4, "{log}");
}

#[test]
fn a_body_in_tiny_chunks_is_bounded_on_the_wire() {
    let server = Server::with_all_products(&[]);
    // 12 KiB of a body are 72 KiB on the wire, and the zeros before a chunk's size have no end.
    for body in ["1\r\nx\r\n".repeat(12 * 1024), "0".repeat(96 * 1024), "1;".to_owned() + &"x".repeat(96 * 1024)] {
        let mut stream = begin(&server, &format!("{CHUNKED}\r\n{body}"));
        let refusal = answer(&mut stream).refusal();
        assert!(["413 00-13", "400 00-10"].contains(&refusal.as_str()), "{refusal}");
    }
    let log = server.stop().log.join("\n");
    assert!(!log.contains("the body did not arrive"), "refused without waiting: {log}");
    assert_eq!(log.matches("the body is larger than 16 KiB").count(), 2, "{log}");
}

#[test]
fn a_body_that_stalls_until_the_request_times_out_is_a_503() {
    let server = Server::with_all_products(&[("limits.request_timeout", "300ms")]);
    let answer = end(stall(&server, ""));
    assert_eq!((answer.refusal().as_str(), answer.header("retry-after").as_deref()), ("503 00-12", Some("1")));
}

#[test]
fn a_body_that_ends_early_is_malformed() {
    let server = Server::with_all_products(&[]);
    let stream = stall(&server, "");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(end(stream).refusal(), "400 00-10");
    check(&server.request("POST", PATH).body(form(&LoginToken::valid())).send());
}
