//! How often a request asks for memory.

use std::sync::Arc;

use allocation_counter::measure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tracing::Level;
use zendesk_token::config::Config;
use zendesk_token::exchange::Exchange;
use zendesk_token::http::App;
use zendesk_token::http::admin::Readiness;
use zendesk_token::login::strict_json::Members;
use zendesk_token::metrics::Metrics;
use zendesk_token::server::{self, listener::Listener};
use zendesk_token::telemetry::{self, Format};

use crate::harness::{ORIGIN, usual, variable};
use crate::login_tokens::LoginToken;

/// Requests that are counted, all on one connection.
const REQUESTS: u64 = 100;

/// Each allocation costs time, and a crowd of them scatters over memory what belongs together.
const MOST: u64 = 40;

/// Environment variable that has the test log as the service does.
const WITH_LOG: &str = "SUITE_COUNT_WITH_LOG";

/// Asks so many times on a connection that is open.
async fn ask(stream: &mut TcpStream, request: &[u8], times: u64) {
    let mut answer = [0; 2048];
    for _ in 0..times {
        stream.write_all(request).await.unwrap();
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
    }
}

/// Allocations of one request, from its first byte to the last of its answer, with all that hyper and tokio do.
fn allocations() -> u64 {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let settings = usual(&[]).into_iter().map(|(key, value)| (variable(key).into(), value.into()));
    let (config, metrics) = (Config::load(None, settings).unwrap(), Metrics::new());
    let exchange = Arc::new(Exchange::new(&config, &metrics, None).unwrap());
    let app = App::public(&exchange, &config, &metrics);
    let (mut stream, request) = runtime.block_on(async {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Listener::public(socket, app, config.limits, &metrics, None);
        tokio::spawn(server::run(listener, Vec::new(), Arc::new(Readiness::new(exchange)), std::future::pending()));
        let token = LoginToken::valid().mint();
        let request = format!(
            "GET /generate/token HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\nAccept: application/json\r\n\
             Accept-Language: de,en;q=0.5\r\nUser-Agent: Mozilla/5.0\r\nCookie: a=b; token={token}; c=d\r\n\r\n"
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask(&mut stream, request.as_bytes(), 20).await;
        (stream, request)
    });
    let counted = measure(|| runtime.block_on(ask(&mut stream, request.as_bytes(), REQUESTS)));
    counted.count_total.div_ceil(REQUESTS)
}

#[test]
fn a_request_makes_fewer_than_40_allocations() {
    let with_log = std::env::vars_os().any(|(name, _)| name == WITH_LOG);
    let _log = with_log.then(|| telemetry::start(Format::Json, Level::INFO));
    let count = allocations();
    assert!((10..MOST).contains(&count), "{count} allocations a request");
}

#[test]
fn neither_does_one_that_is_logged() {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let test = "allocations::a_request_makes_fewer_than_40_allocations";
    let result = child.args(["--exact", test, "--nocapture"]).env(WITH_LOG, "1").output().unwrap();
    let printed = String::from_utf8(result.stdout).unwrap();
    assert!(result.status.success() && printed.contains("\"status\":200"), "{}", &printed[..printed.len().min(2000)]);
}

/// Anybody can send a header, and with RS256 it is held while an unknown key is asked for.
#[test]
fn a_header_of_objects_in_objects_takes_no_more_memory_than_its_bytes() {
    let members: Vec<String> = (0..500).map(|name| format!(r#""{name}":{{"":{{}}}}"#)).collect();
    let json = format!("{{{}}}", members.join(","));
    let mut kept = None;
    let counted = measure(|| kept = Some(Members::read(json.as_bytes()).unwrap()));
    assert!(kept.unwrap().has("499"));
    let bytes = counted.bytes_current;
    assert!(bytes < 8 * i64::try_from(json.len()).unwrap(), "{bytes} bytes for {} of JSON", json.len());
}
