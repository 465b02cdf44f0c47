//! The rate limit of a client.

use std::net::IpAddr;
use std::ops::Range;
use std::process::Command;
use std::time::Instant;

use zendesk_token::http::rate_limit::RateLimit;

use crate::app::App;
use crate::client::{Answer, Request};
use crate::harness::{ORIGIN, OTHER_PRODUCTS, resident_kib, usual};
use crate::login_tokens::LoginToken;
use crate::origins::preflight;
use crate::published_keys::until;
use crate::settings::{load, problems};

/// A service behind a proxy on loopback, with one request a second and this burst.
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

/// How many of `count` requests are refused.
fn refused(server: &App, client: &str, count: usize) -> usize {
    (0..count).filter(|_| is_refused(&from(server, client).send())).count()
}

/// Sends a request from each of these addresses. Of a client's requests, the burst and one a second are served.
fn check_one_client<'a>(server: &App, addresses: impl IntoIterator<Item = &'a str>, burst: usize) {
    let started = Instant::now();
    let accepted = addresses.into_iter().map(|address| 1 - refused(server, address, 1)).sum::<usize>();
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap();
    assert!((burst..=burst + seconds + 1).contains(&accepted), "{accepted} served in {seconds} s");
}

#[test]
fn a_client_that_used_its_burst_is_refused_and_other_clients_are_not() {
    let server = server("10");
    check_one_client(&server, ["192.0.2.1"; 30], 10);
    assert_eq!(refused(&server, "192.0.2.2", 10), 0);
    let ask = || from(&server, "192.0.2.1").header("Origin", ORIGIN).cookie(LoginToken::valid().mint()).send();
    let answer = (0..100).map(|_| ask()).find(is_refused).unwrap();
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ORIGIN), "a page can read the refusal");
    assert!(answer.header("access-control-expose-headers").unwrap().contains("retry-after"));
    assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    until("served again", || from(&server, "192.0.2.1").send().status != 429);
    let log = server.log().join("\n");
    assert!(log.contains("the client sends more requests than rate_limit allows; it may try again in 1 s"), "{log}");
}

#[test]
fn an_ipv6_network_is_one_client_and_so_are_both_forms_of_an_ipv4_address() {
    let server = server("5");
    let network: Vec<String> = (0..20).map(|last| format!("2001:db8:0:1::{last:x}")).collect();
    check_one_client(&server, network.iter().map(String::as_str), 5);
    assert_eq!(refused(&server, "2001:db8:0:2::1", 5), 0);
    check_one_client(&server, ["::ffff:192.0.2.1", "192.0.2.1"].repeat(5), 5);
}

#[test]
fn without_the_setting_there_is_no_limit() {
    assert_eq!(refused(&App::start(), "192.0.2.1", 200), 0);
}

#[test]
fn preflights_documents_refused_origins_images_and_zendesks_servers_are_not_counted() {
    let server = server("20");
    let client = "192.0.2.1";
    for _ in 0..20 {
        let ask = |method: &str, path: &str| server.request(method, path).header("X-Forwarded-For", client);
        let preflight = preflight(&server, "/generate/token", ORIGIN).header("X-Forwarded-For", client);
        assert_eq!(preflight.send().status, 200);
        assert_eq!(ask("GET", "/jwt_fn.js").send().status, 200);
        let login = LoginToken::valid().mint();
        assert_eq!(ask("POST", "/support-sdk/token").body(format!("user_token={login}")).send().status, 200);
        assert_eq!(ask("GET", "/generate/token").header("Origin", "https://evil.example").send().status, 403);
        for path in ["/generate/token", "/messaging/token", "/help-center/token"] {
            assert_eq!(ask("GET", path).header("Sec-Fetch-Mode", "no-cors").send().status, 403, "an image of a page");
        }
        assert_eq!(ask("GET", "/nowhere").header("Sec-Fetch-Mode", "no-cors").send().status, 404);
    }
    assert_eq!(refused(&server, client, 20), 0, "the burst is whole");
    assert!(refused(&server, client, 20) > 0);
}

/// Environment variable that makes the next test measure its own process, which runs no other test.
const ALONE: &str = "SUITE_ALONE";

#[test]
fn memory_stays_bounded_with_any_number_of_clients() {
    if !std::env::vars_os().any(|(name, _)| name == ALONE) {
        let test = "in_process::rate_limit::memory_stays_bounded_with_any_number_of_clients";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let result = child.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
        assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stdout));
        return;
    }
    let settings = load(None, &usual(&[("rate_limit.per_second", "1"), ("rate_limit.burst", "1000")])).unwrap();
    let limit = RateLimit::new(settings.rate_limit.unwrap());
    let memory_after = |clients: Range<u32>| {
        for number in clients {
            assert!(limit.check(IpAddr::V4(number.into())).is_ok());
        }
        resident_kib(std::process::id())
    };
    let full = memory_after(0..100_000);
    let after = memory_after(100_000..400_000);
    assert!(after < full + 8 * 1024, "{full} KiB at 100,000 clients, {after} at 400,000");
}

#[test]
fn wrong_limits_are_refused() {
    let cases = ["", "0", "-1", "1.5", "1000001"].map(|value| ("rate_limit.per_second", value, ""));
    for (key, value, fix) in
        cases.into_iter().chain([("rate_limit.burst", "5", "no effect without rate_limit.per_second")])
    {
        let problem = problems(&[(key, value)]);
        let is_complete = problem.starts_with(&format!("{key} (")) && problem.contains(fix);
        assert!(is_complete && problem.lines().count() == 1, "{problem}");
    }
    let limit = load(None, &usual(&[("rate_limit.per_second", "7")])).unwrap().rate_limit.unwrap();
    assert_eq!((limit.per_second.get(), limit.burst.get()), (7, 7));
}
