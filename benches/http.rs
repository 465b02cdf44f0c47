//! Measures what a request costs, next to a bare axum server that answers the same bytes with no work and next to a
//! textbook server that does the same work on the same packages.
//!
//! `cargo bench --bench http [-- PART…]`, with the parts `cpu`, `crowd`, `idle`, `length` (10,000,000 requests) and
//! `reloads`; all of them where none is named. The servers run as processes of their own, take turns under the same load in the
//! same run, and are charged the CPU time that the kernel counted for them.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a benchmark that meets the unexpected stops, and its figures are small"
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
/// Connections open at once, each with one request under way.
const CONNECTIONS: usize = 64;
/// The same of a crowd, in turn.
const CROWDS: [usize; 3] = [64, 512, 2_000];
/// Requests after which one costs as much as at the beginning.
const LENGTH: u64 = 10_000_000;
/// Requests of the beginning that it is held against.
const BEGINNING: u64 = 10_000;
/// Requests that are charged together.
const STRETCH: u64 = 100_000;
/// Turns that each server takes; the median counts.
const TURNS: usize = 21;
const TURN: Duration = Duration::from_secs(1);
/// What a request may cost of what it costs the textbook server.
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
    println!("{CONNECTIONS} connections, {TURNS} turns of {TURN:?} each, medians; CPU time is the server's own");
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
        hold_idle(&load);
    }
    if is_wanted("length") {
        go_on(&load);
    }
    if is_wanted("reloads") {
        compare_reloads(&load);
    }
}

/// Turns of both servers, one after the other.
fn take_turns(load: &Load, bare: &Server, ours: &Server) -> Vec<(Measured, Measured)> {
    (0..TURNS).map(|_| (load.run(bare), load.run(ours))).collect()
}

/// The textbook server writes a line for each request, as its packages' examples do. What it costs without them is shown beside it.
fn compare_cpu(load: &Load) {
    for (level, aim) in [("warn", 2.4), ("info", 3.0)] {
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
        println!("  aims at most {aim} times the bare server, {OF_TEXTBOOK} of the textbook server");
        println!("  ours holds {:.1} MiB, was ready in {:?}", ours.resident_mib(), ours.ready_in);
    }
}

/// How long the unlucky wait in a crowd.
fn compare_crowd(load: &Load) {
    let turns = take_turns(load, &Server::bare(load), &Server::ours("warn"));
    print_both(&format!("ours of {}", load.connections), &turns, |measured| measured.p99);
    println!("  the ratio is of the two p99; aim at most 1.5");
}

/// What connections hold that have asked once and are kept open.
fn hold_idle(load: &Load) {
    for (name, server) in [("bare axum", Server::bare(load)), ("ours", Server::ours("warn"))] {
        let at_rest = server.resident_mib();
        let connections: Vec<_> = (0..2_000).map(|_| load.ask(server.address).0).collect();
        let held = server.resident_mib();
        println!(
            "{name}: {at_rest:.1} MiB at rest, {held:.1} with {} idle connections; aim of ours under 40",
            connections.len()
        );
    }
}

/// Whether a request costs after ten million others what it did after ten thousand, beside what one of the bare server's
/// costs at that time: the machine's own speed drifts by more.
fn go_on(load: &Load) {
    let (bare, ours) = (Server::bare(load), Server::ours("info"));
    let stretch = |server, requests| Load { time: Duration::MAX, requests: Some(requests), ..load.clone() }.run(server);
    let ratio = || median((0..TURNS).map(|_| stretch(&ours, STRETCH).cpu / stretch(&bare, STRETCH).cpu));
    let _ = stretch(&ours, BEGINNING);
    let (first, held) = (ratio(), ours.resident_mib());
    let _ = stretch(&ours, LENGTH);
    let last = ratio();
    println!(
        "after {BEGINNING} requests {first:.2} times the bare server's and {held:.1} MiB, after {LENGTH} {last:.2} times and \
         {:.1} MiB: {:.2} of the beginning",
        ours.resident_mib(),
        last / first
    );
}

/// The same server with and without a reload every 100 ms. Each answer has to be a token, and none should wait.
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
    println!("  the ratio is of the two p99: what a reload makes requests wait");
}

fn print_both(name: &str, turns: &[(Measured, Measured)], figure: fn(&Measured) -> f64) {
    let ratio = median(turns.iter().map(|(bare, ours)| figure(ours) / figure(bare)));
    print("bare axum", &turns.iter().map(|(bare, _)| bare).collect::<Vec<_>>(), 1.0);
    print(name, &turns.iter().map(|(_, ours)| ours).collect::<Vec<_>>(), ratio);
}

fn print(name: &str, turns: &[&Measured], ratio: f64) {
    let of = |figure: fn(&Measured) -> f64| median(turns.iter().map(|turn| figure(turn)));
    let (rate, p50, p99, cpu) = (of(|turn| turn.rate), of(|turn| turn.p50), of(|turn| turn.p99), of(|turn| turn.cpu));
    println!("{name:<16} {rate:>10.0} {p50:>7.2}ms {p99:>7.2}ms {:>10.1}us {ratio:>7.2}", cpu * 1e6);
}

/// The middle figure. Of the ratio it is taken over turns side by side, since the machine's own speed drifts.
fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
