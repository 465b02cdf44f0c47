//! `healthcheck`: asks the admin listener of the running service whether it is ready.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};

use crate::config::reader::Reader;
use crate::config::{environment, load_section};

/// Time limit of the whole check; the image's HEALTHCHECK allows 4 s.
const LIMIT: Duration = Duration::from_secs(3);

/// Requests `/ready` from the admin listener. Wrong settings are an ordinary failure, with exit status 1: orchestrators
/// expect 0 or 1.
pub(crate) fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let started = Instant::now();
    let listen = listen(file)?;
    ensure!(listen.port() != 0, "admin.listen has port 0, so the port is unknown; set a port");
    let address = reachable(listen);
    let status = ask(address, started).map_err(|error| {
        anyhow!("admin.listen: no answer from {address} ({error}); is the service running with these settings?")
    })?;
    if status.starts_with("HTTP/1.") && status.contains(" 200 ") {
        Ok(())
    } else {
        bail!("the service at {address} is not ready: {status}");
    }
}

/// The address in `admin.listen`. Loads it in a thread, since a pipe or a lost network drive can block forever.
fn listen(file: Option<&Path>) -> anyhow::Result<SocketAddr> {
    let (sender, receiver) = mpsc::channel();
    let file = file.map(Path::to_path_buf);
    let key = "admin.listen";
    thread::spawn(move || {
        sender.send(load_section(Reader::merge(file.as_deref(), &environment()), key, |reader| reader.address(key)))
    });
    let listen = receiver.recv_timeout(LIMIT).context("the settings file could not be read within 3 s")?;
    listen.map_err(|error| anyhow!("{error}"))
}

/// The address to connect to: loopback for a listener on all addresses.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    listen
}

/// Sends one HTTP/1.0 request, after which the server closes the connection; returns the status line.
fn ask(address: SocketAddr, started: Instant) -> anyhow::Result<String> {
    let left = || LIMIT.checked_sub(started.elapsed()).filter(|left| !left.is_zero()).context("no answer within 3 s");
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut chunk = [0; 256];
    while !answer.contains(&b'\n') && answer.len() < 4096 {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut chunk)? {
            0 => break,
            bytes => answer.extend(chunk.iter().take(bytes)),
        }
    }
    let end = answer.iter().position(|byte| *byte == b'\n').context("the answer is not HTTP")?;
    let line = answer.get(..end).unwrap_or_default();
    Ok(String::from_utf8_lossy(line).trim().to_owned())
}
