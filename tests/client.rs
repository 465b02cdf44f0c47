//! An HTTP client that sends and returns exact bytes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use axum::body::Body;
use axum::http;
use tokio::task::JoinHandle;

use crate::app::{App, Service};
use crate::harness::PATIENCE;

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A request to a [`Server`](crate::harness::Server), on its own connection, or to an [`App`].
pub struct Request {
    to: Receiver,
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

enum Receiver {
    Socket(SocketAddr),
    Router(App, Service),
}

impl Request {
    pub fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        let headers = vec![("Host".to_owned(), address.to_string().into()), ("Connection".to_owned(), b"close".into())];
        Self { headers, ..Self::to(Receiver::Socket(address), method, path) }
    }

    pub fn in_process(app: &App, router: &Service, method: &str, path: &str) -> Self {
        Self::to(Receiver::Router(app.clone(), router.clone()), method, path)
    }

    fn to(to: Receiver, method: &str, path: &str) -> Self {
        Self { to, method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub fn cookie(self, value: impl AsRef<[u8]>) -> Self {
        self.header("Cookie", [b"token=", value.as_ref()].concat())
    }

    /// Adds a body and its length.
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        Self { body: body.to_vec(), ..self.header("Content-Length", body.len().to_string()) }
    }

    pub fn send(self) -> Answer {
        let address = match self.to {
            Receiver::Socket(address) => address,
            Receiver::Router(ref app, _) => return app.clone().wait(self.start()),
        };
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        send(address, &[&bytes[..], b"\r\n", &self.body].concat())
    }

    /// Sends the request to an [`App`]; a client that hangs up is [`JoinHandle::abort`].
    pub fn start(self) -> JoinHandle<Answer> {
        let Receiver::Router(app, router) = self.to else { panic!("only in-process") };
        let mut request = http::Request::builder().method(self.method.as_str()).uri(self.path);
        for (name, value) in &self.headers {
            // hyper removes the spaces around a value, too.
            request = request.header(name, value.trim_ascii());
        }
        app.start_request(router, request.body(Body::from(self.body)).unwrap())
    }
}

/// Reads once. A read with a timeout is interrupted when a child process is stopped or continued (signal(7)), as one test does
/// to its server; it is then repeated.
pub fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Sends bytes on a new connection and reads to its end.
pub fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset after the answer also ends the answer.
    let _ = stream.read_to_end(&mut answer);
    Answer::read(&answer)
}

/// The headers in these lines, with names in lower case.
pub fn headers<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let headers = lines.filter_map(|line| line.split_once(": "));
    headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect()
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// Reads an answer; a connection that closed without one has status 0.
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        Self { status, headers: headers(lines), body: body.to_owned() }
    }

    /// All values of a header, joined.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str()).collect();
        if values.is_empty() { None } else { Some(values.join(", ")) }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The code of a refusal, whose body must have exactly two members.
    pub fn code(&self) -> String {
        let json = self.json();
        assert_eq!(self.header("content-type").as_deref(), Some("application/json"));
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(2), "{self:?}");
        assert!(json["description"].is_string());
        json["code"].as_str().unwrap().to_owned()
    }

    /// Status and code: `401 00-01`.
    pub fn refusal(&self) -> String {
        format!("{} {}", self.status, self.code())
    }

    /// The token of a JSON answer.
    pub fn token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["token"].as_str().unwrap().to_owned()
    }
}
