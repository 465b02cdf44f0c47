//! A plain HTTP client: what is sent and what comes back, byte for byte.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::harness::PATIENCE;

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One request on a connection of its own.
pub struct Request {
    address: SocketAddr,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Request {
    pub fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        Self { address, head: head.into_bytes(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend([name.as_bytes(), b": ", value.as_ref(), b"\r\n"].concat());
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
        send(self.address, &[&self.head[..], b"\r\n", &self.body].concat())
    }
}

/// Reads what there is. A read with a timeout ends when a child of the process is stopped or goes on
/// (signal(7)), as one test does to its server; that counts for nothing.
pub fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Sends bytes on a connection of its own and reads to its end.
pub fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is the answer's end too.
    let _ = stream.read_to_end(&mut answer);
    Answer::read(&answer)
}

/// What came back.
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
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
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

    /// The code of a refusal, whose body must be the two members and no more.
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
