//! What the pages on loopback have in common: their address and their random path.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::zendesk::signing_key::{SignError, random_id};

use super::{bind, listen};

/// Binds the requested address, or else this port, or a free one if that is in use. Another address than of loopback is refused.
pub(crate) fn bind_loopback(
    requested: Option<SocketAddr>,
    port: u16,
    refusal: impl Into<anyhow::Error>,
) -> anyhow::Result<TcpListener> {
    if let Some(address) = requested {
        return if address.ip().is_loopback() { listen(address, "--listen") } else { Err(refusal.into()) };
    }
    match bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?),
        bound => Ok(bound?),
    }
}

/// The path of a page, which other users of this machine do not know; it starts and ends with `/`.
pub(crate) fn random_path() -> Result<String, SignError> {
    Ok(format!("/{}/", random_id()?))
}
