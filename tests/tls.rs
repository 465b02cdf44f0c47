//! The public listener over TLS: versions, reloads, and clients that never shake hands.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::client::{Answer, Request};
use crate::harness::{PATIENCE, RECOMMENDED, Server, output, skip, usual};
use crate::hostile_clients::{ASK, OTHER_PROTOCOLS};
use crate::login_tokens::LoginToken;
use crate::published_keys::until;
use crate::reload::{Folder, reloads};

/// Certificates for localhost of one authority.
struct Pki(Folder);

impl Pki {
    /// Nothing where openssl is missing.
    fn new() -> Option<Self> {
        let pki = Self(Folder::new());
        let made = pki.openssl(
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj '/CN=test authority'",
        );
        if made {
            Some(pki)
        } else {
            skip("openssl is missing: no certificates to serve with");
            None
        }
    }

    fn openssl(&self, script: &str) -> bool {
        let sh = Command::new("sh").args(["-ec", script]).current_dir(self.0.path("")).output();
        sh.unwrap().status.success()
    }

    /// Issues `name.pem` and `name.key`.
    fn issue(&self, name: &str, days: i32, kind: &str) -> (PathBuf, PathBuf) {
        let script = format!(
            "openssl req -newkey {kind} -nodes -keyout {name}.key -out {name}.csr -subj '/CN={name}'
             printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' >san
             openssl x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days {days} -extfile san"
        );
        assert!(self.openssl(&script));
        (self.0.path(&format!("{name}.pem")), self.0.path(&format!("{name}.key")))
    }

    /// A service whose certificate and key are `name`'s, copied to `live.pem` and `live.key`.
    fn serve(&self, name: &str, changes: &[(&str, &str)]) -> Server {
        self.put_live(name);
        let (pem, key) = (self.0.path("live.pem"), self.0.path("live.key"));
        let files = [("tls.certificate", pem.to_str().unwrap()), ("tls.key", key.to_str().unwrap())];
        Server::with(&[&files[..], changes].concat())
    }

    /// Swaps the live files, each in one step.
    fn put_live(&self, name: &str) {
        for kind in ["pem", "key"] {
            fs::copy(self.0.path(&format!("{name}.{kind}")), self.0.path("next")).unwrap();
            fs::rename(self.0.path("next"), self.0.path(&format!("live.{kind}"))).unwrap();
        }
    }

    fn connect(&self, address: SocketAddr, versions: &[&'static SupportedProtocolVersion]) -> Tls {
        self.connect_for(address, versions, &[])
    }

    fn connect_for(
        &self,
        address: SocketAddr,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Tls {
        let mut roots = RootCertStore::empty();
        let authority = fs::read(self.0.path("ca.pem")).unwrap();
        roots.add(CertificateDer::from_pem_slice(&authority).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name: ServerName<'static> = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(connection, crate::client::connect(address))
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Asks for a token on an open connection, which stays open.
fn ask(stream: &mut Tls) -> Answer {
    let login = LoginToken::valid().mint();
    write!(stream, "GET /generate/token HTTP/1.1\r\nHost: localhost\r\nCookie: token={login}\r\n\r\n").unwrap();
    let mut answer = vec![0; 16 * 1024];
    let read = stream.read(&mut answer).unwrap();
    Answer::read(&answer[..read])
}

/// The common name of the certificate that the other side showed.
fn shown(stream: &Tls) -> String {
    let certificate = String::from_utf8_lossy(&stream.conn.peer_certificates().unwrap()[0]).into_owned();
    ["first", "second", "expired"].into_iter().find(|name| certificate.contains(name)).unwrap_or("none").to_owned()
}

#[test]
fn both_versions_and_kinds_of_key_serve_tokens() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("first", 90, "rsa:2048");
    pki.issue("second", 90, "ec -pkeyopt ec_paramgen_curve:P-256");
    for name in ["first", "second"] {
        let server = pki.serve(name, &[]);
        for version in [&TLS12, &TLS13] {
            let mut stream = pki.connect(server.public, &[version]);
            for _ in 0..3 {
                assert_eq!(ask(&mut stream).status, 200);
            }
            assert_eq!((shown(&stream).as_str(), stream.conn.protocol_version()), (name, Some(version.version)));
        }
        // Plain HTTP gets nowhere on the public listener, and is what the admin listener speaks.
        assert_eq!(server.get("/generate/token").send().status, 0);
        assert_eq!(Request::new(server.admin, "GET", "/ready").send().status, 200);
        let health = output(&["healthcheck"], &[("admin.listen", &server.admin.to_string())]);
        assert_eq!(health.status.code(), Some(0));
        assert_eq!(server.stop().status.code(), Some(0));
    }
}

#[test]
fn a_renewed_certificate_is_shown_to_new_connections_and_old_ones_live_on() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("first", 90, "rsa:2048");
    pki.issue("second", 90, "rsa:2048");
    let server = pki.serve("first", &[]);
    let mut old = pki.connect(server.public, &[&TLS13]);
    assert_eq!(ask(&mut old).status, 200);
    pki.put_live("second");
    until("renewed", || {
        let mut new = pki.connect(server.public, &[&TLS13]);
        ask(&mut new).status == 200 && shown(&new) == "second"
    });
    assert_eq!((ask(&mut old).status, shown(&old).as_str()), (200, "first"));
    let done = reloads(&server, "done");

    // A key of another, half a file, nothing: the old pair stays.
    let key = fs::read(pki.0.path("first.key")).unwrap();
    for (number, wrong) in [key.clone(), key[..key.len() / 2].to_vec(), Vec::new()].into_iter().enumerate() {
        fs::write(pki.0.path("next"), wrong).unwrap();
        fs::rename(pki.0.path("next"), pki.0.path("live.key")).unwrap();
        until("refused", || reloads(&server, "failed") > number);
        let mut new = pki.connect(server.public, &[&TLS13]);
        assert_eq!((ask(&mut new).status, shown(&new).as_str()), (200, "second"));
    }
    pki.put_live("first");
    until("mended", || reloads(&server, "done") > done);
    let log = server.stop().log.join("\n");
    assert!(log.contains("tls.key: does not match the first certificate in tls.certificate"), "{log}");
    assert!(log.contains("tls.key: contains no unencrypted PEM private key"), "{log}");
    let key = String::from_utf8(key).unwrap();
    assert!(key.lines().skip(1).take(3).all(|line| !log.contains(line)), "nothing of the key");
}

#[test]
fn clients_that_never_shake_hands_are_let_go_and_hold_nobody_up() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("first", 90, "rsa:2048");
    let server = pki.serve("first", &[("limits.header_timeout", "500ms"), ("log.level", "debug")]);
    let started = Instant::now();
    let mut silent = server.connect();
    let mut rude = server.connect();
    rude.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = rude.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/"), "no plain answer");
    let mut good = pki.connect(server.public, &[&TLS12, &TLS13]);
    assert_eq!(ask(&mut good).status, 200);
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0, "let go");
    assert!(started.elapsed() >= Duration::from_millis(400) && started.elapsed() < PATIENCE);
    // Nor does one keep the service from stopping.
    let patient = pki.serve("first", &[("limits.header_timeout", "1h"), ("limits.drain", "1h")]);
    let _silent = patient.connect();
    until("there", || {
        let metrics = Request::new(patient.admin, "GET", "/metrics").send().body;
        metrics.contains("zendesk_token_connections_open{listener=\"public\"} 1")
    });
    patient.stop();
}

#[test]
fn what_a_client_speaks_by_mistake_instead_of_tls_is_named_once() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("first", 90, "rsa:2048");
    let server = pki.serve("first", &RECOMMENDED);
    for _ in 0..3 {
        for bytes in [ASK, OTHER_PROTOCOLS[2].0, OTHER_PROTOCOLS[3].0] {
            crate::client::send(server.public, bytes);
        }
        // A client of HTTP/2 alone: `curl --http2-prior-knowledge https://…`.
        assert!(pki.connect_for(server.public, &[&TLS13], &["h2"]).read(&mut [0; 1]).is_err());
        let mut both = pki.connect_for(server.public, &[&TLS13], &["h2", "http/1.1"]);
        assert_eq!(ask(&mut both).status, 200);
        // And what is spoken inside of it.
        let mut inner = pki.connect(server.public, &[&TLS13]);
        inner.write_all(OTHER_PROTOCOLS[1].0).unwrap();
        let _ = inner.read(&mut [0; 1]);
    }
    let log = server.stop().log;
    let warned: Vec<&String> = log.iter().filter(|line| line.contains("WARN")).collect();
    for told in ["uses plain HTTP on a TLS listener", "uses HTTP/2", "uses the PROXY protocol"] {
        let lines = warned.iter().filter(|line| line.contains(told)).count();
        assert_eq!(lines, 1, "{warned:?}");
    }
    assert_eq!(warned.len(), 3, "{warned:?}");
}

#[test]
fn its_end_is_told_in_the_metrics_and_in_time_in_the_log() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("first", 90, "rsa:2048");
    pki.issue("second", 10, "rsa:2048");
    pki.issue("expired", -1, "rsa:2048");
    for (name, days, told) in [
        ("first", 90, None),
        ("second", 10, Some("the certificate expires soon")),
        ("expired", -1, Some("the certificate has expired")),
    ] {
        let server = pki.serve(name, &[]);
        let expected = crate::login_tokens::now() + days * 86_400;
        let mut at = 0;
        until("told", || {
            let metrics = Request::new(server.admin, "GET", "/metrics").send().body;
            let line = metrics.lines().find(|line| line.starts_with("zendesk_token_certificate_expiry"));
            at = line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap());
            at > 0
        });
        assert!((expected - at).abs() < 120, "{name}: {at}, not {expected}");
        let log = server.stop().log.join("\n");
        assert_eq!(log.contains("the certificate "), told.is_some(), "{log}");
        assert!(told.is_none_or(|told| log.contains(told)), "{log}");
    }
}

#[test]
fn what_is_no_pair_is_refused_at_start_with_key_and_mend() {
    let Some(pki) = Pki::new() else { return };
    let (pem, key) = pki.issue("first", 90, "rsa:2048");
    let (_, other) = pki.issue("second", 90, "rsa:2048");
    let nonsense = pki.0.write("nonsense", "no certificate");
    let cut = pki.0.write("cut", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    for (certificate, key, told) in [
        (text(&pem), text(&other), "tls.key: does not match"),
        (text(&nonsense), text(&key), "tls.certificate: contains no PEM certificate"),
        (text(&cut), text(&key), "tls.certificate: contains a malformed certificate"),
        (text(&pem), text(&pem), "tls.key: contains no unencrypted PEM private key"),
        (text(&key), text(&key), "tls.certificate: contains no PEM certificate"),
        ("/nowhere".to_owned(), text(&key), "tls.certificate (ZENDESK_TOKEN_TLS__CERTIFICATE): names a file that"),
        (text(&pem), String::new(), "tls.key (ZENDESK_TOKEN_TLS__KEY): is empty"),
    ] {
        for command in ["check", "serve"] {
            let result = output(&[command], &usual(&[("tls.certificate", &certificate), ("tls.key", &key)]));
            let error = String::from_utf8(result.stderr).unwrap();
            assert_eq!(result.status.code(), Some(2), "{error}");
            assert!(error.starts_with(told) && error.lines().count() == 1, "{told}: {error}");
        }
    }
    let half = output(&["check"], &usual(&[("tls.certificate", &text(&pem))]));
    let error = String::from_utf8(half.stderr).unwrap();
    assert!(
        error.starts_with("tls.key (ZENDESK_TOKEN_TLS__KEY, not set): is needed, since tls.certificate ("),
        "{error}"
    );
    let good = output(&["check"], &usual(&[("tls.certificate", &text(&pem)), ("tls.key", &text(&key))]));
    assert!(String::from_utf8(good.stdout).unwrap().contains("https://127.0.0.1:"));
}
