//! What does a request cost beside a bare axum server that answers the same bytes with no work?
//!
//! `cargo bench --bench http`. Both run as processes of their own, take turns under the same load in
//! the same run, and are charged the CPU time that the kernel counted for them.

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

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use load::{Load, Measured};
use servers::Server;

/// Connections open at once, each with one request under way.
const CONNECTIONS: usize = 64;
/// Turns that each server takes; the median counts.
const TURNS: usize = 7;
const TURN: Duration = Duration::from_secs(3);

fn main() {
    if std::env::args().any(|argument| argument == servers::BARE) {
        return servers::run_bare();
    }
    let token = load::login_token();
    let request = format!(
        "GET /generate/token HTTP/1.1\r\nHost: x\r\nOrigin: https://shop.example.com\r\nCookie: token={token}\r\n\r\n"
    );
    let load = Load { request: request.into_bytes(), connections: CONNECTIONS, time: TURN };
    println!("{CONNECTIONS} connections, {TURNS} turns of {TURN:?} each, medians; CPU time is the server's own");
    println!("{:<16} {:>10} {:>9} {:>9} {:>12} {:>7}", "", "requests/s", "p50", "p99", "CPU/request", "ratio");
    for (level, aim) in [("warn", 1.7), ("info", 2.2)] {
        let (bare, ours) = (Server::bare(&load), Server::ours(level));
        let turns: Vec<(Measured, Measured)> = (0..TURNS).map(|_| (load.run(&bare), load.run(&ours))).collect();
        let ratio = median(turns.iter().map(|(bare, ours)| ours.cpu / bare.cpu));
        print("bare axum", &turns.iter().map(|(bare, _)| bare).collect::<Vec<_>>(), 1.0);
        print(&format!("ours at {level}"), &turns.iter().map(|(_, ours)| ours).collect::<Vec<_>>(), ratio);
        println!("  aim at most {aim}; ours holds {:.1} MiB, was ready in {:?}", ours.resident_mib(), ours.ready_in);
    }
    compare_reloads(&load);
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
