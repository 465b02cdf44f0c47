//! One client may ask for so much and no more.

use std::net::IpAddr;
use std::process::Command;

use zendesk_token::http::rate_limit::RateLimit;

use crate::app::App;
use crate::client::{Answer, Request};
use crate::harness::{ORIGIN, OTHER_PRODUCTS, resident_kib, usual};
use crate::login_tokens::LoginToken;
use crate::published_keys::until;
use crate::settings::{load, problems};

/// Behind a proxy on loopback; of the burst one request a second comes back.
fn server(burst: &str) -> App {
    let limit = [("proxy.trusted", "127.0.0.1"), ("rate_limit.per_second", "1"), ("rate_limit.burst", burst)];
    App::with(&[&OTHER_PRODUCTS[..], &limit].concat())
}

fn from(server: &App, client: &str) -> Request {
    server.get("/generate/token").header("X-Forwarded-For", client)
}

fn is_refused(answer: &Answer) -> bool {
    if answer.status == 429 {
        assert_eq!(answer.refusal(), "429 00-06");
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    answer.status == 429
}

/// How many of so many requests at once are refused.
fn refused(server: &App, client: &str, count: usize) -> usize {
    (0..count).filter(|_| is_refused(&from(server, client).send())).count()
}

#[test]
fn a_client_gets_its_burst_and_then_waits_while_others_do_not() {
    let server = server("10");
    let over = refused(&server, "192.0.2.1", 30);
    assert!((10..=20).contains(&over), "{over} of 30");
    assert_eq!(refused(&server, "192.0.2.2", 10), 0);
    let answer = from(&server, "192.0.2.1").header("Origin", ORIGIN).cookie(LoginToken::valid().mint()).send();
    assert!(is_refused(&answer));
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ORIGIN), "a page may read why");
    assert!(answer.header("access-control-expose-headers").unwrap().contains("retry-after"));
    assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    until("there again", || from(&server, "192.0.2.1").send().status != 429);
    let log = server.log().join("\n");
    assert!(log.contains("the client sends more requests than rate_limit allows; it may try again in 1 s"), "{log}");
}

#[test]
fn an_ipv6_network_is_one_client() {
    let server = server("5");
    let over: usize = (0..20).map(|last| refused(&server, &format!("2001:db8:0:1::{last:x}"), 1)).sum();
    assert!(over >= 10, "{over}");
    assert_eq!(refused(&server, "2001:db8:0:2::1", 5), 0);
    let mapped = refused(&server, "::ffff:192.0.2.1", 5) + refused(&server, "192.0.2.1", 5);
    assert!(mapped >= 3, "{mapped}");
}

#[test]
fn it_is_off_unless_it_is_set() {
    assert_eq!(refused(&App::start(), "192.0.2.1", 200), 0);
}

#[test]
fn preflights_documents_refused_origins_images_and_zendesks_servers_are_not_counted() {
    let server = server("20");
    let mine = "192.0.2.1";
    for _ in 0..20 {
        let ask = |method: &str, path: &str| server.request(method, path).header("X-Forwarded-For", mine);
        let preflight = ask("OPTIONS", "/generate/token").header("Origin", ORIGIN);
        assert_eq!(preflight.header("Access-Control-Request-Method", "GET").send().status, 200);
        assert_eq!(ask("GET", "/jwt_fn.js").send().status, 200);
        let login = LoginToken::valid().mint();
        assert_eq!(ask("POST", "/support-sdk/token").body(format!("user_token={login}")).send().status, 200);
        assert_eq!(ask("GET", "/generate/token").header("Origin", "https://evil.example").send().status, 403);
        for path in ["/generate/token", "/messaging/token", "/help-center/token"] {
            assert_eq!(ask("GET", path).header("Sec-Fetch-Mode", "no-cors").send().status, 403, "an image of a page");
        }
        assert_eq!(ask("GET", "/nowhere").header("Sec-Fetch-Mode", "no-cors").send().status, 404);
    }
    assert_eq!(refused(&server, mine, 20), 0, "the burst is whole");
    assert!(refused(&server, mine, 20) > 0);
}

/// Environment variable that has the next test measure its own process, where nothing else runs.
const ALONE: &str = "SUITE_ALONE";

#[test]
fn memory_stays_bounded_however_many_clients_come() {
    if !std::env::vars_os().any(|(name, _)| name == ALONE) {
        let test = "in_process::rate_limit::memory_stays_bounded_however_many_clients_come";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let result = child.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
        assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stdout));
        return;
    }
    let settings = load(None, &usual(&[("rate_limit.per_second", "1"), ("rate_limit.burst", "1000")])).unwrap();
    let limit = RateLimit::new(settings.rate_limit.unwrap());
    let ask = |range: std::ops::Range<u32>| {
        for number in range {
            assert!(limit.check(IpAddr::V4(number.into())).is_ok());
        }
        resident_kib(std::process::id())
    };
    let full = ask(0..100_000);
    let after = ask(100_000..400_000);
    assert!(after < full + 8 * 1024, "{full} KiB at 100,000 clients, {after} at 400,000");
}

#[test]
fn wrong_limits_are_refused() {
    for value in ["", "0", "-1", "1.5", "1000001"] {
        let told = problems(&[("rate_limit.per_second", value)]);
        assert!(told.starts_with("rate_limit.per_second (") && told.lines().count() == 1, "{told}");
    }
    let told = problems(&[("rate_limit.burst", "5")]);
    assert!(
        told.starts_with("rate_limit.burst (") && told.contains("has no effect without rate_limit.per_second"),
        "{told}"
    );
    let limit = load(None, &usual(&[("rate_limit.per_second", "7")])).unwrap().rate_limit.unwrap();
    assert_eq!((limit.per_second.get(), limit.burst.get()), (7, 7));
}
