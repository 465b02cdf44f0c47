//! Names in the log what a client speaks that its listener does not, by the first bytes of a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a client may speak to a listener of another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Tls,
    Http2,
    Proxy,
    Http1,
}

use Protocol::{Http1, Http2, Proxy, Tls};

/// How protocols begin, as far as hyper reads before it gives up (RFC 9113 §3.4; section 2 of the PROXY protocol's
/// specification, `proxy-protocol.txt`).
const OPENINGS: [(Protocol, &[u8]); 3] = [(Http2, b"PRI * HTTP/2"), (Proxy, b"PROXY "), (Proxy, b"\r\n\r\n\0")];

/// A `ClientHello` in a record of TLS (RFC 8446 §5.1): type 22, version 3.x, two bytes of length, and its own type. hyper
/// gives up at the first byte, so as many as there are have to do.
const CLIENT_HELLO: [Option<u8>; 6] = [Some(22), Some(3), None, None, None, Some(1)];

/// Most bytes that are needed to tell.
const ENOUGH: usize = 12;

/// What one listener has logged already: each protocol once.
#[derive(Clone)]
pub(super) struct Reported {
    listener: &'static str,
    protocols: Arc<[AtomicBool; 4]>,
}

/// The first bytes of a connection, as they come.
pub(super) struct Opening {
    reported: Reported,
    client: SocketAddr,
    expected: Protocol,
    seen: Vec<u8>,
    is_judged: bool,
}

impl Reported {
    /// Nothing yet.
    pub(super) fn new(listener: &'static str) -> Self {
        Self { listener, protocols: Arc::default() }
    }

    /// The opening of a connection that should speak the `expected` protocol, [`Http1`] or [`Tls`].
    pub(super) fn opening(&self, client: SocketAddr, expected: Protocol) -> Opening {
        Opening { reported: self.clone(), client, expected, seen: Vec::new(), is_judged: false }
    }

    /// Logs what this client speaks, unless a client did before.
    pub(super) fn report(&self, client: SocketAddr, spoken: Protocol) {
        let was_reported = self.protocols.get(spoken as usize).is_none_or(|told| told.swap(true, Ordering::Relaxed));
        if !was_reported {
            tracing::warn!(listener = self.listener, client = %client.ip(), "{}; logged once", spoken.advice());
        }
    }
}

impl Opening {
    /// Takes the next bytes, until there are enough to judge.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.is_judged {
            return;
        }
        self.seen.extend(bytes.iter().take(ENOUGH - self.seen.len()));
        match spoken(&self.seen) {
            Some(spoken) if spoken != self.expected => self.reported.report(self.client, spoken),
            None if self.seen.len() < ENOUGH => return,
            Some(_) | None => {}
        }
        self.is_judged = true;
    }
}

/// The protocol that begins so. None where that is not known, or not yet.
fn spoken(seen: &[u8]) -> Option<Protocol> {
    let is_hello = || CLIENT_HELLO.iter().zip(seen).all(|(byte, seen)| byte.is_none_or(|byte| byte == *seen));
    if let Some((protocol, _)) = OPENINGS.iter().find(|(_, opening)| seen.starts_with(opening)) {
        return Some(*protocol);
    }
    if !seen.is_empty() && is_hello() {
        return Some(Tls);
    }
    let may_become_another = OPENINGS.iter().any(|(_, opening)| opening.starts_with(seen));
    // A method and a blank (RFC 9112 §3).
    let method = seen.iter().position(|byte| !byte.is_ascii_uppercase());
    let is_request = method.is_some_and(|end| end > 0 && seen.get(end) == Some(&b' '));
    (is_request && !may_become_another).then_some(Http1)
}

impl Protocol {
    /// What is wrong, and the fix.
    const fn advice(self) -> &'static str {
        match self {
            Tls => {
                "a client speaks TLS to a listener of plain HTTP; have it use http://, or let the public listener speak TLS \
                 (tls.certificate, tls.key)"
            }
            Http2 => "a client speaks only HTTP/2; have the proxy speak HTTP/1.1 to this service",
            Proxy => {
                "a client speaks the PROXY protocol; switch it off in the proxy, let it name its clients in X-Forwarded-For \
                 and name it in proxy.trusted"
            }
            Http1 => {
                "a client speaks plain HTTP to a listener of TLS; have it use https://, or drop tls.certificate and tls.key"
            }
        }
    }
}
