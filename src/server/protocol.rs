//! Logs clients that use a wrong protocol, detected by the first bytes of a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Tls,
    Http2,
    Proxy,
    Http1,
}

use Protocol::{Http1, Http2, Proxy, Tls};

/// The first bytes of protocols, as far as hyper reads before it fails (RFC 9113 §3.4; `proxy-protocol.txt`, section 2).
const PREFACES: [(Protocol, &[u8]); 3] = [(Http2, b"PRI * HTTP/2"), (Proxy, b"PROXY "), (Proxy, b"\r\n\r\n\0")];

/// A TLS record with a `ClientHello` (RFC 8446 §5.1): record type 22, version 3.x, two bytes of length, handshake type 1. hyper
/// may fail at the first byte, so fewer bytes match too.
const CLIENT_HELLO: [Option<u8>; 6] = [Some(22), Some(3), None, None, None, Some(1)];

/// Most bytes that are needed to identify a protocol.
const MAX_BYTES: usize = 12;

/// Warns once for each protocol on a listener.
#[derive(Clone)]
pub(super) struct ProtocolWarnings {
    listener: &'static str,
    logged: Arc<[AtomicBool; 4]>,
}

/// Detects the protocol of one connection.
pub(super) struct Sniffer {
    warnings: ProtocolWarnings,
    client: SocketAddr,
    expected: Protocol,
    seen: Vec<u8>,
    is_done: bool,
}

impl ProtocolWarnings {
    pub(super) fn new(listener: &'static str) -> Self {
        Self { listener, logged: Arc::default() }
    }

    /// A sniffer for a connection on which the `expected` protocol is [`Http1`] or [`Tls`].
    pub(super) fn sniffer(&self, client: SocketAddr, expected: Protocol) -> Sniffer {
        Sniffer { warnings: self.clone(), client, expected, seen: Vec::new(), is_done: false }
    }

    pub(super) fn warn(&self, client: SocketAddr, protocol: Protocol) {
        let was_logged = self.logged.get(protocol as usize).is_none_or(|logged| logged.swap(true, Ordering::Relaxed));
        if !was_logged {
            tracing::warn!(listener = self.listener, client = %client.ip(), "{}; logged once", protocol.advice());
        }
    }
}

impl Sniffer {
    /// Takes the next bytes, until the protocol is known.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.is_done {
            return;
        }
        self.seen.extend(bytes.iter().take(MAX_BYTES - self.seen.len()));
        match detect(&self.seen) {
            Some(protocol) if protocol != self.expected => self.warnings.warn(self.client, protocol),
            None if self.seen.len() < MAX_BYTES => return,
            Some(_) | None => {}
        }
        self.is_done = true;
    }
}

/// The protocol of these first bytes, or `None` if it is unknown or needs more bytes.
fn detect(seen: &[u8]) -> Option<Protocol> {
    let is_hello = || CLIENT_HELLO.iter().zip(seen).all(|(byte, seen)| byte.is_none_or(|byte| byte == *seen));
    if let Some((protocol, _)) = PREFACES.iter().find(|(_, preface)| seen.starts_with(preface)) {
        return Some(*protocol);
    }
    if !seen.is_empty() && is_hello() {
        return Some(Tls);
    }
    let may_become_another = PREFACES.iter().any(|(_, preface)| preface.starts_with(seen));
    // A method and a space (RFC 9112 §3).
    let method = seen.iter().position(|byte| !byte.is_ascii_uppercase());
    let is_request = method.is_some_and(|end| end > 0 && seen.get(end) == Some(&b' '));
    (is_request && !may_become_another).then_some(Http1)
}

impl Protocol {
    /// The mistake and its fix.
    const fn advice(self) -> &'static str {
        match self {
            Tls => {
                "a client uses TLS on a plain HTTP listener; use http://, or configure TLS for the public listener (tls.certificate, \
                 tls.key)"
            }
            Http2 => "a client uses HTTP/2; configure the proxy to use HTTP/1.1 for this service",
            Proxy => {
                "a client uses the PROXY protocol; turn it off in the proxy, have the proxy send X-Forwarded-For, and add the proxy \
                 to proxy.trusted"
            }
            Http1 => "a client uses plain HTTP on a TLS listener; use https://, or remove tls.certificate and tls.key",
        }
    }
}
