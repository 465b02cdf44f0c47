//! Which bytes are accepted as a secret.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha512};
use zendesk_token::config::login::Signature;
use zendesk_token::config::secret::Secret;

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, output, recommended, usual};
use crate::login_tokens::{LoginToken, PROJECT};
use crate::settings::{SettingsFile, load, problems};

fn weakness(bytes: impl Into<Vec<u8>>) -> Option<String> {
    Secret::new(bytes.into()).weakness().map(|weakness| weakness.text)
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
    assert_all_are("is a key", &documents);
}

#[test]
fn empty_short_and_placeholder_secrets_are_refused() {
    assert_all_are("is empty", &[""]);
    assert_all_are("is 31 bytes and needs 32", &["q7RkP2vX9mZt4LwY8sBn3HcD6fGj1K5"]);
    assert_all_are(
        "is a known placeholder",
        &[
            "changeme",
            "ChangeMe",
            "your-256-bit-secret",
            "a-string-secret-at-least-256-bits-long",
            "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
            "your-super-secret-jwt-token-with-at-least-32-characters-long",
            "replace-this-with-the-real-one-please",
        ],
    );
    assert_all_are(
        "is one pattern repeated",
        &[
            "secretsecretsecretsecretsecretsecretsec",
            "passwordpasswordpasswordpasswordpassword",
            "0123456789abcdef0123456789abcdef",
            "01234567890123456789012345678901",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ],
    );
}

/// An RSA modulus with this many bytes: an odd number with the highest bit set.
fn modulus(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| u8::try_from((index * 167 + 0xb1) % 251).unwrap() | 0x81).collect()
}

fn assert_all_are(kind: &str, values: &[impl AsRef<[u8]>]) {
    for value in values {
        let value = value.as_ref();
        let text = weakness(value).unwrap_or_default();
        assert!(text.starts_with(kind), "{}: {text}", String::from_utf8_lossy(value));
    }
}

#[test]
fn what_others_can_read_is_not_a_secret() {
    let id = PROJECT;
    assert_all_are("is a UUID", &[id, &id.to_uppercase(), &format!("{{{id}}}"), &format!("urn:uuid:{id}")]);
    assert_all_are("is a UUID", &[format!("({id})"), format!("\"{id}\""), format!(" {id}\n")]);

    let number = modulus(256);
    let digits = hex::encode(&number);
    let pairs = digits.as_bytes().chunks(2).map(str::from_utf8).collect::<Result<Vec<_>, _>>().unwrap();
    assert_all_are("has the form", &[&*digits, &digits.to_uppercase(), &format!("00:{}", pairs.join(":"))]);
    assert_all_are("has the form", &[format!("Modulus={}", digits.to_uppercase()), STANDARD.encode(&number)]);
    assert_all_are("has the form", &[URL_SAFE_NO_PAD.encode(&number), format!("0x{digits}")]);
    assert_all_are("has the form", &[hex::encode(modulus(512)), hex::encode([&[0], &*number].concat())]);
    assert_eq!(weakness(hex::encode(modulus(128))), None, "as openssl rand -hex 128 writes");

    let der = [&[0x30, 0x82, 0x01, 0x22, 0x30, 0x0d][..], &[7; 0x120]].concat();
    let pem = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n";
    assert_all_are("is a key", &[hex::encode(&der), hex::encode_upper(&der), STANDARD.encode(pem)]);
    assert_all_are("is a key", &[format!("0x{}", hex::encode(&der))]);
    let key_set = r#"{ "keys": [ { "kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nn", "e": "AQAB" } ] }"#;
    assert_all_are("is a key", &[STANDARD.encode(key_set), URL_SAFE_NO_PAD.encode(format!(" {key_set}"))]);
    assert_all_are("is a key", &[&key_set[..key_set.len() - 4], "[1, 2, 3]"]);

    let token = LoginToken::valid().mint();
    let spaced = URL_SAFE_NO_PAD.encode(r#" { "alg" : "HS256" }"#);
    assert_all_are("is a token", &[&*token, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."]);
    assert_all_are("is a token", &[format!("Bearer {token}"), format!("{spaced}.eyJzdWIiOiIxIn0.c2ln")]);
}

#[test]
fn the_place_of_a_secret_is_not_a_secret() {
    assert_all_are("is a URL", &["https://login.xsolla.com/api/projects/keys", "postgres://u:p@db.example.com/login"]);
    assert_all_are(
        "is a path",
        &[
            "/run/secrets/login_secret",
            "/run/secrets/zendesk/loginsecret",
            "./secrets/production/login-secret.txt",
            "../secrets/production/login-secret.txt",
            "~/secrets/production/login-secret.txt",
            "~deploy/secrets/production/login-secret.txt",
            "$HOME/secrets/production/login-secret.txt",
            "secrets/production/login-secret.txt",
            "/Run/Secrets/Production/LoginSecret",
            "/Run/secrets/production/login_secret_2",
            "C:\\secrets\\production\\login-secret.txt",
            "\\\\server\\secrets\\production\\login.txt",
        ],
    );
}

#[test]
fn a_reference_that_nothing_has_replaced_is_not_a_secret() {
    assert_all_are(
        "is a reference",
        &[
            "${XSOLLA_LOGIN_SECRET}",
            "$(XSOLLA_LOGIN_SECRET)",
            "$XSOLLA_LOGIN_SECRET",
            "%XSOLLA_LOGIN_SECRET%",
            "\"${XSOLLA_LOGIN_SECRET}\"",
            "${{ secrets.XSOLLA_LOGIN_SECRET }}",
            "{{ .Values.login.secret | b64enc }}",
            "<the secret key of the login project>",
            "vault:secret/data/production/login#secret",
            "Vault:secret/data/production/login#secret",
            "op://production/xsolla-login/secret-key",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:login",
            "projects/acme/secrets/login/versions/latest",
            "@Microsoft.KeyVault(SecretUri=https://acme.vault.azure.net/secrets/login)",
            "ENC[AES256_GCM,data:Zm9v,iv:YmFy,tag:YmF6,type:str]",
            "$ANSIBLE_VAULT;1.1;AES256",
            "!vault | the encrypted text follows below",
            "ref+awssecrets:login/production/secret",
            "secretref:xsolla-login-secret-key",
            "$env:XSOLLA_LOGIN_SECRET",
            "$$XSOLLA_LOGIN_SECRET",
            "#{XSOLLA_LOGIN_SECRET}",
            "%{XSOLLA_LOGIN_SECRET}",
            "{XSOLLA_LOGIN_SECRET}",
            "[[ XSOLLA_LOGIN_SECRET ]]",
            "prefix-${XSOLLA_LOGIN_SECRET}-suffix",
            "prefix-$(XSOLLA_LOGIN_SECRET)-suffix",
            "${XSOLLA_LOGIN_SECRET:-none}",
            "$(cat /run/secrets/login_secret)",
            "`cat /run/secrets/login_secret`",
            "<%= ENV['XSOLLA_LOGIN_SECRET'] %>",
            "env:XSOLLA_LOGIN_SECRET",
            "file:/run/secrets/login_secret",
            "secrets.XSOLLA_LOGIN_SECRET",
            "ssm:/production/login/secret",
            "aws:secretsmanager:login",
            "gcp:projects/acme/secrets/login",
            "keyvault:acme/login",
            "doppler:XSOLLA_LOGIN_SECRET",
            "infisical:XSOLLA_LOGIN_SECRET",
        ],
    );
}

#[test]
fn a_damaged_or_repeated_text_is_not_a_secret() {
    let secret = LOGIN_SECRET;
    assert_all_are("has an invisible", &[format!("{secret}\u{a0}"), format!("\u{200b}{secret}")]);
    assert_all_are("has an invisible", &[format!("{secret}\u{feff}"), secret.replacen('a', "a\u{200b}", 1)]);
    assert_all_are("has an invisible", &[format!("“{secret}”"), format!("‘{secret}’"), format!("«{secret}»")]);
    assert_all_are("has an invisible", &["q7RkP2vX9mZt4LwY8sBn3HcD6f…", "••••••••••••••••••••••••••••••••"]);
    assert_all_are(
        "is one pattern repeated",
        &[
            "q7RkP2vXq7RkP2vXq7RkP2vXq7RkP2vX",
            "q7RkP2vX9mZt4LwYq7RkP2vX9mZt4LwY",
            "abcabcabcabcabcabcabcabcabcabcabca",
            "********************************",
        ],
    );
    // Invisible characters, and typographic forms of plain ones.
    for c in [
        '\0', '\u{1b}', '\u{7f}', '\u{85}', '´', '\u{34f}', '\u{1680}', '\u{180e}', '\u{2800}', '\u{3164}', '\u{fe0f}',
        '\u{ff02}', '７', 'Ａ',
    ] {
        assert_all_are("has an invisible", &[format!("{secret}{c}"), secret.replacen('a', &c.to_string(), 1)]);
    }
    assert_all_are("is one pattern repeated", &[[0; 32]]);
    // Text that is not UTF-8: curly quotes of Windows-1252, a no-break space of Latin-1.
    assert_all_are(
        "has an invisible",
        &[[b"\x93", secret.as_bytes(), b"\x94"].concat(), [secret.as_bytes(), b"\xa0"].concat()],
    );
    let utf16_of = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let utf16 = |order| utf16_of(secret, order);
    let foreign = format!("{secret}ж€");
    assert_all_are(
        "is UTF-16",
        &[
            [b"\xff\xfe", &*utf16_of(&foreign, u16::to_le_bytes)].concat(),
            [b"\xfe\xff", &*utf16_of(&foreign, u16::to_be_bytes)].concat(),
        ],
    );
    let [little, big] = [utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)];
    assert_all_are("is UTF-16", &[&little, &big, &[b"\xff\xfe", &*little].concat()]);
    assert_all_are("is UTF-16", &[[b"\xff\xfe", &*little, b"\r\0\n\0"].concat(), [b"\xfe\xff", &*big, b"\0"].concat()]);
}

#[test]
fn generated_secrets_are_accepted_in_every_usual_notation() {
    for number in 0..500_u32 {
        let bytes = Sha512::digest(number.to_le_bytes());
        for length in [32, 48, 64] {
            let bytes = &bytes[..length];
            for secret in [
                bytes.to_vec(),
                hex::encode(bytes).into_bytes(),
                STANDARD.encode(bytes).into_bytes(),
                URL_SAFE_NO_PAD.encode(bytes).into_bytes(),
            ] {
                assert_eq!(weakness(secret.clone()), None, "{}", String::from_utf8_lossy(&secret));
            }
        }
    }
}

#[test]
fn a_random_secret_is_accepted_with_any_start_and_end() {
    let starts =
        ["", "${", "$(", "{{", "op:", "arn:", "/", "./", "~/", "X:/", "{", "[", "<", "`", "projects/", "vault:"];
    for number in 0..500_u32 {
        let random: Vec<u8> =
            (0..3_u8).flat_map(|part| Sha512::digest([&number.to_le_bytes()[..], &[part]].concat())).collect();
        let printable: String = random.iter().map(|byte| char::from(b'!' + byte % 94)).collect();
        let whole = [32, 40, 64].map(|length| printable[..length].to_owned());
        // The start alone does not make it a reference, path or document.
        let begun = starts.map(|start| format!("{start}{}x", whole[0]));
        let enclosed = [("{", "}"), ("[", "]")].map(|(before, after)| format!("{before}{}{after}", whole[0]));
        for secret in whole.iter().chain(&begun).chain(&enclosed) {
            assert_eq!(weakness(&**secret), None, "{secret}");
        }
        let bytes = &random[..128];
        let base64 = STANDARD.encode(bytes);
        let lines = base64.as_bytes().chunks(64).collect::<Vec<_>>().join(&b'\n');
        for secret in [hex::encode(bytes).into_bytes(), base64.into_bytes(), lines] {
            assert_eq!(weakness(secret.clone()), None, "{}", String::from_utf8_lossy(&secret));
        }
    }
}

#[test]
fn characters_that_no_generator_makes_are_warned_of() {
    let (before, after) = LOGIN_SECRET.split_at(20);
    for odd in ["é", "ß", "ж", " ", "\n"] {
        let report = output(&["check"], &recommended(&[("login.secret", &format!("{before}{odd}{after}"))]));
        let text = String::from_utf8(report.stdout).unwrap();
        assert!(text.contains("has characters that no generator of secrets makes; copy it again"), "{odd:?}: {text}");
        assert!(text.ends_with("No errors, 1 warning(s).\n"), "{text}");
    }
}

#[test]
fn a_secret_is_at_most_4_kib_in_every_source() {
    let long = "q7RkP2vX9mZt4LwY8sBn3HcD6fGj1K5+".repeat(129);
    let file = SettingsFile::new(&long);
    let path = file.path().to_str().unwrap();
    let in_settings = SettingsFile::new(format!("[login]\nsecret = '{long}'\n"));
    let mut without = usual(&[]);
    without.retain(|(key, _)| *key != "login.secret");
    let from_file = load(None, &[&*without, &[("login.secret_file", path)]].concat()).unwrap_err().to_string();
    let from_settings = load(Some(&in_settings), &without).unwrap_err().to_string();
    for text in [problems(&[("login.secret", &long)]), from_file, from_settings] {
        assert!(text.starts_with("login.secret") && text.lines().count() == 1, "{text}");
        assert!(text.ends_with("is larger than 4 KiB; is it a secret?"), "{text}");
    }
}

#[test]
fn only_weak_secrets_that_may_be_real_are_allowed_with_a_warning() {
    let path = "/run/secrets/production/login_secret";
    for (secret, error) in [(PROJECT, "is a UUID"), (&*hex::encode(modulus(256)), "RSA modulus"), (path, "is a path")] {
        let text = problems(&[("login.secret", secret)]);
        assert!(text.starts_with("login.secret (ZENDESK_TOKEN_LOGIN__SECRET): ") && text.contains(error), "{text}");
        assert!(text.contains("allow_weak_secrets") && !text.contains(secret), "{text}");
        let config = load(None, &usual(&[("login.secret", secret), ("allow_weak_secrets", "true")])).unwrap();
        assert!(config.warnings.iter().any(|warning| warning.what.contains("WEAK SECRET")), "{:?}", config.warnings);
    }
    let token = LoginToken::valid().mint();
    let damaged = format!("{LOGIN_SECRET}\u{200b}");
    for secret in ["${XSOLLA_LOGIN_SECRET}", "https://login.xsolla.com/secret", &token, &damaged] {
        let text = problems(&[("login.secret", secret), ("allow_weak_secrets", "true")]);
        assert!(text.starts_with("login.secret (") && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn a_byte_order_mark_before_a_secret_is_dropped() {
    let with_mark = format!("\u{feff}{LOGIN_SECRET}");
    let file = SettingsFile::new(format!("{with_mark}\r\n"));
    let mut settings = usual(&[("login.secret_file", file.path().to_str().unwrap())]);
    settings.retain(|(key, _)| *key != "login.secret");
    for settings in [settings, usual(&[("login.secret", &with_mark)])] {
        let Signature::Secret { current, .. } = load(None, &settings).unwrap().login.signature else { panic!("RS256") };
        assert_eq!(current.bytes(), LOGIN_SECRET.as_bytes());
    }
}

#[test]
fn strong_secrets_are_accepted_with_any_bytes() {
    for secret in [
        LOGIN_SECRET,
        CHAT_SECRET,
        "q7RkP2vX9mZt4LwY8sBn3HcD6fGj1K5+",
        "0000000000000000000000000000000000000001",
        "MC4CAQAwBQYDK2VwBCIEIA0b1c2d3e4f5061728394a5b6c7",
        "/0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAF=",
        "correct horse battery staple, über alles",
    ] {
        assert_eq!(weakness(secret), None, "{secret}");
    }
    let binary: Vec<u8> = (0x28..0xc8).collect();
    assert_eq!(weakness(binary), None);
    assert_eq!(weakness(Secret::generate().unwrap().bytes()), None);
}

#[test]
fn a_weak_secret_is_an_error_with_the_fix_or_a_warning_where_allowed() {
    let short = "q7RkP2vX9mZt4LwY8sBn";
    for (secret, text) in [(short, "is 20 bytes and needs 32"), ("changeme", "known placeholder")] {
        let refused = output(&["check"], &usual(&[("login.secret", secret)]));
        let error = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(error.contains("login.secret (ZENDESK_TOKEN_LOGIN__SECRET)") && error.contains(text), "{error}");
        assert!(error.contains("; copy ") && error.contains("allow_weak_secrets"), "{error}");

        let allowed = output(&["check"], &usual(&[("login.secret", secret), ("allow_weak_secrets", "true")]));
        let report = String::from_utf8(allowed.stdout).unwrap();
        assert_eq!(allowed.status.code(), Some(0));
        assert!(report.contains("WEAK SECRET") && report.contains(text), "{report}");
    }
    for secret in ["", "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"] {
        let refused = output(&["check"], &usual(&[("chat.secret", secret), ("allow_weak_secrets", "true")]));
        assert_eq!(refused.status.code(), Some(2));
    }
}

#[test]
fn white_space_and_quotes_around_a_secret_are_warned_of() {
    for (before, after) in [("\"", "\""), ("'", "'"), ("`", "`"), ("", " "), ("\t", "")] {
        let wrapped = format!("{before}{LOGIN_SECRET}{after}");
        let report = output(&["check"], &recommended(&[("login.secret", &wrapped)]));
        let text = String::from_utf8(report.stdout).unwrap();
        assert!(text.contains("white space or quotes around it"), "{text}");
        assert!(text.ends_with("No errors, 1 warning(s).\n"), "{text}");
    }
}

#[test]
fn one_secret_in_two_places_is_refused() {
    let quoted = format!("\"{LOGIN_SECRET}\" ");
    for (key, value) in [
        ("chat.secret", LOGIN_SECRET),
        ("chat.secret", &quoted),
        ("login.previous_secret", LOGIN_SECRET),
        ("login.previous_secret", CHAT_SECRET),
    ] {
        let refused = output(&["check"], &usual(&[(key, value), ("allow_weak_secrets", "true")]));
        let error = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(error.contains("is the same secret as"), "{error}");
    }
}

#[test]
fn only_one_trailing_newline_of_a_secret_file_is_dropped() {
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
        ("\u{feff}a-secret\r\n", "a-secret"),
        ("\u{feff}\u{feff}a-secret", "\u{feff}a-secret"),
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
