//! Whether base64url is read to the letter, also by vector instructions, which begin at 64 letters.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zendesk_token::base64url::{decode, encode};

#[test]
fn each_byte_at_each_place_is_a_letter_or_refused() {
    let good = URL_SAFE_NO_PAD.encode([0x5a; 150]).into_bytes();
    for place in 0..good.len() {
        for byte in 0..=u8::MAX {
            let mut text = good.clone();
            text[place] = byte;
            let is_letter = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            assert_eq!(decode(&text).is_some(), is_letter, "{byte} at {place}");
            assert_eq!(decode(&text), URL_SAFE_NO_PAD.decode(&text).ok(), "{byte} at {place}");
        }
    }
}

#[test]
fn bytes_of_any_length_come_back_and_are_written_as_by_another_engine() {
    for length in 0..=300 {
        let bytes: Vec<u8> = (0..length).map(|place| u8::try_from(place * 89 % 256).unwrap()).collect();
        let mut text = "before.".to_owned();
        encode(&bytes, &mut text);
        assert_eq!(text, format!("before.{}", URL_SAFE_NO_PAD.encode(&bytes)));
        let text = text.strip_prefix("before.").unwrap();
        assert_eq!(decode(text).unwrap(), bytes);
        for odd in [format!("{text}="), format!("{text} "), format!(" {text}"), format!("{text}\n"), format!("{text}A")]
        {
            assert_eq!(decode(&odd), URL_SAFE_NO_PAD.decode(&odd).ok(), "{odd:?}");
        }
    }
}
