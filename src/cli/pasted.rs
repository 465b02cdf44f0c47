//! Finds the token in what a person pasted: a header line, a cookie, an address, the JSON of an answer.

use std::borrow::Cow;

use axum::http::header::{COOKIE, HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::http::credentials;
use crate::http::error::Reason;
use crate::login::json::Object;
use crate::login::token::{Wrapping, value_of_pair};
use crate::zendesk::rules::Finding;

use super::mends;
use crate::terminal::UsageError;

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
    /// Why the service refuses what was pasted as an invalid token, whatever is inside.
    pub defect: Option<Finding>,
}

/// Something that stands around a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    ByteOrderMark,
    Utf16,
    ZeroWidth,
    CurlCommand,
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
    Ending,
}

impl Pasted {
    /// Takes off what stands around a token. `cookie` is the name of the login cookie.
    ///
    /// # Errors
    /// Nothing was pasted, cookies without that one, or UTF-16 that is not valid.
    pub fn read(bytes: &[u8], cookie: &str) -> Result<Self, UsageError> {
        let (text, mark) = decode(bytes)?;
        let mut layers = Vec::from_iter(mark);
        let Some(mut text) = text else {
            return Ok(Self { token: bytes.trim_ascii().to_vec(), taken_off: Vec::new(), defect: None });
        };
        let mut defect = None;
        for _ in 0..MAX_LAYERS {
            let is_cookie = layers.iter().any(|layer| matches!(layer, Layer::CookieLine | Layer::Parts));
            let wrapping = Wrapping::of(text.trim());
            // Whatever else is around the value of a cookie is the service's to judge.
            if is_cookie && defect.is_none() && wrapping.is_none() {
                break;
            }
            let (layer, inner) = match outermost(text.trim(), cookie) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(Reason::LoginCookieMissing) => return Err(NO_COOKIE),
                Err(reason) => {
                    defect = Some(Finding::new(reason.to_string(), "give one login cookie, or all of its parts once"));
                    break;
                }
            };
            // These are left by what sets a cookie, also where the value was pasted alone.
            let is_of_cookie = matches!(layer, Layer::Percent | Layer::SignedMark | Layer::JsonMark);
            if is_cookie || is_of_cookie {
                defect = defect.or(wrapping.map(mends::wrapped));
            }
            layers.push(layer);
            text = inner;
        }
        let text = text.trim();
        if text.is_empty() {
            return Err(UsageError("no token on standard input; inspect --help shows how"));
        }
        let taken_off = layers.iter().map(|layer| layer.words()).collect();
        Ok(Self { token: text.as_bytes().to_vec(), taken_off, defect })
    }
}

impl Layer {
    const fn words(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "a byte order mark",
            Self::Utf16 => "UTF-16",
            Self::ZeroWidth => "zero-width characters",
            Self::CurlCommand => "the curl command",
            Self::CookieLine => "the other cookies of the line",
            Self::AuthorizationLine => "Authorization:",
            Self::Parts => "the names of a split cookie (.0, .1)",
            Self::Name => "the cookie's name",
            Self::Address => "the address or form around it",
            Self::Json => "the JSON around it",
            Self::Quotes => "quotes",
            Self::Bearer => "Bearer",
            Self::Percent => "percent-encoding",
            Self::SignedMark => "s: and a second signature",
            Self::JsonMark => "j:",
            Self::Ending => "the ; or , after it",
        }
    }
}

const NO_COOKIE: UsageError = UsageError("none of the pasted cookies has the name in login.cookie; is that right?");

/// The text by its byte order mark, or by the zeros of ASCII in UTF-16; nothing where it is not text.
fn decode(bytes: &[u8]) -> Result<(Option<String>, Option<Layer>), UsageError> {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
        let text = char::decode_utf16(units).collect::<Result<String, _>>();
        let text = text.map_err(|_| UsageError("the input is UTF-16, but not valid; save it as UTF-8"))?;
        Ok((Some(text), Some(Layer::Utf16)))
    };
    let pairs = bytes.as_chunks::<2>().0;
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok((utf8(rest), Some(Layer::ByteOrderMark))),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [_, 0, ..] if pairs.iter().all(|pair| pair.ends_with(&[0])) => utf16(bytes, u16::from_le_bytes),
        [0, _, ..] if pairs.iter().all(|pair| pair.starts_with(&[0])) => utf16(bytes, u16::from_be_bytes),
        _ => Ok((utf8(bytes), None)),
    }
}

/// The outermost layer and what is inside; nothing where no layer is known.
///
/// # Errors
/// There are cookies, but not one login cookie.
fn outermost(text: &str, cookie: &str) -> Result<Option<(Layer, String)>, Reason> {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.bytes().all(is_of_token) {
        return Ok(None);
    }
    let visible = text.trim_matches(['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}']);
    let inner = |layer, text: &str| Ok(Some((layer, text.to_owned())));
    if visible != text {
        return inner(Layer::ZeroWidth, visible);
    }
    if let Some(lines) = curl_command(text) {
        return Ok(Some((Layer::CurlCommand, lines)));
    }
    let lines = header_lines(text, cookie);
    if !matches!(lines, Ok(None) | Err(Reason::LoginCookieMissing)) {
        return lines;
    }
    if let Some(token) = json_member(text, cookie) {
        return Ok(Some((Layer::Json, token)));
    }
    if let Some(token) = text.strip_suffix([';', ',']).filter(|token| !token.contains([';', '='])) {
        return inner(Layer::Ending, token);
    }
    if let Some(quoted) = unquoted(text) {
        return inner(Layer::Quotes, quoted);
    }
    if let Some((scheme, token)) = text.split_at_checked("Bearer".len())
        && scheme.eq_ignore_ascii_case("Bearer")
        && let Some(token) = token.strip_prefix([' ', ':', '+'])
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
    if lines.is_err() || text.contains(';') {
        return cookie_value(&text.lines().collect::<Vec<_>>(), cookie).map(Some);
    }
    if let Some(value) = value_of_pair(text) {
        return inner(Layer::Name, value);
    }
    if let Some(decoded) = percent_decode_str(text).decode_utf8().ok().filter(|decoded| decoded != text) {
        return inner(Layer::Percent, &decoded);
    }
    // One of a pair, when the other was not copied.
    let single = QUOTES.iter().find_map(|quote| text.strip_prefix(quote).or_else(|| text.strip_suffix(quote)));
    Ok(single.map(|rest| (Layer::Quotes, rest.to_owned())))
}

/// The header lines of a curl command, as browsers copy it and as people type it, that may hold a login token.
fn curl_command(text: &str) -> Option<String> {
    if !text.starts_with("curl") && !text.starts_with('-') {
        return None;
    }
    // The Windows command prompt escapes with ^. Of a command that was cut off, the last quote is missing.
    let text = text.replace('^', "");
    let arguments = ["", "'", "\""].iter().find_map(|quote| shlex::split(&format!("{text}{quote}")))?;
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    let lines: Vec<Cow<'_, str>> = pairs
        .filter_map(|(option, value)| match option.as_str() {
            "-H" | "--header" => header_line(value).map(|_| Cow::Borrowed(value.as_str())),
            "-b" | "--cookie" => Some(format!("Cookie: {}", value.trim_start_matches('$')).into()),
            _ => None,
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Whether a line is a header that may hold a login token: which one, and its value. curl marks the lines that it sends and
/// receives, and a shell's `$'…'` leaves its mark.
fn header_line(line: &str) -> Option<(Layer, &str)> {
    let (name, value) = line.trim_start_matches(['>', '<', '$', ' ']).split_once(':')?;
    match name.trim().to_ascii_lowercase().as_str() {
        "authorization" => Some((Layer::AuthorizationLine, value)),
        "cookie" | "set-cookie" => Some((Layer::CookieLine, value)),
        _ => None,
    }
}

/// The login cookie of all header lines, or else the value of `Authorization`, which may be a staging site's.
///
/// # Errors
/// There are cookies, but not one login cookie.
fn header_lines(text: &str, cookie: &str) -> Result<Option<(Layer, String)>, Reason> {
    let (cookies, others): (Vec<_>, Vec<_>) =
        text.lines().filter_map(header_line).partition(|(layer, _)| *layer == Layer::CookieLine);
    let authorization = others.first().map(|(layer, value)| (*layer, (*value).to_owned()));
    if cookies.is_empty() {
        return Ok(authorization);
    }
    let values: Vec<&str> = cookies.into_iter().map(|(_, value)| value.trim()).collect();
    match (cookie_value(&values, cookie), authorization) {
        (Err(Reason::LoginCookieMissing), Some(authorization)) => Ok(Some(authorization)),
        (found, _) => found.map(Some),
    }
}

/// The value of the login cookie, which may stand in parts, as the service reads it.
///
/// # Errors
/// There is none, or parts of it are missing or there twice.
fn cookie_value(lines: &[&str], cookie: &str) -> Result<(Layer, String), Reason> {
    let line = lines.join("; ");
    let headers = HeaderMap::from_iter(HeaderValue::from_bytes(line.as_bytes()).map(|value| (COOKIE, value)));
    let found = credentials::read(&headers, cookie, false)?.cookies.into_iter().next();
    let token = found.ok_or(Reason::LoginCookieMissing)?.text().to_owned();
    Ok((if line.contains(&token) { Layer::CookieLine } else { Layer::Parts }, token))
}

/// The token of a JSON object.
fn json_member(text: &str, cookie: &str) -> Option<String> {
    let object: Object = serde_json::from_str(text).ok()?;
    names(cookie).find_map(|name| object.get(name)?.as_str().map(str::to_owned))
}

const QUOTES: [&str; 4] = ["\\\"", "\"", "'", "`"];

/// What is inside a pair of quotes.
fn unquoted(text: &str) -> Option<&str> {
    let inner = QUOTES.iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    let straight = text.trim_matches(['“', '”', '„', '‘', '’', '‚', '«', '»']);
    inner.or_else(|| (straight != text).then_some(straight))
}

/// The token of an address, in query or fragment, or of a form; in a request line or a log there are words around it.
fn parameter(text: &str, cookie: &str) -> Option<String> {
    let words = || text.split_ascii_whitespace().filter(|word| word.contains(['?', '#', '&']));
    let parts = || words().flat_map(|word| word.split(['?', '#']));
    let pairs = || parts().flat_map(|part| form_urlencoded::parse(part.as_bytes()));
    names(cookie).find_map(|name| pairs().find(|(own, _)| own == name)).map(|(_, value)| value.into_owned())
}

fn names(cookie: &str) -> impl Iterator<Item = &str> {
    [cookie].into_iter().chain(NAMES)
}
