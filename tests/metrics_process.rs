//! Metrics of connections and of the process.

use std::io::Read;

use crate::client::Request;
use crate::harness::Server;
use crate::metrics::{read, value};
use crate::published_keys::until;

fn scrape(server: &Server) -> String {
    read(Request::new(server.admin, "GET", "/metrics").send())
}

#[test]
fn connections_and_requests_are_counted_while_they_are_there() {
    let server = Server::with(&[("limits.connections", "2"), ("limits.request_timeout", "10s")]);
    let open = |listener: &str, count: f64| {
        let series = format!("zendesk_token_connections_open{{listener=\"{listener}\"}}");
        until("counted", || (value(&scrape(&server), &series) - count).abs() < 0.5);
    };
    open("public", 0.0);
    let held = [server.connect(), server.connect()];
    open("public", 2.0);
    let mut refused = server.connect();
    assert_eq!(refused.read(&mut [0; 1]).unwrap_or(0), 0, "closed at once");
    let text = scrape(&server);
    assert!((value(&text, "zendesk_token_connections_refused_total{listener=\"public\"}") - 1.0).abs() < 0.5);
    assert!(value(&text, "zendesk_token_connections_refused_total{listener=\"admin\"}").abs() < 0.5);
    // The scrape's own; the one before it may take a moment to end.
    open("admin", 1.0);
    drop(held);
    open("public", 0.0);
}

#[test]
fn the_process_and_its_release_are_told() {
    let server = Server::start();
    let text = scrape(&server);
    let build = format!("zendesk_token_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert!((value(&text, &build) - 1.0).abs() < 0.5);
    let resident = value(&text, "process_resident_memory_bytes");
    assert!((1e6..1e9).contains(&resident), "{resident}");
    assert!((5.0..500.0).contains(&value(&text, "process_open_fds")));
    assert!(value(&text, "process_max_fds") > 100.0);
    let started = value(&text, "process_start_time_seconds");
    let now = f64::from(u32::try_from(crate::login_tokens::now()).unwrap());
    assert!((now - 120.0..now + 5.0).contains(&started), "{started} {now}");
    let spent = value(&text, "process_cpu_seconds_total");
    for _ in 0..200 {
        server.get("/generate/token").send();
    }
    until("spent", || value(&scrape(&server), "process_cpu_seconds_total") > spent);
}
