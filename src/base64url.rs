//! How do bytes stand in a JSON Web Token?
//!
//! As base64url without padding (RFC 7515 §2), which a reader has to be strict about: with padding or trailing bits let
//! through, one token could be written in many ways. The engine uses AVX2 or NEON where the machine has them, and is there
//! for x86-64 and ARM64 alone: without them an exchange takes a tenth more instructions.

use std::sync::LazyLock;

use base64::engine::Engine;
use base64::engine::general_purpose::NO_PAD;
use base64::engine::simd::Simd;

static ENGINE: LazyLock<Simd> = LazyLock::new(|| Simd::url_safe(NO_PAD));

/// Writes bytes behind a text.
pub fn encode(bytes: impl AsRef<[u8]>, text: &mut String) {
    ENGINE.encode_string(bytes, text);
}

/// Reads bytes; nothing where the text is written otherwise than [`encode`] would.
#[must_use]
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    let text = text.as_ref();
    // Three bytes of four letters, and room for the rest. With room of its own making the engine would ask for zeroed memory,
    // which takes longer.
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    ENGINE.decode_vec(text, &mut bytes).ok().map(|()| bytes)
}
