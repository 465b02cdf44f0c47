//! `POST /support-sdk/token`: a failure that may be the service's own is never reported as an invalid login.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::app::App;
use crate::client::{Answer, Request, send};
use crate::harness::{OTHER_PRODUCTS, Server};
use crate::hostile_clients::answer;
use crate::login_api::{LoginApi, fixture, keys_path};
use crate::login_tokens::{LoginToken, now};
use crate::published_keys::{ask, ready, token, until};
use crate::stub::Reply;
use crate::support_sdk::{FORM, check, form};

const PATH: &str = "/support-sdk/token";

/// A body that comes within this time needs no place.
const AT_ONCE: Duration = Duration::from_millis(100);

fn post_form(server: &Server, body: String) -> Answer {
    server.request("POST", PATH).header("Content-Type", FORM).body(body).send()
}

fn post(server: &App, token: &str) -> Answer {
    server.request("POST", PATH).body(format!("user_token={token}")).send()
}

#[test]
fn a_key_that_may_be_new_is_worth_another_try_while_the_api_is_not_to_be_asked() {
    let api = LoginApi::start();
    api.publish("first.json");
    let server = ready(&api, &[&OTHER_PRODUCTS[..], &[("login.keys_cooldown", "3s")]].concat());
    assert_eq!(
        post(&server, &fixture("refused/kid_unknown.jwt")).refusal(),
        "401 00-01",
        "it was asked, and knows no such key"
    );
    api.publish("rotated.json");
    let rotated = token("key_c");
    assert_eq!(post(&server, &rotated).refusal(), "503 00-07");
    assert_eq!(ask(&server, &rotated).refusal(), "401 00-01", "a page loses nothing by it");
    until("out of the cooldown", || post(&server, &rotated).status == 200);
    let log = server.log().join("\n");
    assert!(log.contains("delays the next fetch; Zendesk's servers may try again"), "{log}");
}

#[test]
fn a_key_that_came_while_others_asked_is_worth_another_try() {
    let api = LoginApi::start();
    api.publish("first.json");
    let server = ready(&api, &OTHER_PRODUCTS);
    let asked = api.asked(&keys_path());
    api.reply(&keys_path(), Reply::Late(Duration::from_millis(800), 200, fixture("first.json")));
    let first = server.request("POST", PATH).body(format!("user_token={}", fixture("refused/kid_unknown.jwt")));
    thread::scope(|scope| {
        scope.spawn(|| first.send());
        until("asked", || api.asked(&keys_path()) > asked);
        // The answer that is on its way was given before this player came.
        assert_eq!(post(&server, &token("key_c")).refusal(), "503 00-07");
    });
}

#[test]
fn a_login_that_begins_later_is_worth_another_try() {
    let server = App::with_all_products(&[]);
    for claim in ["iat", "nbf"] {
        let early = LoginToken::valid().claim(claim, now() + 120).mint();
        let answer = post(&server, &early);
        assert_eq!((answer.refusal().as_str(), answer.header("retry-after").as_deref()), ("503 00-07", Some("1")));
        assert_eq!(server.get("/messaging/token").cookie(&early).send().refusal(), "401 00-01");
    }
    // What nobody signed is no login, whenever it begins.
    let forged = LoginToken::valid().claim("iat", now() + 120).secret("6f74686572206c6f67696e2073656372").mint();
    assert_eq!(post(&server, &forged).refusal(), "401 00-01");
}

/// A request of a client behind the proxy, whose body does not come.
fn begin(server: &Server, client: &str) -> TcpStream {
    let mut stream = server.connect();
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\nContent-Length: 100\r\n\r\nu");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// What comes in the end.
fn end(mut stream: TcpStream) -> Answer {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Answer::read(&answer)
}

/// Whether a request of this client whose body does not come is refused for want of a place.
fn is_refused(server: &Server, client: &str, refusal: &str) -> bool {
    let mut stream = begin(server, client);
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).is_ok() && Answer::read(&answer).refusal() == refusal
}

#[test]
fn slow_bodies_do_not_starve_zendesk_behind_the_same_address() {
    // A proxy that proxy.trusted does not name: all clients have its address.
    let server = Server::with_all_products(&[("limits.requests_in_flight", "64")]);
    let login = LoginToken::valid().mint();
    let slow: Vec<TcpStream> = (0..60).map(|_| begin(&server, "")).collect();
    until("its share is taken", || is_refused(&server, "", "429 00-06"));
    for _ in 0..20 {
        assert_eq!(server.request("POST", PATH).body(format!("user_token={login}")).send().status, 200);
    }
    // Head and body in two pieces, as they come from afar.
    let mut stream = server.connect();
    let body = format!("user_token={login}");
    write!(stream, "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
    thread::sleep(Duration::from_millis(20));
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(end(stream).status, 200);
    drop(slow);
}

#[test]
fn bodies_that_never_come_leave_room_for_everybody_else() {
    let server = Server::with_all_products(&[("limits.requests_in_flight", "16"), ("proxy.trusted", "127.0.0.1")]);
    let login = LoginToken::valid().mint();
    let ask = |client: &str| {
        let request = server.request("POST", PATH).header("X-Forwarded-For", client);
        request.body(format!("user_token={login}")).send()
    };
    // One place of four is the share of a client.
    let mut slow: Vec<TcpStream> = (1..=4).map(|number| begin(&server, &format!("192.0.2.{number}"))).collect();
    thread::sleep(AT_ONCE * 3);
    until("their shares are taken", || {
        (1..=4).all(|number| is_refused(&server, &format!("192.0.2.{number}"), "429 00-06"))
    });
    until("all places are taken", || is_refused(&server, "192.0.2.100", "503 00-11"));
    for _ in 0..5 {
        // A body that is there at once needs no place.
        for client in ["192.0.2.1", "192.0.2.2", "192.0.2.100"] {
            assert_eq!(ask(client).status, 200);
        }
        assert_eq!(server.get("/generate/token").cookie(&login).send().status, 200);
        assert_eq!(server.get("/jwt_fn.js").send().status, 200);
    }
    assert!(slow.drain(..).all(|stream| end(stream).refusal() == "400 00-10"), "too late");
    assert_eq!(ask("192.0.2.1").status, 200);
}

#[test]
fn bodies_that_were_on_their_way_before_a_reload_count_after_it() {
    let server = Server::with_all_products(&[("limits.requests_in_flight", "16"), ("proxy.trusted", "127.0.0.1")]);
    let slow = begin(&server, "192.0.2.1");
    thread::sleep(AT_ONCE * 3);
    until("its one place is taken", || is_refused(&server, "192.0.2.1", "429 00-06"));
    server.signal("HUP");
    until("reloaded", || crate::reload::reloads(&server, "done") == 1);
    assert!(is_refused(&server, "192.0.2.1", "429 00-06"));
    assert_eq!(end(slow).refusal(), "400 00-10");
}

#[test]
fn a_body_has_five_seconds() {
    let server = Server::with_all_products(&[]);
    let started = Instant::now();
    let late = end(begin(&server, ""));
    assert_eq!(late.refusal(), "400 00-10");
    assert!((4900..60_000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    let log = server.stop().log.join("");
    assert!(log.contains("the body did not arrive within 5 s"), "{log}");
}

#[test]
fn a_body_that_is_not_as_it_was_written_is_malformed() {
    let server = Server::with_all_products(&[]);
    let body = format!("user_token={}", LoginToken::valid().mint());
    let with = |name: &str, value: &str| -> Request { server.request("POST", PATH).header(name, value).body(&body) };
    for encoding in ["gzip", "br", "x", "identity, gzip", ""] {
        assert_eq!(with("Content-Encoding", encoding).send().refusal(), "400 00-10", "{encoding}");
    }
    assert_eq!(with("Content-Encoding", "Identity").send().status, 200);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for (encoding, status) in [("chunked", 200), ("Chunked", 200), ("gzip, chunked", 400)] {
        let request = format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {encoding}\r\n\r\n{chunked}");
        assert_eq!(send(server.public, request.as_bytes()).status, status, "{encoding}");
    }
}

#[test]
fn a_body_in_chunks_is_a_body() {
    let server = Server::with_all_products(&[]);
    let body = form(&LoginToken::valid());
    let (first, second) = body.split_at(10);
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    check(&send(server.public, request.as_bytes()));
}

#[test]
fn a_body_over_16_kib_is_too_large_and_one_of_16_kib_is_not() {
    let server = Server::with_all_products(&[]);
    let padded = |bytes: usize| {
        let form = form(&LoginToken::valid());
        format!("{form}&padding={}", "x".repeat(bytes - form.len() - "&padding=".len()))
    };
    check(&post_form(&server, padded(16 * 1024)));
    for bytes in [16 * 1024 + 1, 64 * 1024] {
        assert_eq!(post_form(&server, padded(bytes)).refusal(), "413 00-13", "{bytes}");
    }
    // Of more nothing is read, and it is refused before it comes.
    let mut early = server.connect();
    early.write_all(format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(answer(&mut early).refusal(), "413 00-13");
    // One that never ends is not read for ever: the answer comes, though who goes on sending may miss it.
    let mut stream = server.connect();
    stream
        .write_all(format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes())
        .unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
    let sent = (0..10_000).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count();
    assert!((1..1000).contains(&sent), "{sent} chunks of 64 KiB");
    let log = server.stop().log.join("\n");
    assert_eq!(log.matches("the body is larger than 16 KiB").count(), 4, "{log}");
}

#[test]
fn a_body_in_tiny_chunks_is_bounded_on_the_wire() {
    let server = Server::with_all_products(&[]);
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = |byte: u8| format!("1\r\n{}\r\n", char::from(byte));
    let chunks = |text: &str| text.bytes().map(chunk).collect::<Vec<_>>().concat();
    check(&send(server.public, format!("{head}{}0\r\n\r\n", chunks(&form(&LoginToken::valid()))).as_bytes()));
    // 12 KiB of a body are 72 KiB on the wire, and the zeros before a chunk's size have no end.
    for body in [chunks(&"x".repeat(12 * 1024)), "0".repeat(96 * 1024), "1;".to_owned() + &"x".repeat(96 * 1024)] {
        let mut stream = server.connect();
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let refusal = answer(&mut stream).refusal();
        assert!(["413 00-13", "400 00-10"].contains(&refusal.as_str()), "{refusal}");
    }
    let log = server.stop().log.join("\n");
    assert!(!log.contains("the body did not arrive"), "it is not waited for: {log}");
    assert_eq!(log.matches("the body is larger than 16 KiB").count(), 2, "{log}");
}

#[test]
fn a_body_that_does_not_come_is_worth_another_try() {
    let server = Server::with_all_products(&[("limits.request_timeout", "300ms")]);
    let mut stream = server.connect();
    stream.write_all(format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nuser").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = Answer::read(&answer);
    assert_eq!((answer.refusal().as_str(), answer.header("retry-after").as_deref()), ("503 00-12", Some("1")));
    let mut stream = server.connect();
    stream.write_all(format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nuser").as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(Answer::read(&answer).refusal(), "400 00-10");
    check(&post_form(&server, form(&LoginToken::valid())));
}
