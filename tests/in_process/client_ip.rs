//! The client's address, from the peer and from `X-Forwarded-For` of trusted proxies.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use zendesk_token::http::client_ip::client_ip;

use crate::app::App;
use crate::harness::usual;
use crate::properties::check;
use crate::settings::{SettingsFile, load, problems};

const TRUSTED: &str = "127.0.0.1,10.0.0.0/8,fd00::/8,::1";

/// The client of a request with these headers from a peer.
fn client(settings: &[(&str, &str)], peer: &str, headers: &[(&str, &str)]) -> String {
    let config = load(None, &usual(settings)).unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    client_ip(&map, peer.parse().unwrap(), &config.proxy).to_string()
}

#[test]
fn without_trusted_proxies_the_client_is_the_peer() {
    for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP"] {
        assert_eq!(client(&[], "127.0.0.1", &[(header, "192.0.2.1"), ("Forwarded", "for=192.0.2.1")]), "127.0.0.1");
    }
}

#[test]
fn x_forwarded_for_is_read_from_the_right_past_trusted_proxies_only() {
    let trusted = [("proxy.trusted", TRUSTED)];
    let from_loopback: [(&str, &[&str]); 5] = [
        ("192.0.2.1", &["192.0.2.1", "6.6.6.6, 192.0.2.1", "6.6.6.6, 192.0.2.1, 10.1.2.3"]),
        ("192.0.2.1", &["6.6.6.6,192.0.2.1,10.1.2.3,10.9.9.9", "::ffff:192.0.2.1", "192.0.2.1:51234", "\t192.0.2.1  "]),
        ("2001:db8::1", &["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443"]),
        // A value that is not an address ends the search at the last trusted one.
        ("10.1.2.3", &["10.1.2.3, 10.9.9.9", "192.0.2.1, unknown, 10.1.2.3"]),
        (
            "127.0.0.1",
            &["", "192.0.2.1,", "192.0.2.1 10.1.2.3", "192.0.2.300", "0xC0000201", "jane@example.com", "fe80::1%eth0"],
        ),
    ];
    for (expected, header) in
        from_loopback.iter().flat_map(|(ip, headers)| headers.iter().map(move |header| (ip, header)))
    {
        assert_eq!(client(&trusted, "127.0.0.1", &[("X-Forwarded-For", header)]), *expected, "{header}");
    }
    for (peer, header, expected) in [
        ("::1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("192.0.2.9", "192.0.2.1", "192.0.2.9"),
        ("11.0.0.1", "192.0.2.1, 10.0.0.1", "11.0.0.1"),
        ("127.0.0.2", "192.0.2.1", "127.0.0.2"),
    ] {
        assert_eq!(client(&trusted, peer, &[("X-Forwarded-For", header)]), expected, "{peer} {header}");
    }
    let twice =
        [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.1, 10.1.2.3"), ("Forwarded", "for=7.7.7.7")];
    assert_eq!(client(&trusted, "127.0.0.1", &twice), "192.0.2.1", "several headers are one list");
    let long = vec!["10.0.0.1"; 5000].join(", ");
    assert_eq!(client(&trusted, "127.0.0.1", &[("X-Forwarded-For", &format!("192.0.2.1, {long}"))]), "10.0.0.1");
}

#[test]
fn forwarded_headers_never_change_the_address_of_an_untrusted_client() {
    let config = load(None, &usual(&[("proxy.trusted", TRUSTED)])).unwrap();
    let byte = any::<u8>().prop_filter("no header", |byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f));
    check(3000, &(vec(byte, 0..60), any::<[u8; 4]>()), |(forged, real)| {
        let real = IpAddr::from([192, 0, real[2], real[3]]);
        let mut headers = HeaderMap::new();
        let text = [&forged[..], b", ", real.to_string().as_bytes()].concat();
        headers.append("x-forwarded-for", HeaderValue::from_bytes(&text).unwrap());
        assert_eq!(client_ip(&headers, [127, 0, 0, 1].into(), &config.proxy), real);
        headers.clear();
        headers.append("x-forwarded-for", HeaderValue::from_bytes(&forged).unwrap());
        assert_eq!(client_ip(&headers, real, &config.proxy), real, "from an address that is not trusted");
    });
}

#[test]
fn the_log_has_the_address_of_the_client_and_never_its_header() {
    let server = App::with(&[("proxy.trusted", "127.0.0.0/8")]);
    for value in ["6.6.6.6, 2001:db8::7", "jane@example.com", "eyJhbGciOiJIUzI1NiJ9"] {
        server.get("/generate/token").header("X-Forwarded-For", value).send();
    }
    let log = server.log();
    let lines = log.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let clients: Vec<_> = lines.filter_map(|line| line["client"].as_str().map(str::to_owned)).collect();
    assert_eq!(clients, ["2001:db8::7", "127.0.0.1", "127.0.0.1"]);
    assert!(!log.join("").contains("jane") && !log.join("").contains("eyJ"));
}

#[test]
fn wrong_networks_are_refused() {
    for (value, fix) in [
        ("0.0.0.0/0", "trusts every address"),
        ("::/0", "trusts every address"),
        ("::ffff:127.0.0.0/104", "IPv4-mapped IPv6 network"),
        ("::ffff:10.0.0.1", "IPv4-mapped IPv6 network"),
        ("10.0.0.0/33", "is not a network"),
        ("10.0.0", "is not a network"),
        ("localhost", "is not a network"),
        ("127.0.0.1:80", "is not a network"),
        ("10.0.0.0/8,x", "entry 2 is not a network"),
        ("", "needs texts"),
    ] {
        let problem = problems(&[("proxy.trusted", value)]);
        let is_complete = problem.starts_with("proxy.trusted (") && problem.contains(fix);
        assert!(is_complete && problem.lines().count() == 1, "{problem}");
    }
    let old = SettingsFile::new("[proxy]\nheader = \"forwarded\"\n");
    let problem = load(Some(&old), &usual(&[])).unwrap_err().to_string();
    assert!(problem.contains("is not a setting; drop it: X-Forwarded-For is what is read"), "{problem}");
}
