//! The public listener over TLS: versions, reloads, and clients without a handshake.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::client::{Answer, Request, connect, send};
use crate::commands::run;
use crate::harness::{RECOMMENDED, Server, skip, usual, variable};
use crate::hostile_clients::{ASK, OTHER_PROTOCOLS, warnings};
use crate::login_tokens::{LoginToken, now};
use crate::published_keys::until;
use crate::reload::{Folder, reloads};

/// Certificates for localhost, and their CA in `ca.pem`.
pub struct Pki(Folder);

impl Pki {
    /// With the certificate `first`; nothing if openssl is missing.
    pub fn new() -> Option<Self> {
        let pki = Self(Folder::new());
        let ca = "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj '/CN=test CA'";
        if !pki.openssl(ca) {
            skip("openssl is missing: no certificates to serve with");
            return None;
        }
        pki.issue("first", 90, "rsa:2048");
        Some(pki)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    fn openssl(&self, script: &str) -> bool {
        let sh = Command::new("sh").args(["-ec", script]).current_dir(self.path("")).output();
        sh.unwrap().status.success()
    }

    /// Issues `name.pem` and `name.key`.
    fn issue(&self, name: &str, days: i32, kind: &str) {
        let script = format!(
            "openssl req -newkey {kind} -nodes -keyout {name}.key -out {name}.csr -subj '/CN={name}'
             printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' >san
             openssl x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days {days} -extfile san"
        );
        assert!(self.openssl(&script));
    }

    /// A service whose certificate and key are copied from `name` to `live.pem` and `live.key`.
    fn serve(&self, name: &str, changes: &[(&str, &str)]) -> Server {
        self.put_live(name);
        let (pem, key) = (self.path("live.pem"), self.path("live.key"));
        let files = [("tls.certificate", pem.to_str().unwrap()), ("tls.key", key.to_str().unwrap())];
        Server::with(&[&files[..], changes].concat())
    }

    fn put_live(&self, name: &str) {
        for kind in ["pem", "key"] {
            self.replace(&format!("live.{kind}"), &fs::read(self.path(&format!("{name}.{kind}"))).unwrap());
        }
    }

    /// Replaces a file atomically.
    fn replace(&self, name: &str, content: &[u8]) {
        fs::write(self.path("next"), content).unwrap();
        fs::set_permissions(self.path("next"), Permissions::from_mode(0o600)).unwrap();
        fs::rename(self.path("next"), self.path(name)).unwrap();
    }

    fn connect(&self, address: SocketAddr, version: &'static SupportedProtocolVersion, protocols: &[&str]) -> Tls {
        let mut roots = RootCertStore::empty();
        let ca = fs::read(self.path("ca.pem")).unwrap();
        roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name: ServerName<'static> = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(connection, connect(address))
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// The status of a request on an open connection, which stays open, and the common name of the server's certificate.
fn ask(stream: &mut Tls) -> (u16, &'static str) {
    let login = LoginToken::valid().mint();
    write!(stream, "GET /generate/token HTTP/1.1\r\nHost: localhost\r\nCookie: token={login}\r\n\r\n").unwrap();
    let mut answer = vec![0; 16 * 1024];
    let length = stream.read(&mut answer).unwrap();
    let certificate = String::from_utf8_lossy(&stream.conn.peer_certificates().unwrap()[0]).into_owned();
    let name = ["first", "second"].into_iter().find(|name| certificate.contains(name));
    (Answer::read(&answer[..length]).status, name.unwrap())
}

fn metrics(server: &Server) -> String {
    Request::new(server.admin, "GET", "/metrics").send().body
}

#[test]
fn both_versions_and_kinds_of_key_serve_tokens() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("second", 90, "ec -pkeyopt ec_paramgen_curve:P-256");
    for name in ["first", "second"] {
        let server = pki.serve(name, &[]);
        for version in [&TLS12, &TLS13] {
            let mut stream = pki.connect(server.public, version, &[]);
            for _ in 0..3 {
                assert_eq!(ask(&mut stream), (200, name));
            }
            assert_eq!(stream.conn.protocol_version(), Some(version.version));
        }
        // Plain HTTP works only on the admin listener.
        assert_eq!(server.get("/generate/token").send().status, 0);
        assert_eq!(Request::new(server.admin, "GET", "/ready").send().status, 200);
        assert_eq!(run(&["healthcheck"], &[("admin.listen", &server.admin.to_string())]).status, Some(0));
        assert_eq!(server.stop().status.code(), Some(0));
    }
}

#[test]
fn new_connections_get_a_renewed_certificate_and_old_ones_stay() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("second", 90, "rsa:2048");
    let server = pki.serve("first", &[]);
    let ask_anew = || ask(&mut pki.connect(server.public, &TLS13, &[]));
    let mut old = pki.connect(server.public, &TLS13, &[]);
    assert_eq!(ask(&mut old), (200, "first"));
    pki.put_live("second");
    until("renewed", || ask_anew() == (200, "second"));
    assert_eq!(ask(&mut old), (200, "first"));
    let done = reloads(&server, "done");

    // Another key, half a file, nothing: the old pair stays.
    let key = fs::read(pki.path("first.key")).unwrap();
    for (number, wrong) in [&key[..], &key[..key.len() / 2], &[]].into_iter().enumerate() {
        pki.replace("live.key", wrong);
        until("refused", || reloads(&server, "failed") > number);
        assert_eq!(ask_anew(), (200, "second"));
    }
    pki.put_live("first");
    until("reloaded", || reloads(&server, "done") > done);
    let log = server.stop().log.join("\n");
    assert!(
        log.contains("tls.key (ZENDESK_TOKEN_TLS__KEY): does not match the first certificate in tls.certificate"),
        "{log}"
    );
    assert!(log.contains("tls.key (ZENDESK_TOKEN_TLS__KEY): contains no unencrypted PEM private key"), "{log}");
    let key = String::from_utf8(key).unwrap();
    assert!(key.lines().skip(1).take(3).all(|line| !log.contains(line)), "nothing of the key");
}

#[test]
fn clients_without_a_handshake_are_cut_off_and_delay_neither_others_nor_the_stop() {
    let Some(pki) = Pki::new() else { return };
    let server = pki.serve("first", &[("limits.header_timeout", "500ms"), ("log.level", "debug")]);
    let started = Instant::now();
    let mut silent = server.connect();
    assert_eq!(send(server.public, ASK).status, 0, "no plain answer");
    assert_eq!(ask(&mut pki.connect(server.public, &TLS12, &[])).0, 200);
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
    assert!(started.elapsed() >= Duration::from_millis(400));
    let patient = pki.serve("first", &[("limits.header_timeout", "1h"), ("limits.drain", "1h")]);
    let _silent = patient.connect();
    until("connected", || metrics(&patient).contains("zendesk_token_connections_open{listener=\"public\"} 1"));
    patient.stop();
}

#[test]
fn another_protocol_instead_of_tls_is_warned_of_once() {
    let Some(pki) = Pki::new() else { return };
    let server = pki.serve("first", &RECOMMENDED);
    for _ in 0..3 {
        for bytes in [ASK, OTHER_PROTOCOLS[2].0, OTHER_PROTOCOLS[3].0] {
            send(server.public, bytes);
        }
        // A client of HTTP/2 alone: `curl --http2-prior-knowledge https://…`.
        assert!(pki.connect(server.public, &TLS13, &["h2"]).read(&mut [0; 1]).is_err());
        assert_eq!(ask(&mut pki.connect(server.public, &TLS13, &["h2", "http/1.1"])).0, 200);
        // HTTP/2 inside of TLS.
        let mut inner = pki.connect(server.public, &TLS13, &[]);
        inner.write_all(OTHER_PROTOCOLS[1].0).unwrap();
        let _ = inner.read(&mut [0; 1]);
    }
    let log = server.stop().log;
    let warned = warnings(&log);
    assert_eq!(warned.len(), 3, "{warned:?}");
    for warning in ["uses plain HTTP on a TLS listener", "uses HTTP/2", "uses the PROXY protocol"] {
        assert!(warned.iter().any(|line| line.contains(warning)), "{warning}: {warned:?}");
    }
}

#[test]
fn the_expiry_of_the_certificate_is_in_the_metrics_and_warned_of_in_the_log() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("second", 10, "rsa:2048");
    pki.issue("expired", -1, "rsa:2048");
    for (name, days, warning) in [
        ("first", 90, None),
        ("second", 10, Some("the certificate expires soon")),
        ("expired", -1, Some("the certificate has expired")),
    ] {
        let server = pki.serve(name, &[]);
        let expected = now() + days * 86_400;
        let mut at = 0;
        until("measured", || {
            let metrics = metrics(&server);
            let line = metrics.lines().find(|line| line.starts_with("zendesk_token_certificate_expiry"));
            at = line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap());
            at > 0
        });
        assert!((expected - at).abs() < 120, "{name}: {at}, not {expected}");
        let log = server.stop().log.join("\n");
        assert!(log.contains(warning.unwrap_or("")), "{log}");
        assert_eq!(log.contains("the certificate "), warning.is_some(), "{log}");
    }
}

#[test]
fn an_unusable_certificate_or_key_is_refused_at_start_with_its_setting() {
    let Some(pki) = Pki::new() else { return };
    pki.issue("second", 90, "rsa:2048");
    fs::write(pki.path("nonsense"), "no certificate").unwrap();
    fs::write(pki.path("cut"), "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").unwrap();
    let path = |name: &str| pki.path(name).to_str().unwrap().to_owned();
    let (pem, key) = (path("first.pem"), path("first.key"));
    pki.issue("short", 90, "rsa:1024");
    for (certificate, key, setting, problem) in [
        (&pem, &path("second.key"), "tls.key", "does not match"),
        (&path("nonsense"), &key, "tls.certificate", "contains no PEM certificate"),
        (&path("cut"), &key, "tls.certificate", "contains a malformed certificate"),
        (&pem, &pem, "tls.key", "contains no unencrypted PEM private key"),
        (&key, &key, "tls.certificate", "contains no PEM certificate"),
        (&path("short.pem"), &path("short.key"), "tls.key", "can't be used with tls.certificate"),
        (&"/nowhere".to_owned(), &key, "tls.certificate", "names a file that"),
        (&pem, &String::new(), "tls.key", "needs text"),
    ] {
        for command in ["check", "serve"] {
            let result = run(&[command], &usual(&[("tls.certificate", certificate), ("tls.key", key)]));
            assert_eq!(result.status, Some(2), "{}", result.err);
            let problem = format!("{setting} ({}): {problem}", variable(setting));
            assert!(result.err.starts_with(&problem) && result.err.lines().count() == 1, "{problem}: {}", result.err);
        }
    }
    let half = run(&["check"], &usual(&[("tls.certificate", &pem)])).err;
    let problem = "tls.certificate (ZENDESK_TOKEN_TLS__CERTIFICATE): has no effect without tls.key";
    assert!(half.starts_with(problem), "{half}");
    let good = run(&["check"], &usual(&[("tls.certificate", &pem), ("tls.key", &key)])).out;
    assert!(good.contains("https://127.0.0.1:"), "{good}");
}
