//! `POST /support-sdk/token`: a failure that may be the service's own is never reported as an invalid login.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Answer, Request};
use crate::harness::{OTHER_PRODUCTS, Server};
use crate::login_api::{LoginApi, fixture, keys_path};
use crate::login_tokens::{LoginToken, now};
use crate::published_keys::{ask, ready, token, until};
use crate::stub::Reply;

const PATH: &str = "/support-sdk/token";

/// A body that comes within this time needs no place.
const AT_ONCE: Duration = Duration::from_millis(100);

fn post(server: &Server, token: &str) -> Answer {
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
    let log = server.stop().log.join("\n");
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
    let server = Server::with_all_products(&[]);
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
        assert_eq!(post(&server, &login).status, 200);
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
    assert!((4900..15000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
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
        assert_eq!(crate::client::send(server.public, request.as_bytes()).status, status, "{encoding}");
    }
}
