//! Which bytes are accepted as a secret.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha512};
use zendesk_token::config::login::Signature;
use zendesk_token::config::secret::Secret;

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, recommended, usual};
use crate::login_tokens::{LoginToken, PROJECT};
use crate::reload::Folder;
use crate::settings::{SettingsFile, errors, load, problems, warnings, without};

fn weakness(bytes: impl Into<Vec<u8>>) -> Option<String> {
    Secret::new(bytes.into()).weakness().map(|weakness| weakness.text.to_owned())
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
fn keys_in_documents_are_refused() {
    let der = [&[0x30, 0x82, 0x01, 0x22, 0x30, 0x0d][..], &[7; 0x120]].concat();
    assert_all_are(
        "is a key",
        &[
            [&[0x30, 40, 0x30][..], &[5; 39]].concat(),
            [&[0x30, 0x81, 0xc0, 0x02][..], &[5; 0xbf]].concat(),
            der.clone(),
            [&der[..], b"\n\n"].concat(),
            der[..der.len() - 1].to_vec(),
            STANDARD.encode(&der).into_bytes().chunks(64).collect::<Vec<_>>().join(&b'\n'),
        ],
    );
    let pem = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n";
    let key_set = r#"{ "keys": [ { "kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nn", "e": "AQAB" } ] }"#;
    assert_all_are("is a key", &[hex::encode(&der), hex::encode_upper(&der), STANDARD.encode(pem)]);
    assert_all_are("is a key", &[STANDARD.encode(&der), URL_SAFE_NO_PAD.encode(&der)]);
    assert_all_are("is a key", &[format!("0x{}", hex::encode(&der)), STANDARD.encode(key_set)]);
    assert_all_are("is a key", &[URL_SAFE_NO_PAD.encode(format!(" {key_set}"))]);
    assert_all_are(
        "is a key",
        &[
            pem,
            "\n  -----BEGIN RSA PUBLIC KEY-----\nMIIBCgKCAQEAxxxxxxxxxxxx\n",
            "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n",
            "-----BEGIN%20PUBLIC%20KEY-----%0AMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A",
            "<RSAKeyValue><Modulus>0vx7agoebGcQSuuPiLJXZptN9nn</Modulus></RSAKeyValue>",
            "AAAAB3NzaC1yc2EAAAADAQABAAABAQC7vx7agoebGcQSuuPiLJXZptN9nndrQmbX",
            "-----BEGIN CERTIFICATE-----\nMIIC+zCCAeOgAwIBAgIUGDZxZPZ3\n",
            "Bag Attributes\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n",
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM","e":"AQAB"}"#,
            r#" {"keys":[{"kty":"oct","k":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps"}]} "#,
            "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqo jane@example",
            r#"[{"alg":"RS256","e":"10001","kid":"1","kty":"RSA","n":"c0ffee","use":"sig"}]"#,
            "\u{feff}{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nn\",\"e\":\"AQAB\"}",
            &key_set[..key_set.len() - 4],
            "[1, 2, 3]",
        ],
    );
}

#[test]
fn empty_short_and_placeholder_secrets_are_refused() {
    assert_all_are("is empty", &[""]);
    assert_all_are("is shorter than 32 bytes", &["q7RkP2vX9mZt4LwY8sBn3HcD6fGj1K5"]);
    assert_all_are("is one pattern repeated", &[[0; 32]]);
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
            "q7RkP2vXq7RkP2vXq7RkP2vXq7RkP2vX",
            "q7RkP2vX9mZt4LwYq7RkP2vX9mZt4LwY",
            "abcabcabcabcabcabcabcabcabcabcabca",
            "********************************",
        ],
    );
}

#[test]
fn what_others_can_read_is_not_a_secret() {
    let id = PROJECT;
    assert_all_are("is a UUID", &[id, &id.to_uppercase(), &format!("{{{id}}}"), &format!("urn:uuid:{id}")]);
    assert_all_are("is a UUID", &[format!("({id})")]);
    assert_all_are("is a UUID", &[format!("\"{id}\""), format!(" {id}\n")]);

    let number = modulus(256);
    let digits = hex::encode(&number);
    let pairs = digits.as_bytes().chunks(2).map(str::from_utf8).collect::<Result<Vec<_>, _>>().unwrap();
    assert_all_are("has the form", &[&*digits, &digits.to_uppercase(), &format!("00:{}", pairs.join(":"))]);
    assert_all_are("has the form", &[format!("Modulus={}", digits.to_uppercase()), STANDARD.encode(&number)]);
    assert_all_are("has the form", &[URL_SAFE_NO_PAD.encode(&number), format!("0x{digits}")]);
    // In base64 it begins with "0x".
    let begun = [&[0xd3, 0x1f], &number[2..]].concat();
    assert_all_are("has the form", &[STANDARD.encode(&begun), URL_SAFE_NO_PAD.encode(&begun)]);
    assert_all_are("has the form", &[hex::encode(modulus(512)), hex::encode([&[0], &*number].concat())]);
    assert_eq!(weakness(hex::encode(modulus(128))), None, "as openssl rand -hex 128 writes");

    let token = LoginToken::valid().mint();
    let spaced = URL_SAFE_NO_PAD.encode(r#" { "alg" : "HS256" }"#);
    assert_all_are("is a token", &[&*token, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."]);
    assert_all_are("is a token", &[format!("Bearer {token}"), format!("{spaced}.eyJzdWIiOiIxIn0.c2ln")]);
}

#[test]
fn a_path_or_url_is_not_a_secret() {
    assert_all_are("is a URL", &["https://login.xsolla.com/api/projects/keys", "postgres://u:p@db.example.com/login"]);
    let paths = r"/run/secrets/login_secret /run/secrets/zendesk/loginsecret /Run/Secrets/Production/LoginSecret
        ./secrets/production/login-secret.txt ../secrets/production/login-secret.txt
        ~/secrets/production/login-secret.txt ~deploy/secrets/production/login-secret.txt
        $HOME/secrets/production/login-secret.txt secrets/production/login-secret.txt
        /Run/secrets/production/login_secret_2
        C:\secrets\production\login-secret.txt \\server\secrets\production\login.txt";
    assert_all_are("is a path", &paths.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn an_unreplaced_reference_is_not_a_secret() {
    let forms = "${X} $(X) $X %X% \"${X}\" $env:X $$X #{X} %{X} {X} prefix-${X}-suffix prefix-$(X)-suffix ${X:-none} \
                 env:X secrets.X doppler:X infisical:X";
    let forms: Vec<_> = forms.split(' ').map(|form| form.replace('X', "XSOLLA_LOGIN_SECRET")).collect();
    assert_all_are("is a reference", &forms);
    assert_all_are(
        "is a reference",
        &[
            "${{ secrets.XSOLLA_LOGIN_SECRET }}",
            "{{ .Values.login.secret | b64enc }}",
            "[[ XSOLLA_LOGIN_SECRET ]]",
            "<%= ENV['XSOLLA_LOGIN_SECRET'] %>",
            "<the secret key of the login project>",
            "…",
            "...",
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
            "$(cat /run/secrets/login_secret)",
            "`cat /run/secrets/login_secret`",
            "file:/run/secrets/login_secret",
            "ssm:/production/login/secret",
            "aws:secretsmanager:login",
            "gcp:projects/acme/secrets/login",
            "keyvault:acme/login",
        ],
    );
}

#[test]
fn a_damaged_text_is_not_a_secret() {
    let secret = LOGIN_SECRET;
    assert_all_are("has an invisible", &[format!("{secret}\u{a0}"), format!("\u{200b}{secret}")]);
    assert_all_are("has an invisible", &[format!("{secret}\u{feff}"), secret.replacen('a', "a\u{200b}", 1)]);
    assert_all_are("has an invisible", &[format!("“{secret}”"), format!("‘{secret}’"), format!("«{secret}»")]);
    assert_all_are("has an invisible", &["q7RkP2vX9mZt4LwY8sBn3HcD6f…", "••••••••••••••••••••••••••••••••"]);
    // Invisible characters, and typographic forms of plain ones.
    for character in [
        '\0', '\u{1b}', '\u{7f}', '\u{85}', '´', '\u{34f}', '\u{1680}', '\u{180e}', '\u{2800}', '\u{3164}', '\u{fe0f}',
        '\u{ff02}', '７', 'Ａ',
    ] {
        let inside = secret.replacen('a', &character.to_string(), 1);
        assert_all_are("has an invisible", &[format!("{secret}{character}"), inside]);
    }
    // Text that is not UTF-8: curly quotes of Windows-1252, a no-break space of Latin-1.
    assert_all_are(
        "has an invisible",
        &[[b"\x93", secret.as_bytes(), b"\x94"].concat(), [secret.as_bytes(), b"\xa0"].concat()],
    );
    let utf16 = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let [little, big] = [u16::to_le_bytes, u16::to_be_bytes].map(|order| utf16(secret, order));
    assert_all_are("is UTF-16", &[&little, &big]);
    for text in [secret, &format!("{secret}ж€"), &format!("{secret}\r\n")] {
        let [little, big] = [u16::to_le_bytes, u16::to_be_bytes].map(|order| utf16(text, order));
        assert_all_are("is UTF-16", &[[b"\xff\xfe", &*little].concat(), [b"\xfe\xff", &*big, b"\0"].concat()]);
    }
}

#[test]
fn random_secrets_are_accepted_in_every_notation_with_any_start_and_end() {
    let starts =
        ["", "${", "$(", "{{", "op:", "arn:", "/", "./", "~/", "X:/", "{", "[", "<", "`", "projects/", "vault:"];
    for number in 0..500_u32 {
        let random: Vec<u8> =
            (0..3_u8).flat_map(|part| Sha512::digest([&number.to_le_bytes()[..], &[part]].concat())).collect();
        for length in [32, 48, 64, 128] {
            let bytes = &random[..length];
            let base64 = STANDARD.encode(bytes);
            let lines = base64.as_bytes().chunks(64).collect::<Vec<_>>().join(&b'\n');
            assert!(length == 128 || weakness(bytes).is_none(), "{bytes:?}");
            for secret in [hex::encode(bytes).into_bytes(), URL_SAFE_NO_PAD.encode(bytes).into(), base64.into(), lines]
            {
                assert_eq!(weakness(&*secret), None, "{}", String::from_utf8_lossy(&secret));
            }
        }
        let printable: String = random.iter().map(|byte| char::from(b'!' + byte % 94)).collect();
        let whole = [32, 40, 64].map(|length| printable[..length].to_owned());
        // The start alone does not make it a reference, path or document.
        let started = starts.map(|start| format!("{start}{}x", whole[0]));
        let enclosed = [("{", "}"), ("[", "]")].map(|(before, after)| format!("{before}{}{after}", whole[0]));
        for secret in whole.iter().chain(&started).chain(&enclosed) {
            assert_eq!(weakness(&**secret), None, "{secret}");
        }
    }
}

#[test]
fn odd_characters_in_or_around_a_secret_cause_a_warning() {
    let (before, after) = LOGIN_SECRET.split_at(20);
    let inside = ["é", "ß", "ж", " ", "\n"].map(|odd| format!("{before}{odd}{after}"));
    let around = [("\"", "\""), ("'", "'"), ("`", "`"), ("", " "), ("\t", "")]
        .map(|(before, after)| format!("{before}{LOGIN_SECRET}{after}"));
    for secret in inside.into_iter().chain(around) {
        let text = warnings(None, &recommended(&[("login.secret", &secret)]));
        assert!(
            text.contains("has white space, quotes or characters that no generator of secrets makes")
                && text.lines().count() == 1,
            "{secret:?}: {text}"
        );
    }
}

#[test]
fn a_secret_is_at_most_4_kib_in_every_source() {
    let long = "q7RkP2vX9mZt4LwY8sBn3HcD6fGj1K5+".repeat(129);
    let file = SettingsFile::new(&long);
    let path = file.path().to_str().unwrap();
    let in_settings = SettingsFile::new(format!("[login]\nsecret = '{long}'\n"));
    let from_file = errors(None, &without("login.secret", usual(&[("login.secret_file", path)])));
    let from_settings = errors(Some(&in_settings), &without("login.secret", usual(&[])));
    for text in [problems(&[("login.secret", &long)]), from_file, from_settings] {
        assert!(text.starts_with("login.secret") && text.lines().count() == 1, "{text}");
        assert!(text.ends_with("is larger than 4 KiB; is it the right one?"), "{text}");
    }
}

#[test]
fn a_weak_secret_is_an_error_with_the_fix_or_a_warning_where_allowed() {
    for (secret, weakness) in [
        ("q7RkP2vX9mZt4LwY8sBn", "is shorter than 32 bytes"),
        ("changeme", "known placeholder"),
        (PROJECT, "is a UUID"),
        (&*hex::encode(modulus(256)), "RSA modulus"),
        ("/run/secrets/production/login_secret", "is a path"),
    ] {
        let text = problems(&[("login.secret", secret)]);
        assert!(text.starts_with("login.secret (ZENDESK_TOKEN_LOGIN__SECRET): ") && text.contains(weakness), "{text}");
        assert!(text.contains("; ") && text.contains("allow_weak_secrets") && !text.contains(secret), "{text}");
        let text = warnings(None, &usual(&[("login.secret", secret), ("allow_weak_secrets", "true")]));
        assert!(text.contains("WEAK SECRET") && text.contains(weakness), "{text}");
    }
    let token = LoginToken::valid().mint();
    let damaged = format!("{LOGIN_SECRET}\u{200b}");
    let pem = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A";
    for secret in ["${XSOLLA_LOGIN_SECRET}", "https://login.xsolla.com/secret", &token, &damaged, pem, ""] {
        let text = problems(&[("login.secret", secret), ("allow_weak_secrets", "true")]);
        assert!(text.starts_with("login.secret (") && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn a_byte_order_mark_before_a_secret_is_dropped() {
    let with_mark = format!("\u{feff}{LOGIN_SECRET}");
    let file = SettingsFile::new(format!("{with_mark}\r\n"));
    let from_file = without("login.secret", usual(&[("login.secret_file", file.path().to_str().unwrap())]));
    for settings in [from_file, usual(&[("login.secret", &with_mark)])] {
        let config = load(None, &settings).unwrap();
        let Signature::Secret { current, .. } = &config.logins[0].signature else { panic!("RS256") };
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
fn one_secret_in_two_places_is_refused() {
    let quoted = format!("\"{LOGIN_SECRET}\" ");
    for (key, value) in [
        ("chat.secret", LOGIN_SECRET),
        ("chat.secret", &quoted),
        ("login.previous_secret", LOGIN_SECRET),
        ("login.previous_secret", CHAT_SECRET),
    ] {
        let text = problems(&[(key, value), ("allow_weak_secrets", "true")]);
        assert!(text.contains("is the same secret as"), "{text}");
    }
}

#[test]
fn only_one_trailing_newline_of_a_secret_file_is_dropped() {
    let folder = Folder::new();
    let path = folder.path("secret");
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
    assert!(Secret::from_file(&folder.path("missing")).is_err());
    assert!(Secret::from_file(&folder.path("")).is_err());
}
