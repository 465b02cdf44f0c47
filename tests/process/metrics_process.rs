//! Metrics of connections and of the process.

use std::io::Read;

use crate::client::Request;
use crate::harness::Server;
use crate::login_tokens::now;
use crate::metrics::{count, read, value};
use crate::published_keys::until;

fn scrape(server: &Server) -> String {
    read(Request::new(server.admin, "GET", "/metrics").send())
}

#[test]
fn open_and_refused_connections_are_counted() {
    let server = Server::with(&[("limits.connections", "2"), ("limits.request_timeout", "10s")]);
    let until_open = |listener: &str, expected: u64| {
        let series = format!("zendesk_token_connections_open{{listener=\"{listener}\"}}");
        until("counted", || count(&scrape(&server), &series) == expected);
    };
    until_open("public", 0);
    let held = [server.connect(), server.connect()];
    until_open("public", 2);
    let mut refused = server.connect();
    assert_eq!(refused.read(&mut [0; 1]).unwrap_or(0), 0, "closed at once");
    let text = scrape(&server);
    assert_eq!(count(&text, "zendesk_token_connections_refused_total{listener=\"public\"}"), 1);
    assert_eq!(count(&text, "zendesk_token_connections_refused_total{listener=\"admin\"}"), 0);
    // The connection of the scrape itself; that of the one before may take a moment to close.
    until_open("admin", 1);
    drop(held);
    until_open("public", 0);
}

#[test]
fn the_metrics_have_the_release_and_the_resources_of_the_process() {
    let before = now();
    let server = Server::start();
    let text = scrape(&server);
    assert_eq!(count(&text, &format!("zendesk_token_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1);
    let resident: f64 = value(&text, "process_resident_memory_bytes");
    assert!((1e6..1e9).contains(&resident), "{resident}");
    assert!((5.0..500.0).contains(&value::<f64>(&text, "process_open_fds")));
    assert!(value::<f64>(&text, "process_max_fds") > 100.0);
    // The kernel's clock for process starts may differ by some seconds.
    let started: f64 = value(&text, "process_start_time_seconds");
    let expected = [before - 5, now() + 5].map(|seconds| f64::from(u32::try_from(seconds).unwrap()));
    assert!((expected[0]..expected[1]).contains(&started), "{started} {expected:?}");
    let cpu = |text: &str| value::<f64>(text, "process_cpu_seconds_total");
    until("more CPU time", || {
        server.get("/generate/token").send();
        cpu(&scrape(&server)) > cpu(&text)
    });
}
