//! Compares the cost of a request with a bare axum server, which sends the same bytes without any work, and with a textbook
//! server, which does the same work with the same packages.
//!
//! `cargo bench --bench http [-- PART…]`, with the parts `cpu`, `crowd`, `idle`, `length` (10,000,000 requests) and
//! `reloads`; without arguments all parts. Each server is a separate process. They take turns under the same load in the same
//! run, and the kernel counts their CPU time.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a benchmark stops at any unexpected result, and its numbers are small"
)]

#[path = "http/load.rs"]
mod load;
#[path = "http/servers.rs"]
mod servers;
#[path = "http/textbook.rs"]
mod textbook;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use load::{Load, Measured};
use servers::Server;

const PARTS: [&str; 5] = ["cpu", "crowd", "idle", "length", "reloads"];
/// Connections that are open at the same time, each with one request.
const CONNECTIONS: usize = 64;
/// Connections in the part `crowd`, one value after the other.
const CROWDS: [usize; 3] = [64, 512, 2_000];
/// Requests after which the cost must be the same as at the beginning.
const LENGTH: u64 = 10_000_000;
/// Requests before the first measurement of that cost.
const BEGINNING: u64 = 10_000;
/// Requests in one measurement of that cost.
const SAMPLE: u64 = 100_000;
/// Turns of each server; the median counts.
const TURNS: usize = 21;
const TURN: Duration = Duration::from_secs(1);
/// Target: cost of a request in relation to the textbook server.
const OF_TEXTBOOK: f64 = 0.6;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [servers::BARE] => return servers::run_bare(),
        [servers::TEXTBOOK, address, level] => return textbook::run(address, level),
        _ => {}
    }
    servers::leave_processors();
    let token = load::login_token();
    let request = format!(
        "GET /generate/token HTTP/1.1\r\nHost: x\r\nOrigin: {}\r\nCookie: token={token}\r\n\r\n",
        servers::SHOP
    );
    let load = Load { request: request.into_bytes(), connections: CONNECTIONS, time: TURN, requests: None };
    let _ = rlimit::increase_nofile_limit(2 * CROWDS.iter().sum::<usize>() as u64);
    let parts: Vec<String> = arguments.into_iter().filter(|argument| argument != "--bench").collect();
    let is_known = |part: &String| PARTS.contains(&part.as_str());
    assert!(parts.iter().all(is_known), "the parts are {}", PARTS.join(", "));
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    println!("{CONNECTIONS} connections, {TURNS} turns of {TURN:?} each, medians; CPU time of the server's process");
    println!("{:<16} {:>10} {:>9} {:>9} {:>12} {:>7}", "", "requests/s", "p50", "p99", "CPU/request", "ratio");
    if is_wanted("cpu") {
        compare_cpu(&load);
    }
    if is_wanted("crowd") {
        for connections in CROWDS {
            compare_crowd(&Load { connections, ..load.clone() });
        }
    }
    if is_wanted("idle") {
        measure_idle(&load);
    }
    if is_wanted("length") {
        measure_length(&load);
    }
    if is_wanted("reloads") {
        compare_reloads(&load);
    }
}

/// Turns of both servers, one after the other.
fn take_turns(load: &Load, bare: &Server, ours: &Server) -> Vec<(Measured, Measured)> {
    (0..TURNS).map(|_| (load.run(bare), load.run(ours))).collect()
}

/// The textbook server logs each request, as the examples of its packages do. Also measures it without these log lines.
fn compare_cpu(load: &Load) {
    for (level, target) in [("warn", 2.4), ("info", 3.0)] {
        let ours = Server::ours(level);
        let all = [&Server::bare(load), &Server::textbook("info"), &Server::textbook("warn"), &ours];
        let names = ["bare axum", "textbook", "textbook, silent", &format!("ours, {level}")];
        let turns: Vec<[Measured; 4]> = (0..TURNS).map(|_| all.map(|server| load.run(server))).collect();
        for (index, name) in names.into_iter().enumerate() {
            let ratio = median(turns.iter().map(|turn| turn[index].cpu / turn[0].cpu));
            print(name, &turns.iter().map(|turn| &turn[index]).collect::<Vec<_>>(), ratio);
        }
        let [of_textbook, of_silent] =
            [1, 2].map(|other| median(turns.iter().map(|turn| turn[3].cpu / turn[other].cpu)));
        println!("  ours is {of_textbook:.2} of the textbook server, {of_silent:.2} of the silent one");
        println!("  target: at most {target} times the bare server, {OF_TEXTBOOK} of the textbook server");
        println!("  ours uses {:.1} MiB, was ready in {:?}", ours.resident_mib(), ours.ready_in);
    }
}

/// Compares the slowest requests (p99) with many connections.
fn compare_crowd(load: &Load) {
    let turns = take_turns(load, &Server::bare(load), &Server::ours("warn"));
    print_both(&format!("ours, {} open", load.connections), &turns, |measured| measured.p99);
    println!("  ratio of the two p99; target: at most 1.5");
}

/// Measures the memory of idle connections, after one request on each.
fn measure_idle(load: &Load) {
    for (name, server) in [("bare axum", Server::bare(load)), ("ours", Server::ours("warn"))] {
        let at_rest = server.resident_mib();
        let connections: Vec<_> = (0..2_000).map(|_| load.ask(server.address).0).collect();
        let used = server.resident_mib();
        println!(
            "{name}: {at_rest:.1} MiB at rest, {used:.1} with {} idle connections; target for ours: under 40",
            connections.len()
        );
    }
}

/// Compares the cost of a request after ten million requests with the cost after ten thousand. Both are ratios to the bare
/// server's cost, since the machine's own speed changes.
fn measure_length(load: &Load) {
    let (bare, ours) = (Server::bare(load), Server::ours("info"));
    let send = |server, requests| Load { time: Duration::MAX, requests: Some(requests), ..load.clone() }.run(server);
    let ratio = || median((0..TURNS).map(|_| send(&ours, SAMPLE).cpu / send(&bare, SAMPLE).cpu));
    let _ = send(&ours, BEGINNING);
    let (first, used) = (ratio(), ours.resident_mib());
    let _ = send(&ours, LENGTH);
    let last = ratio();
    println!(
        "after {BEGINNING} requests {first:.2} times the bare server and {used:.1} MiB, after {LENGTH} {last:.2} times and \
         {:.1} MiB: {:.2} of the beginning",
        ours.resident_mib(),
        last / first
    );
}

/// Compares the same server with and without a reload every 100 ms. Every response must have status 200.
fn compare_reloads(load: &Load) {
    let server = Server::ours("warn");
    let turns: Vec<(Measured, Measured)> = (0..TURNS)
        .map(|_| {
            let is_over = AtomicBool::new(false);
            let calm = load.run(&server);
            let reloading = thread::scope(|scope| {
                let reloads = scope.spawn(|| server.reload(Duration::from_millis(100), &is_over));
                let measured = load.run(&server);
                is_over.store(true, Ordering::Relaxed);
                assert!(reloads.join().unwrap() > 10);
                measured
            });
            (calm, reloading)
        })
        .collect();
    let ratio = median(turns.iter().map(|(calm, reloading)| reloading.p99 / calm.p99));
    print("without reloads", &turns.iter().map(|(calm, _)| calm).collect::<Vec<_>>(), 1.0);
    print("10 reloads/s", &turns.iter().map(|(_, reloading)| reloading).collect::<Vec<_>>(), ratio);
    println!("  ratio of the two p99: how long requests wait for a reload");
}

fn print_both(name: &str, turns: &[(Measured, Measured)], value: fn(&Measured) -> f64) {
    let ratio = median(turns.iter().map(|(bare, ours)| value(ours) / value(bare)));
    print("bare axum", &turns.iter().map(|(bare, _)| bare).collect::<Vec<_>>(), 1.0);
    print(name, &turns.iter().map(|(_, ours)| ours).collect::<Vec<_>>(), ratio);
}

fn print(name: &str, turns: &[&Measured], ratio: f64) {
    let of = |value: fn(&Measured) -> f64| median(turns.iter().map(|turn| value(turn)));
    let (rate, p50, p99, cpu) = (of(|turn| turn.rate), of(|turn| turn.p50), of(|turn| turn.p99), of(|turn| turn.cpu));
    println!("{name:<16} {rate:>10.0} {p50:>7.2}ms {p99:>7.2}ms {:>10.1}us {ratio:>7.2}", cpu * 1e6);
}

/// The median. A ratio is computed per turn, and then its median, since the machine's own speed changes.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
