//! Finds the token in what a person pasted: a header line, a cookie, an address, the JSON of an answer.

use cookie::Cookie;
use percent_encoding::percent_decode_str;

use crate::login::json::Object;
use crate::zendesk::rules::Finding;

use super::UsageError;

/// Most layers that are taken off. A token that was logged, copied and quoted has three or four.
const MAX_LAYERS: usize = 8;

/// Names that a token has in JSON, in an address and in the body of a form, besides that of the cookie.
const NAMES: [&str; 5] = ["token", "jwt", "access_token", "id_token", "user_token"];

/// A token, and what stood around it.
pub struct Pasted {
    /// The token, as far as it was found; otherwise what was pasted.
    pub token: Vec<u8>,
    /// What was taken off, in words, from the outside in.
    pub taken_off: Vec<&'static str>,
    /// What of it the service does not read, and so refuses as an invalid token.
    pub defects: Vec<Finding>,
}

/// Something that stands around a token.
#[derive(Clone, Copy)]
enum Layer {
    ByteOrderMark,
    Utf16,
    CookieLine,
    AuthorizationLine,
    Parts,
    Name,
    Address,
    Json,
    Quotes,
    Bearer,
    Percent,
    SignedMark,
    JsonMark,
}

impl Pasted {
    /// Takes off what stands around a token. `cookie` is the name of the login cookie.
    ///
    /// # Errors
    /// Nothing was pasted, or cookies without that one.
    pub fn read(bytes: &[u8], cookie: &str) -> Result<Self, UsageError> {
        let (text, mark) = decode(bytes);
        let mut layers = Vec::from_iter(mark);
        let Some(mut text) = text else {
            return Ok(Self { token: bytes.trim_ascii().to_vec(), taken_off: Vec::new(), defects: Vec::new() });
        };
        for _ in 0..MAX_LAYERS {
            let Some((layer, inner)) = outermost(text.trim(), cookie)? else { break };
            layers.push(layer);
            text = inner;
        }
        let text = text.trim();
        if text.is_empty() {
            return Err(UsageError("no token on standard input; inspect --help shows how"));
        }
        let is_cookie = layers.iter().any(|layer| matches!(layer, Layer::CookieLine | Layer::Parts));
        Ok(Self {
            token: text.as_bytes().to_vec(),
            taken_off: layers.iter().map(|layer| layer.words()).collect(),
            defects: layers.iter().filter_map(|layer| layer.defect(is_cookie)).collect(),
        })
    }
}

impl Layer {
    const fn words(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "a byte order mark",
            Self::Utf16 => "UTF-16",
            Self::CookieLine => "the rest of a line of cookies",
            Self::AuthorizationLine => "the name of the header",
            Self::Parts => "the names of a cookie in parts",
            Self::Name => "a name and =",
            Self::Address => "the address or form around it",
            Self::Json => "the JSON around it",
            Self::Quotes => "quotes",
            Self::Bearer => "Bearer",
            Self::Percent => "percent-encoding",
            Self::SignedMark => "s: and a second signature",
            Self::JsonMark => "j:",
        }
    }

    /// What the service does not read, and so refuses in a login cookie.
    fn defect(self, is_cookie: bool) -> Option<Finding> {
        let (cause, mend) = match self {
            Self::Percent => ("the token is percent-encoded", "send it as it is: a token needs no encoding"),
            Self::SignedMark => ("the cookie is signed by Express (s:)", "set it with signed: false"),
            Self::JsonMark => ("the cookie is JSON, as Express writes it (j:)", ALONE),
            Self::Json if is_cookie => ("the cookie is JSON", ALONE),
            Self::Bearer if is_cookie => ("the cookie has Bearer before the token", ALONE),
            Self::ByteOrderMark
            | Self::Utf16
            | Self::CookieLine
            | Self::AuthorizationLine
            | Self::Parts
            | Self::Name
            | Self::Address
            | Self::Json
            | Self::Quotes
            | Self::Bearer => return None,
        };
        Some(Finding::new(cause, mend))
    }
}

const ALONE: &str = "set the token alone as the cookie's value";

/// The text by its byte order mark; nothing where it is not text.
fn decode(bytes: &[u8]) -> (Option<String>, Option<Layer>) {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
        char::decode_utf16(units).collect::<Result<String, _>>().ok()
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => (utf8(rest), Some(Layer::ByteOrderMark)),
        [0xff, 0xfe, rest @ ..] => (utf16(rest, u16::from_le_bytes), Some(Layer::Utf16)),
        [0xfe, 0xff, rest @ ..] => (utf16(rest, u16::from_be_bytes), Some(Layer::Utf16)),
        _ => (utf8(bytes), None),
    }
}

/// The outermost layer and what is inside; nothing where no layer is known.
fn outermost(text: &str, cookie: &str) -> Result<Option<(Layer, String)>, UsageError> {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.bytes().all(is_of_token) {
        return Ok(None);
    }
    if let Some(found) = header_line(text, cookie)? {
        return Ok(Some(found));
    }
    let inner = |layer, text: &str| Ok(Some((layer, text.to_owned())));
    if let Some(token) = json_member(text, cookie) {
        return Ok(Some((Layer::Json, token)));
    }
    for quote in ['"', '\'', '`'] {
        if let Some(quoted) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner(Layer::Quotes, quoted);
        }
    }
    if let Some((scheme, token)) = text.split_once(' ')
        && scheme.eq_ignore_ascii_case("Bearer")
    {
        return inner(Layer::Bearer, token);
    }
    if let Some(signed) = text.strip_prefix("s:") {
        let token = signed.rsplit_once('.').map(|(token, _)| token).filter(|token| token.contains('.'));
        return inner(Layer::SignedMark, token.unwrap_or(signed));
    }
    if let Some(json) = text.strip_prefix("j:") {
        return inner(Layer::JsonMark, json);
    }
    if let Some(token) = parameter(text, cookie) {
        return Ok(Some((Layer::Address, token)));
    }
    if text.contains(';') {
        return cookie_value(text, cookie).map(Some).ok_or(NO_COOKIE);
    }
    if let Some((name, value)) = text.split_once('=')
        // A name before it, and not padding behind a part.
        && !name.contains('.')
        && !value.is_empty()
        && !value.starts_with(['.', '='])
    {
        return inner(Layer::Name, value);
    }
    let decoded = percent_decode_str(text).decode_utf8().ok().filter(|decoded| decoded != text);
    Ok(decoded.map(|decoded| (Layer::Percent, decoded.into_owned())))
}

const NO_COOKIE: UsageError = UsageError("none of the pasted cookies has the name in login.cookie; is that right?");

/// The value of the first header that may hold a login token, be it alone or among others of a request.
///
/// # Errors
/// There are cookies, but not the one.
fn header_line(text: &str, cookie: &str) -> Result<Option<(Layer, String)>, UsageError> {
    let mut has_cookies = false;
    for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
        match name.trim().to_ascii_lowercase().as_str() {
            "authorization" => return Ok(Some((Layer::AuthorizationLine, value.to_owned()))),
            "cookie" | "set-cookie" => {
                has_cookies = true;
                if let Some(found) = cookie_value(value, cookie) {
                    return Ok(Some(found));
                }
            }
            _ => {}
        }
    }
    if has_cookies { Err(NO_COOKIE) } else { Ok(None) }
}

/// The value of the login cookie, which may stand in parts: `token.0`, `token.1`.
fn cookie_value(line: &str, cookie: &str) -> Option<(Layer, String)> {
    let cookies: Vec<Cookie<'_>> = Cookie::split_parse(line).filter_map(Result::ok).collect();
    let value = |name: &str| cookies.iter().find(|cookie| cookie.name() == name).map(Cookie::value);
    if let Some(value) = value(cookie) {
        return Some((Layer::CookieLine, value.to_owned()));
    }
    let parts: String = (0..cookies.len()).map_while(|part| value(&format!("{cookie}.{part}"))).collect();
    (!parts.is_empty()).then_some((Layer::Parts, parts))
}

/// The token of a JSON object.
fn json_member(text: &str, cookie: &str) -> Option<String> {
    let object: Object = serde_json::from_str(text).ok()?;
    names(cookie).find_map(|name| object.get(name)?.as_str().map(str::to_owned))
}

/// The token of an address, in query or fragment, or of a form.
fn parameter(text: &str, cookie: &str) -> Option<String> {
    if !text.contains(['?', '#', '&']) {
        return None;
    }
    let pairs = || text.split(['?', '#']).flat_map(|part| form_urlencoded::parse(part.as_bytes()));
    names(cookie).find_map(|name| pairs().find(|(own, _)| own == name)).map(|(_, value)| value.into_owned())
}

fn names(cookie: &str) -> impl Iterator<Item = &str> {
    [cookie].into_iter().chain(NAMES)
}
