//! Published keys that are accepted and keys that are skipped.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::any;
use serde_json::{Value, json};
use zendesk_token::login::key_set::{KeySet, KeySetError};

use crate::login_api::fixture;
use crate::properties::check;

fn read(json: &Value) -> Result<KeySet, KeySetError> {
    KeySet::read(json.to_string().as_bytes())
}

/// The first key of the fixtures, with these members changed; null removes a member.
fn key(changes: &Value) -> Value {
    let mut key: Value = serde_json::from_str::<Value>(&fixture("first.json")).unwrap()[0].clone();
    for (name, value) in changes.as_object().unwrap() {
        key[name] = value.clone();
    }
    let members = key.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(members.collect())
}

fn is_fit(changes: &Value) -> bool {
    read(&json!([key(changes)])).is_ok()
}

#[test]
fn both_forms_give_the_same_keys_and_leave_the_same_out() {
    for name in ["first.json", "first_as_jwks.json"] {
        let keys = KeySet::read(fixture(name).as_bytes()).unwrap();
        assert_eq!(keys.counts(), (2, 8), "{name}");
        assert!(keys.find("key-a").is_some() && keys.find("key-b").is_some());
        for left_out in ["small", "for-encryption", "for-ps256", "with-private-half", "octets", "curve", "KEY-A", ""] {
            assert!(keys.find(left_out).is_none(), "{left_out}");
        }
    }
}

#[test]
fn a_set_with_one_kid_twice_is_refused_whole() {
    for name in ["kid_twice.json", "kid_twice_in_another_kind.json"] {
        assert_eq!(KeySet::read(fixture(name).as_bytes()).err(), Some(KeySetError::KidTwice), "{name}");
    }
}

#[test]
fn a_set_without_a_fit_key_is_refused() {
    assert_eq!(KeySet::read(fixture("nothing_fit.json").as_bytes()).err(), Some(KeySetError::NoUsableKey(8)));
    assert_eq!(read(&json!([])).err(), Some(KeySetError::NoUsableKey(0)));
    assert_eq!(read(&json!({"keys": []})).err(), Some(KeySetError::NoUsableKey(0)));
}

#[test]
fn what_may_be_absent_and_what_may_not() {
    assert!(is_fit(&json!({})));
    assert!(is_fit(&json!({"use": null})) && is_fit(&json!({"alg": null})));
    for needed in ["kty", "kid", "n", "e"] {
        assert!(!is_fit(&json!({needed: null})), "{needed}");
    }
    for (name, wrong) in
        [("use", "enc"), ("use", "SIG"), ("use", ""), ("alg", "RS512"), ("alg", "HS256"), ("kty", "rsa")]
    {
        assert!(!is_fit(&json!({name: wrong})), "{name} {wrong}");
    }
    for name in ["kty", "kid", "use", "alg", "n", "e"] {
        assert!(!is_fit(&json!({name: 1})), "{name} is a number");
    }
}

#[test]
fn a_modulus_has_2048_to_8192_bits_and_an_exponent_is_odd_and_small() {
    let modulus = |digits: usize, first: char| format!("{first}{}1", "0".repeat(digits - 2));
    for (text, is_right) in [
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
        assert_eq!(is_fit(&json!({"n": text})), is_right, "{text}");
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
        assert_eq!(is_fit(&json!({"e": text})), is_right, "{text}");
    }
}

#[test]
fn upper_case_digits_are_digits() {
    let modulus = key(&json!({}))["n"].as_str().unwrap().to_uppercase();
    assert!(is_fit(&json!({"n": modulus})));
}

#[test]
fn the_shape_says_how_numbers_are_written_and_never_their_looks() {
    // base64url in an array and hexadecimal in a JWKS are not valid.
    let jwks: Value = serde_json::from_str(&fixture("first_as_jwks.json")).unwrap();
    assert!(read(&json!([jwks["keys"][0]])).is_err());
    assert!(read(&json!({"keys": [key(&json!({}))]})).is_err(), "10001 is no base64url");
    // A number that is valid in both encodings gives a different key in each: tests/published_keys.rs verifies with them.
    for name in ["both_readings.json", "both_readings_as_jwks.json"] {
        assert_eq!(KeySet::read(fixture(name).as_bytes()).unwrap().counts(), (1, 0), "{name}");
    }
    let padded = URL_SAFE_NO_PAD.encode(hex::decode(key(&json!({}))["n"].as_str().unwrap()).unwrap());
    assert!(read(&json!({"keys": [key(&json!({"n": padded, "e": "AQAB"}))]})).is_ok());
    assert!(read(&json!({"keys": [key(&json!({"n": format!("{padded}=="), "e": "AQAB"}))]})).is_err());
}

#[test]
fn a_key_that_makes_no_sense_is_left_out_alone() {
    for odd in [json!({"e": 65537}), json!({"kid": 5}), json!({"use": ["sig"]}), json!({"n": ["1"], "kid": "other"})] {
        let odd = key(&changed(&odd));
        assert_eq!(read(&json!([key(&json!({})), odd])).unwrap().counts(), (1, 1), "{odd}");
    }
    for odd in [json!(null), json!("text"), json!(7), json!([])] {
        assert_eq!(read(&json!([odd, key(&json!({}))])).unwrap().counts(), (1, 1), "{odd}");
    }
}

#[test]
fn a_key_that_makes_no_sense_still_takes_its_kid() {
    let good = key(&json!({}));
    let twice = |kid: &str| format!(r#"[{good},{{"kid":"{kid}","use":"sig","use":"enc"}}]"#);
    assert_eq!(KeySet::read(twice("other").as_bytes()).unwrap().counts(), (1, 1));
    assert_eq!(KeySet::read(twice("key-a").as_bytes()).err(), Some(KeySetError::KidTwice));
    for odd in [json!({"e": 65537}), json!({"use": ["sig"]}), json!({"kty": {"a": 1}}), json!({"d": null, "n": 1})] {
        assert_eq!(read(&json!([key(&odd), good])).err(), Some(KeySetError::KidTwice), "{odd}");
    }
}

/// The changes, and another kid if they have none.
fn changed(changes: &Value) -> Value {
    let mut changes = changes.clone();
    if changes.get("kid").is_none() {
        changes["kid"] = json!("other");
    }
    changes
}

#[test]
fn what_is_no_key_set_is_refused() {
    for text in [
        "",
        " ",
        "null",
        "1",
        "\"keys\"",
        "{}",
        "[",
        "[null]",
        "[1]",
        "[[]]",
        "{\"keys\":null}",
        "{\"keys\":{}}",
        "{\"keys\":[],\"keys\":[]}",
        "[{\"kty\":\"RSA\",\"kty\":\"RSA\"}]",
        "<html></html>",
        "[]]",
        "\u{feff}[]",
    ] {
        assert!(KeySet::read(text.as_bytes()).is_err(), "{text}");
    }
    let nested = format!("[{}{}]", "[".repeat(10_000), "]".repeat(10_000));
    assert!(KeySet::read(nested.as_bytes()).is_err());
}

/// An answer of at most 100 KiB, nested in its own strings under the name that makes `serde_json::Value` parse a string as
/// JSON: each string would begin with a new depth limit.
pub fn nested_in_strings() -> String {
    let (open, close) = ("[".repeat(120), "]".repeat(120));
    let mut nested = "1".to_owned();
    loop {
        let deeper = format!("{open}{{\"$serde_json::private::RawValue\":{}}}{close}", Value::String(nested.clone()));
        if deeper.len() > 100_000 {
            return nested;
        }
        nested = deeper;
    }
}

#[test]
fn a_set_that_is_nested_in_strings_takes_no_more_stack_than_any_other() {
    let nested = nested_in_strings();
    let good = key(&json!({}));
    for text in [&nested, &format!("{{\"keys\":{nested}}}"), &format!("[{nested}]"), &format!("[{{\"n\":{nested}}}]")] {
        assert!(KeySet::read(text.as_bytes()).is_err());
    }
    for odd in [nested.clone(), format!("{{\"kid\":\"other\",\"x5c\":{nested}}}")] {
        assert!(KeySet::read(format!("[{odd},{good}]").as_bytes()).is_ok_and(|keys| keys.counts() == (1, 1)));
        assert!(KeySet::read(format!("{{\"more\":{odd},\"keys\":[]}}").as_bytes()).is_err());
    }
}

#[test]
fn no_bytes_panic() {
    check(3000, &vec(any::<u8>(), 0..200), |bytes: Vec<u8>| drop(KeySet::read(&bytes)));
    let set = fixture("first.json").into_bytes();
    check(1000, &(0..set.len(), any::<u8>()), |(index, byte)| {
        let mut changed = set.clone();
        changed[index] = byte;
        drop(KeySet::read(&changed));
    });
}
