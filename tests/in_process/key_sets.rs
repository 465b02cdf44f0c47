//! Reads key sets: which keys are used and which are skipped.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zendesk_token::login::key_set::{KeySet, KeySetError};

use crate::hostile_json::nested;
use crate::inspect_issued::changed;
use crate::login_api::fixture;

fn read(json: &Value) -> Result<KeySet, KeySetError> {
    KeySet::read(json.to_string().as_bytes())
}

/// The first key of the fixtures with these members changed.
fn key(changes: &Value) -> Value {
    changed(&serde_json::from_str::<Value>(&fixture("first.json")).unwrap()[0], changes)
}

fn is_usable(changes: &Value) -> bool {
    read(&json!([key(changes)])).is_ok()
}

#[test]
fn both_forms_give_the_same_keys_and_skip_the_same() {
    for name in ["first.json", "first_as_jwks.json"] {
        let keys = KeySet::read(fixture(name).as_bytes()).unwrap();
        assert_eq!(keys.counts(), (2, 8), "{name}");
        assert!(keys.find(Some("key-a")).is_some() && keys.find(Some("key-b")).is_some());
        for skipped in ["small", "for-encryption", "for-ps256", "with-private-half", "octets", "curve", "KEY-A", ""] {
            assert!(keys.find(Some(skipped)).is_none(), "{skipped}");
        }
    }
}

#[test]
fn a_set_without_a_usable_key_or_with_a_repeated_kid_is_refused() {
    for (text, error) in [
        (fixture("kid_twice.json"), KeySetError::KidTwice),
        (fixture("kid_twice_in_another_kind.json"), KeySetError::KidTwice),
        (fixture("nothing_fit.json"), KeySetError::NoUsableKey(8)),
        ("[]".to_owned(), KeySetError::NoUsableKey(0)),
        (r#"{"keys":[]}"#.to_owned(), KeySetError::NoUsableKey(0)),
    ] {
        assert_eq!(KeySet::read(text.as_bytes()).err(), Some(error), "{text}");
    }
}

#[test]
fn use_and_alg_are_optional_and_other_members_are_needed() {
    assert!(is_usable(&json!({})));
    assert!(is_usable(&json!({"use": null})) && is_usable(&json!({"alg": null})));
    for needed in ["kty", "kid", "n", "e"] {
        assert!(!is_usable(&json!({needed: null})), "{needed}");
    }
    for (name, wrong) in
        [("use", "enc"), ("use", "SIG"), ("use", ""), ("alg", "RS512"), ("alg", "HS256"), ("kty", "rsa")]
    {
        assert!(!is_usable(&json!({name: wrong})), "{name} {wrong}");
    }
    for name in ["kty", "kid", "use", "alg", "n", "e"] {
        assert!(!is_usable(&json!({name: 1})), "{name} is a number");
    }
}

#[test]
fn a_modulus_has_2048_to_8192_bits_and_an_exponent_is_odd_and_small() {
    let modulus = |digits: usize, first: char| format!("{first}{}1", "0".repeat(digits - 2));
    for (text, is_right) in [
        (key(&json!({}))["n"].as_str().unwrap().to_uppercase(), true),
        (modulus(512, '8'), true),
        (modulus(512, '7'), false),
        (format!("0{}", modulus(512, '7')), false),
        (format!("0{}", modulus(512, '8')), true),
        (format!("{:0>600}", modulus(512, '8')), true),
        (modulus(511, 'f'), false),
        (modulus(513, '1'), true),
        (modulus(2048, 'f'), true),
        (modulus(2049, '1'), false),
        (modulus(512, '8').replace("01", "02"), false),
        (modulus(512, 'g'), false),
        (format!("0x{}", modulus(512, '8')), false),
        (format!("{} ", modulus(512, '8')), false),
        (String::new(), false),
    ] {
        assert_eq!(is_usable(&json!({"n": text})), is_right, "{text}");
    }
    for (text, is_right) in [
        ("10001", true),
        ("010001", true),
        ("3", true),
        ("ffffffff", true),
        ("100000001", false),
        ("10000", false),
        ("1", false),
        ("0", false),
        ("", false),
        ("AQAB", false),
        ("-3", false),
    ] {
        assert_eq!(is_usable(&json!({"e": text})), is_right, "{text}");
    }
}

#[test]
fn the_modulus_gives_the_encoding_of_its_key_in_either_form_of_set() {
    let hexadecimal = key(&json!({}));
    let modulus = URL_SAFE_NO_PAD.encode(hex::decode(hexadecimal["n"].as_str().unwrap()).unwrap());
    let base64 = key(&json!({"n": modulus, "e": "AQAB", "kid": "other"}));
    assert_eq!(read(&json!([hexadecimal, base64])).unwrap().counts(), (2, 0));
    assert_eq!(read(&json!({"keys": [hexadecimal, base64]})).unwrap().counts(), (2, 0));
    assert!(KeySet::read_jwks(json!({"keys": [hexadecimal]}).to_string().as_bytes()).is_err(), "not Xsolla's");
    for odd in [json!({"n": format!("{modulus}=="), "e": "AQAB"}), json!({"n": modulus}), json!({"e": "AQAB"})] {
        assert!(read(&json!([key(&odd)])).is_err(), "{odd}");
    }
}

#[test]
fn an_invalid_key_does_not_affect_the_others() {
    for odd in [json!({"e": 65537}), json!({"kid": 5}), json!({"use": ["sig"]}), json!({"n": ["1"]})] {
        let odd = changed(&key(&json!({"kid": "other"})), &odd);
        assert_eq!(read(&json!([key(&json!({})), odd])).unwrap().counts(), (1, 1), "{odd}");
    }
    for odd in [json!(null), json!("text"), json!(7), json!([])] {
        assert_eq!(read(&json!([odd, key(&json!({}))])).unwrap().counts(), (1, 1), "{odd}");
    }
}

#[test]
fn an_invalid_key_still_uses_its_kid() {
    let good = key(&json!({}));
    let with_invalid = |kid: &str| format!(r#"[{good},{{"kid":"{kid}","use":"sig","use":"enc"}}]"#);
    assert_eq!(KeySet::read(with_invalid("other").as_bytes()).unwrap().counts(), (1, 1));
    assert_eq!(KeySet::read(with_invalid("key-a").as_bytes()).err(), Some(KeySetError::KidTwice));
    for odd in [json!({"e": 65537}), json!({"use": ["sig"]}), json!({"kty": {"a": 1}}), json!({"d": null, "n": 1})] {
        assert_eq!(read(&json!([key(&odd), good])).err(), Some(KeySetError::KidTwice), "{odd}");
    }
}

#[test]
fn what_is_not_a_key_set_is_refused() {
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let texts =
        r#" null 1 "keys" {} [ [null] [1] [[]] []] {"keys":null} {"keys":{}} {"keys":[],"keys":[]} <html></html>"#;
    for text in texts.split(' ').chain([r#"[{"kty":"RSA","kty":"RSA"}]"#, " ", "\u{feff}[]", &nested]) {
        assert!(KeySet::read(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_set_nested_in_strings_does_not_overflow_the_stack() {
    let nested = nested(100_000);
    let good = key(&json!({}));
    for text in [&nested, &format!("{{\"keys\":{nested}}}"), &format!("[{nested}]"), &format!("[{{\"n\":{nested}}}]")] {
        assert!(KeySet::read(text.as_bytes()).is_err());
    }
    for odd in [nested.clone(), format!("{{\"kid\":\"other\",\"x5c\":{nested}}}")] {
        assert!(KeySet::read(format!("[{odd},{good}]").as_bytes()).is_ok_and(|keys| keys.counts() == (1, 1)));
        assert!(KeySet::read(format!("{{\"more\":{odd},\"keys\":[]}}").as_bytes()).is_err());
    }
}
