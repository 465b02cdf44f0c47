//! Clients that stall, flood, lie and never read.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::{Just, any, prop_oneof};

use crate::client::{Answer, read, send};
use crate::harness::{PATIENCE, RECOMMENDED, Server};
use crate::login_tokens::LoginToken;
use crate::properties::check;
use crate::published_keys::until;

pub const ASK: &[u8] = b"GET /generate/token HTTP/1.1\r\nHost: x\r\n\r\n";

/// Writes one byte after another until the other side closes, which must take at least so many milliseconds.
fn trickle(stream: &mut TcpStream, bytes: &[u8], pause: Duration, shortest: u128) {
    let started = Instant::now();
    stream.set_read_timeout(Some(pause)).unwrap();
    for byte in bytes.iter().cycle() {
        if stream.write_all(&[*byte]).is_err() || is_closed(stream) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "never closed");
    }
    assert!(started.elapsed().as_millis() >= shortest, "{:?}", started.elapsed());
}

/// Whether the other side has closed by now or within the read timeout.
fn is_closed(stream: &mut TcpStream) -> bool {
    match read(stream, &mut [0; 1024]) {
        Ok(bytes) => bytes == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Waits until the other side closes. Returns how long that took.
pub fn until_closed(stream: &mut TcpStream) -> Duration {
    let started = Instant::now();
    while !is_closed(stream) {
        assert!(started.elapsed() < PATIENCE, "never closed");
    }
    started.elapsed()
}

/// One answer on a connection that stays open; a refusal comes in one piece.
pub fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = vec![0; 4096];
    let length = read(stream, &mut bytes).unwrap_or(0);
    Answer::read(&bytes[..length])
}

/// Sends a request on a connection that stays open; it must be answered.
pub fn ask(stream: &mut TcpStream) {
    stream.write_all(ASK).unwrap();
    assert_eq!(answer(stream).status, 401);
}

/// All that comes until the other side closes.
pub fn read_to_end(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the answer also ends it.
    let _ = stream.read_to_end(&mut bytes);
    Answer::read(&bytes)
}

/// Nothing may come, and the connection must stay open, for so long.
fn assert_idle(stream: &mut TcpStream, time: Duration) {
    stream.set_read_timeout(Some(time)).unwrap();
    let idle = read(stream, &mut [0; 1024]).map_err(|error| error.kind());
    assert!(matches!(idle, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{idle:?}");
}

pub fn warnings(log: &[String]) -> Vec<&String> {
    log.iter().filter(|line| line.contains("WARN")).collect()
}

#[test]
fn slow_headers_are_cut_off_counted_from_accept() {
    let server = Server::with(&[("limits.header_timeout", "600ms"), ("limits.idle_timeout", "1h")]);
    let mut silent = server.connect();
    let mut slow = server.connect();
    trickle(&mut slow, b"GET /generate/token HTTP/1.1\r\nX-Slow: ", Duration::from_millis(50), 400);
    until_closed(&mut silent);
    assert_eq!(server.get("/generate/token").send().status, 401);
}

#[test]
fn slow_headers_of_a_later_request_are_cut_off_counted_from_their_first_byte() {
    let server = Server::with(&[("limits.header_timeout", "1s"), ("limits.idle_timeout", "1h")]);
    let mut stream = server.connect();
    ask(&mut stream);
    // Idle for longer than the header timeout, which must not count yet.
    assert_idle(&mut stream, Duration::from_millis(1800));
    ask(&mut stream);
    trickle(&mut stream, b"GET / HTTP/1.1\r\nX-Slow: ", Duration::from_millis(50), 800);
}

#[test]
fn a_partial_request_behind_a_whole_one_has_the_header_timeout() {
    let server = Server::with(&[("limits.header_timeout", "600ms"), ("limits.idle_timeout", "1h")]);
    for partial in [b"G".as_slice(), b"GET / HTTP/1.1\r\nX: a\r\n"] {
        let mut stream = server.connect();
        stream.write_all(&[ASK, partial].concat()).unwrap();
        assert_eq!(answer(&mut stream).status, 401);
        until_closed(&mut stream);
    }
    // An empty line in several pieces ends the head, too.
    let server = Server::with(&[("limits.header_timeout", "3s"), ("limits.idle_timeout", "1h")]);
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for piece in [&ASK[..ASK.len() - 3], b"\n", b"\r", b"\n"] {
        stream.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(answer(&mut stream).status, 401);
    assert_idle(&mut stream, Duration::from_secs(4));
}

#[test]
fn empty_lines_do_not_extend_a_timeout() {
    let fresh = Server::with(&[("limits.header_timeout", "1s"), ("limits.idle_timeout", "1h")]);
    let idle = Server::with(&[("limits.header_timeout", "1h"), ("limits.idle_timeout", "1s")]);
    for lines in [b"\r\n\r\n".as_slice(), b"\n\n", b"\r\n"] {
        trickle(&mut fresh.connect(), lines, Duration::from_millis(200), 800);
        let mut stream = idle.connect();
        ask(&mut stream);
        trickle(&mut stream, lines, Duration::from_millis(200), 800);
    }
}

#[test]
fn the_idle_timeout_does_not_shorten_the_header_timeout() {
    let server = Server::with(&[("limits.idle_timeout", "4s"), ("limits.header_timeout", "1h")]);
    let (head, end) = ASK.split_at(ASK.len() - 2);
    // Repeated, because a slow machine may reach the idle timeout before the head.
    until("answered", || {
        let mut streams = [server.connect(), server.connect()];
        // One is new, one has been idle.
        ask(&mut streams[1]);
        std::thread::sleep(Duration::from_secs(1));
        let _ = streams.iter_mut().try_for_each(|stream| stream.write_all(head));
        std::thread::sleep(Duration::from_secs(4));
        streams.iter_mut().all(|stream| stream.write_all(end).is_ok() && answer(stream).status == 401)
    });
}

#[test]
fn idle_connections_are_closed_after_the_idle_timeout() {
    let server = Server::with(&[("limits.idle_timeout", "500ms"), ("limits.header_timeout", "1h")]);
    let mut stream = server.connect();
    ask(&mut stream);
    let took = until_closed(&mut stream);
    assert!(took.as_millis() >= 300, "{took:?}");
}

#[test]
fn a_client_that_never_reads_is_cut_off() {
    let server = Server::with(&[("limits.idle_timeout", "500ms"), ("limits.request_timeout", "100ms")]);
    let mut stream = server.connect();
    let started = Instant::now();
    let flood = ASK.repeat(1000);
    while stream.write_all(&flood).is_ok() {
        assert!(started.elapsed() < PATIENCE, "never cut off");
    }
    // A write that timed out is a connection that was kept.
    let error = stream.write_all(b"x").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
    assert_eq!(server.get("/generate/token").send().status, 401);
}

#[test]
fn headers_beyond_the_limit_are_refused_with_431() {
    let server = Server::with(&[("limits.header_bytes", "16384")]);
    let big = |bytes: usize| server.get("/generate/token").header("X-Big", "a".repeat(bytes)).send().status;
    assert_eq!(big(15_000), 401);
    assert_eq!(big(17_000), 431);
    assert_eq!(big(200_000), 431);
    // The limit counts request line and headers up to the empty line, and is exact.
    let head = "GET /generate/token HTTP/1.1\r\nConnection: close\r\nX-Big: ";
    let exactly = |bytes: usize| format!("{head}{}\r\n\r\n", "a".repeat(bytes - head.len() - 4));
    assert_eq!(send(server.public, exactly(16_384).as_bytes()).status, 401);
    assert_eq!(send(server.public, exactly(16_385).as_bytes()).status, 431);
    let many = (0..101).fold(server.get("/generate/token"), |request, n| request.header(&format!("X-{n}"), "a"));
    assert_eq!(many.send().status, 431);
    let long_path = format!("/{}", "a".repeat(17_000));
    assert!(matches!(server.get(&long_path).send().status, 414 | 431));
}

#[test]
fn malformed_requests_get_400_without_a_body() {
    let server = Server::start();
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"GET\r\n\r\n",
        b"GET /generate/token HTTP/9.9\r\n\r\n",
        b"GET / generate HTTP/1.1\r\n\r\n",
        b"GET /generate/token HTTP/1.1\r\nCookie : a\r\n\r\n",
        b"GET /generate/token HTTP/1.1\r\nCookie: a\0b\r\n\r\n",
        b"GET /generate/token HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        b"GET /generate/token HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /generate/token HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = send(server.public, bytes);
        assert!(matches!(answer.status, 0 | 400), "{answer:?}");
        assert_eq!(answer.body, "");
    }
    assert_eq!(server.get("/generate/token").send().status, 401);
}

/// First bytes of a client that uses another protocol, and the warning about it.
pub const OTHER_PROTOCOLS: [(&[u8], &str); 4] = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "uses TLS on a plain HTTP listener"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "uses HTTP/2"),
    (b"PROXY TCP4 192.0.2.77 192.0.2.78 56324 443\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "uses the PROXY protocol"),
    (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x4d\xc0\0\x02\x4e\xdc\x04\x01\xbb", "uses the PROXY protocol"),
];

#[test]
fn another_protocol_is_warned_of_once_for_each_listener() {
    for (bytes, warning) in OTHER_PROTOCOLS {
        let server = Server::with(&RECOMMENDED);
        for address in [server.public, server.public, server.admin, server.admin] {
            assert!(matches!(send(address, bytes).status, 0 | 400));
        }
        assert_eq!(server.get("/generate/token").send().status, 401);
        let log = server.stop().log;
        let warned = warnings(&log);
        assert_eq!(warned.len(), 2, "{warned:?}");
        for (line, listener) in warned.iter().zip(["public", "admin"]) {
            for text in [warning, "\"client\":\"127.0.0.1\"", &format!("\"listener\":\"{listener}\"")] {
                assert!(line.contains(text), "{text}: {line}");
            }
        }
        assert!(!log.iter().any(|line| line.contains("192.0.2.77")), "{warning}: no client text in the log");
    }
}

#[test]
fn another_protocol_is_recognised_byte_by_byte_and_nothing_else_is_warned_of() {
    let server = Server::with(&RECOMMENDED);
    for (bytes, _) in OTHER_PROTOCOLS {
        let mut slow = server.connect();
        slow.set_nodelay(true).unwrap();
        let _ = bytes.iter().take(14).try_for_each(|byte| {
            std::thread::sleep(Duration::from_millis(5));
            slow.write_all(&[*byte])
        });
        finish(slow);
    }
    for bytes in [
        b"\r\n\r\nGET /generate/token HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(),
        b"PROPFIND / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRIME / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"P",
        b"",
        b"\x16\x03\x01\x02\x00\x02\0\0\0\0\0\0\0",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(bytes).unwrap();
        finish(stream);
    }
    let log = server.stop().log;
    let warned = warnings(&log);
    // The PROXY protocol has two versions.
    assert_eq!(warned.len(), OTHER_PROTOCOLS.len() - 1, "{warned:?}");
    for (_, warning) in OTHER_PROTOCOLS {
        assert!(warned.iter().any(|line| line.contains(warning)), "{warning}: {warned:?}");
    }
}

/// Sends nothing more, and waits for the other side to close. Returns the answer.
fn finish(mut stream: TcpStream) -> Answer {
    let _ = stream.shutdown(Shutdown::Write);
    read_to_end(&mut stream)
}

#[test]
fn a_body_is_never_read_as_a_second_request() {
    let server = Server::start();
    let hidden = "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n";
    let (length, chunked) = (hidden.len(), "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    for request in [
        format!("GET /generate/token HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        format!("GET /generate/token HTTP/1.1\r\n{chunked}{hidden}"),
        format!("GET /generate/token HTTP/1.1\r\nContent-Length: {length}\r\n{chunked}{hidden}"),
        format!(
            "POST /generate/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("GET /generate/token HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n{hidden}"),
        format!("GET /generate/token HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("GET /generate/token HTTP/1.1\nHost: x\nContent-Length: {length}\n\n{hidden}"),
    ] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let all = String::from_utf8(all).unwrap();
        assert!(all.matches("HTTP/1.").count() <= 1 && !all.contains("00-08"), "{request}\n{all}");
    }
}

#[test]
fn pipelined_requests_get_their_answers_in_order() {
    let server = Server::start();
    let token = LoginToken::valid().mint();
    let mut stream = server.connect();
    let good = format!("GET /generate/token HTTP/1.1\r\nCookie: token={token}\r\n\r\n");
    let last = "GET /nowhere HTTP/1.1\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{good}{good}{last}").as_bytes()).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    let statuses: Vec<&str> = all.match_indices("HTTP/1.1 ").map(|(at, _)| &all[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "200", "404"]);
}

#[test]
fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let server = Server::start();
    let mut stream = server.connect();
    stream.write_all(ASK).unwrap();
    assert_eq!(finish(stream).refusal(), "401 00-00");
}

#[test]
fn no_request_bytes_end_the_service() {
    let server = Server::start();
    let piece = prop_oneof![
        vec(any::<u8>(), 0..30),
        Just(b"GET /generate/token HTTP/1.1\r\n".to_vec()),
        Just(b"Cookie: token=".to_vec()),
        Just(b"Content-Length: 5\r\n".to_vec()),
        Just(b"Origin: ".to_vec()),
        Just(b"\r\n".to_vec()),
    ];
    check(500, &vec(piece, 0..8), |pieces| {
        let mut stream = server.connect();
        let _ = stream.write_all(&pieces.concat());
        assert_ne!(finish(stream).status, 500);
    });
    assert_eq!(server.get("/generate/token").send().status, 401);
}
