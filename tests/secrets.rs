//! What may serve as a secret.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zendesk_token::config::secret::{Secret, Weakness};

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, output, usual};

fn weakness(bytes: impl Into<Vec<u8>>) -> Option<Weakness> {
    Secret::new(bytes.into()).weakness()
}

#[test]
fn keys_in_documents_are_refused() {
    let der = |length: u8, rest: &[u8]| [&[0x30, length, 0x30][..], rest].concat();
    let long_der = [&[0x30, 0x82, 0x01, 0x22, 0x30, 0x0d][..], &[7; 0x120]].concat();
    let documents: [Vec<u8>; 18] = [
        b"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----".to_vec(),
        b"\n  -----BEGIN RSA PUBLIC KEY-----\nMIIBCgKCAQEAxxxxxxxxxxxx\n".to_vec(),
        b"-----BEGIN CERTIFICATE-----\nMIIC+zCCAeOgAwIBAgIUGDZxZPZ3\n".to_vec(),
        b"Bag Attributes\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n".to_vec(),
        br#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM","e":"AQAB"}"#.to_vec(),
        br#" {"keys":[{"kty":"oct","k":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps"}]} "#.to_vec(),
        der(40, &[5; 39]),
        [&[0x30, 0x81, 0xc0, 0x02][..], &[5; 0xbf]].concat(),
        long_der.clone(),
        [&long_der[..], b"\n\n"].concat(),
        long_der[..long_der.len() - 1].to_vec(),
        STANDARD.encode(&long_der).into_bytes(),
        STANDARD.encode(&long_der).into_bytes().chunks(64).collect::<Vec<_>>().join(&b'\n'),
        URL_SAFE_NO_PAD.encode(&long_der).into_bytes(),
        b"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=".to_vec(),
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqo jane@example".to_vec(),
        br#"[{"alg":"RS256","e":"10001","kid":"1","kty":"RSA","n":"c0ffee","use":"sig"}]"#.to_vec(),
        b"\xef\xbb\xbf{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nn\",\"e\":\"AQAB\"}".to_vec(),
    ];
    for document in documents {
        assert_eq!(weakness(document.clone()), Some(Weakness::KeyDocument), "{:?}", String::from_utf8_lossy(&document));
    }
}

#[test]
fn empty_short_and_placeholder_secrets_are_refused() {
    assert_eq!(weakness(""), Some(Weakness::Empty));
    assert_eq!(weakness("q7RkP2vX9mZt4LwY8sBn3HcD6fGj1K5"), Some(Weakness::Short(31)));
    for placeholder in [
        "changeme",
        "ChangeMe",
        "your-256-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        "secretsecretsecretsecretsecretsecretsec",
        "passwordpasswordpasswordpasswordpassword",
        "0123456789abcdef0123456789abcdef",
        "01234567890123456789012345678901",
        "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
        "replace-this-with-the-real-one-please",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        assert_eq!(weakness(placeholder), Some(Weakness::Placeholder), "{placeholder}");
    }
}

#[test]
fn strong_secrets_are_taken_whatever_their_bytes() {
    for secret in [
        LOGIN_SECRET,
        CHAT_SECRET,
        "q7RkP2vX9mZt4LwY8sBn3HcD6fGj1K5+",
        "0000000000000000000000000000000000000001",
        "MC4CAQAwBQYDK2VwBCIEIA0b1c2d3e4f5061728394a5b6c7",
    ] {
        assert_eq!(weakness(secret), None, "{secret}");
    }
    let binary: Vec<u8> = (0x28..0xc8).collect();
    assert_eq!(weakness(binary), None);
    assert_eq!(weakness(Secret::generate().unwrap().bytes()), None);
}

#[test]
fn what_is_weak_is_an_error_with_the_mend_or_a_warning_where_allowed() {
    let short = "q7RkP2vX9mZt4LwY8sBn";
    for (secret, told) in [(short, "is 20 bytes and needs 32"), ("changeme", "known placeholder")] {
        let refused = output(&["check"], &usual(&[("login.secret", secret)]));
        let error = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(error.contains("login.secret (ZENDESK_TOKEN_LOGIN__SECRET)") && error.contains(told), "{error}");
        assert!(error.contains("; copy ") && error.contains("allow_weak_secrets"), "{error}");

        let allowed = output(&["check"], &usual(&[("login.secret", secret), ("allow_weak_secrets", "true")]));
        let report = String::from_utf8(allowed.stdout).unwrap();
        assert_eq!(allowed.status.code(), Some(0));
        assert!(report.contains("WEAK SECRET") && report.contains(told), "{report}");
    }
    for secret in ["", "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"] {
        let refused = output(&["check"], &usual(&[("chat.secret", secret), ("allow_weak_secrets", "true")]));
        assert_eq!(refused.status.code(), Some(2));
    }
}

#[test]
fn white_space_and_quotes_around_a_secret_are_warned_of() {
    for (before, after) in [("\"", "\""), ("'", "'"), ("", " "), ("\t", "")] {
        let wrapped = format!("{before}{LOGIN_SECRET}{after}");
        let report = output(&["check"], &usual(&[("login.secret", &wrapped)]));
        let told = String::from_utf8(report.stdout).unwrap();
        assert!(told.contains("white space or quotes around it"), "{told}");
        assert!(told.ends_with("No errors, 1 warning(s).\n"), "{told}");
    }
}

#[test]
fn one_secret_in_two_places_is_refused() {
    for (key, value) in
        [("chat.secret", LOGIN_SECRET), ("login.previous_secret", LOGIN_SECRET), ("login.previous_secret", CHAT_SECRET)]
    {
        let refused = output(&["check"], &usual(&[(key, value), ("allow_weak_secrets", "true")]));
        let error = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(error.contains("is the same secret as"), "{error}");
    }
}

#[test]
fn one_trailing_newline_of_a_secret_file_is_dropped_and_nothing_else() {
    let path = std::env::temp_dir().join(format!("zendesk-token-secret-{}", std::process::id()));
    for (written, read) in [
        ("a-secret", "a-secret"),
        ("a-secret\n", "a-secret"),
        ("a-secret\r\n", "a-secret"),
        ("a-secret\n\n", "a-secret\n"),
        (" a-secret ", " a-secret "),
        ("a-secret\r", "a-secret\r"),
        ("\n", ""),
        ("YS1zZWNyZXQ=\n", "YS1zZWNyZXQ="),
    ] {
        fs::write(&path, written).unwrap();
        assert_eq!(Secret::from_file(&path).unwrap().bytes(), read.as_bytes());
    }
    fs::write(&path, vec![b'a'; 4096]).unwrap();
    assert!(Secret::from_file(&path).is_ok());
    fs::write(&path, vec![b'a'; 4097]).unwrap();
    assert!(Secret::from_file(&path).is_err());
    fs::remove_file(&path).unwrap();
    assert!(Secret::from_file(&path).is_err());
    assert!(Secret::from_file(&std::env::temp_dir()).is_err());
}
