//! The demo, as a newcomer runs it.

use std::net::TcpListener;

use crate::harness::{Server, command, output};
use crate::login_tokens::{SUB, open};

/// The demo on a free port, and what it printed before its log.
fn demo() -> (Server, String) {
    let mut server = Server::run(command(&["demo", "--listen", "127.0.0.1:0"], &[]));
    let greeting = server.take_seen().join("\n");
    (server, greeting)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

#[test]
fn the_printed_curl_line_gives_a_token_that_the_printed_secret_verifies() {
    let (server, greeting) = demo();
    let address = server.public.to_string();
    assert!(greeting.contains("curl --silent --cookie 'token=eyJ"), "{greeting}");
    assert!(greeting.contains(&format!("http://{address}/generate/token")), "{greeting}");
    let login_token = between(&greeting, "--cookie 'token=", "'");
    let chat_secret = between(&greeting, "sys.stdin.read(), \"", "\"");
    let token = server.get("/generate/token").cookie(login_token).send().token();
    let (_, claims) = open(&token, chat_secret);
    assert_eq!((&claims["external_id"], &claims["email"]), (&SUB.into(), &"jane@example.com".into()));
    let from_its_page = server.get("/generate/token").cookie(login_token).header("Origin", format!("http://{address}"));
    assert_eq!(from_its_page.send().status, 200);
    assert_eq!(server.stop().status.code(), Some(0));
}

#[test]
fn each_start_has_secrets_of_its_own() {
    let (first, second) = (demo(), demo());
    let login_token = between(&first.1, "--cookie 'token=", "'");
    assert_eq!(second.0.get("/generate/token").cookie(login_token).send().refusal(), "401 00-01");
    assert_ne!(between(&first.1, "sys.stdin.read(), \"", "\""), between(&second.1, "sys.stdin.read(), \"", "\""));
}

#[test]
fn it_reads_no_settings_and_finds_a_free_port() {
    let taken = TcpListener::bind("127.0.0.1:8001");
    let server = Server::run(command(&["demo"], &[("listen", "nonsense"), ("login.secret", "short")]));
    assert!(server.public.ip().is_loopback() && server.admin.ip().is_loopback());
    assert_ne!(server.public.port(), 8001);
    assert_eq!(server.get("/generate/token").send().refusal(), "401 00-00");
    drop(taken);
}

#[test]
fn it_refuses_to_leave_loopback() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = output(&["demo", "--listen", address], &[]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8(refused.stderr).unwrap().contains("stays on loopback"));
    }
}
