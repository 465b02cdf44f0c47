//! Sends requests on many busy connections and measures the answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::servers::{LOGIN_SECRET, Server};

/// The same request again and again, on connections that stay open.
#[derive(Clone)]
pub struct Load {
    pub request: Vec<u8>,
    pub connections: usize,
    /// A turn ends after this time, or after `requests`.
    pub time: Duration,
    pub requests: Option<u64>,
}

/// Threads of clients.
const CLIENTS: usize = 4;

/// The results of one turn: requests per second, latencies in milliseconds, CPU seconds per request.
pub struct Measured {
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
    pub cpu: f64,
}

impl Load {
    pub fn run(&self, server: &Server) -> Measured {
        let cpu_before = server.cpu_seconds();
        let started = Instant::now();
        let mut latencies: Vec<f64> = thread::scope(|scope| {
            let clients: Vec<_> =
                (0..CLIENTS).map(|_| scope.spawn(|| self.client(server.address, self.connections / CLIENTS))).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        let elapsed = started.elapsed().as_secs_f64();
        latencies.sort_by(f64::total_cmp);
        let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
        let count = latencies.len() as f64;
        Measured {
            rate: count / elapsed,
            p50: at(0.5),
            p99: at(0.99),
            cpu: (server.cpu_seconds() - cpu_before) / count,
        }
    }

    /// One thread: writes to all its connections, reads from all in reverse order, and repeats. If it read in the same order, it
    /// would sleep before each response of a slow server, and that server, but not a fast one, would spend CPU time to wake it.
    fn client(&self, address: SocketAddr, connections: usize) -> Vec<f64> {
        let mut streams: Vec<TcpStream> = (0..connections).map(|_| connect(address)).collect();
        let (mut latencies, mut buffer) = (Vec::new(), [0; 4096]);
        let started = Instant::now();
        let most = self.requests.map_or(usize::MAX, |requests| requests as usize / CLIENTS);
        while started.elapsed() < self.time && latencies.len() < most {
            let sent: Vec<Instant> = streams.iter_mut().map(|stream| self.send(stream)).collect();
            for (stream, sent) in streams.iter_mut().zip(sent).rev() {
                let read = stream.read(&mut buffer).unwrap();
                assert!(buffer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..read]));
                latencies.push(sent.elapsed().as_secs_f64() * 1e3);
            }
        }
        latencies
    }

    fn send(&self, stream: &mut TcpStream) -> Instant {
        let sent = Instant::now();
        stream.write_all(&self.request).unwrap();
        sent
    }

    /// Sends one request. Returns the open connection and the whole answer.
    pub fn ask(&self, address: SocketAddr) -> (TcpStream, Vec<u8>) {
        let mut stream = connect(address);
        self.send(&mut stream);
        let mut buffer = vec![0; 4096];
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0);
        buffer.truncate(read);
        (stream, buffer)
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A login token like those of Xsolla Login, valid for an hour.
pub fn login_token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let payload = format!(
        r#"{{"sub":"82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11","email":"jane@example.com","username":"Jane Doe","iss":"https://login.xsolla.com","iat":{now},"exp":{},"xsolla_login_project_id":"0d5f2d5e-7c1b-4d0e-8a43-6f1f4f0e9a77","groups":[{{"id":1,"name":"default","is_default":true}}],"type":"xsolla_login"}}"#,
        now + 3600
    );
    let message =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#), URL_SAFE_NO_PAD.encode(payload));
    let signature = sign(&Key::new(HMAC_SHA256, LOGIN_SECRET.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
