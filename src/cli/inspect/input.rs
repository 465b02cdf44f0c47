//! Finds the token in pasted text: a header line, a cookie, a URL, a curl command, a JSON response.

use std::borrow::Cow;

use axum::http::header::{COOKIE, HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::http::credentials;
use crate::http::error::Reason;
use crate::login::json::Object;
use crate::login::token::{Wrapping, value_of_pair};
use crate::terminal::UsageError;
use crate::zendesk::rules::Finding;

use super::fixes;

/// Layers removed at most; a token that was logged, copied and quoted has three or four.
const MAX_LAYERS: usize = 8;

/// Names that a token can have in JSON, URLs and forms, in addition to the cookie's name.
const NAMES: [&str; 5] = ["token", "jwt", "access_token", "id_token", "user_token"];

/// What was around a token, as the report names it.
type Layer = &'static str;

const COOKIE_LINE: Layer = "the rest of the cookie line";
const SPLIT_COOKIE: Layer = "the names of a split cookie (.0, .1)";
const PERCENT: Layer = "percent-encoding";
const EXPRESS_SIGNATURE: Layer = "s: and the signature of Express";
const EXPRESS_JSON: Layer = "j:";

pub(crate) struct Pasted {
    /// The token if it was found, otherwise the input.
    pub(crate) token: Vec<u8>,
    /// The removed layers, outermost first.
    pub(crate) taken_off: Vec<Layer>,
    /// Why the service refuses this cookie, even if the token in it is valid.
    pub(crate) defect: Option<Finding>,
}

impl Pasted {
    /// Removes what is around a token. `cookie` is the name of the login cookie. Fails if the input is empty, has cookies
    /// but not this one, or is invalid UTF-16.
    pub(crate) fn read(bytes: &[u8], cookie: &str) -> Result<Self, UsageError> {
        let (text, encoding) = decode(bytes)?;
        let mut taken_off = Vec::from_iter(encoding);
        let Some(mut text) = text else {
            return Ok(Self { token: bytes.trim_ascii().to_vec(), taken_off: Vec::new(), defect: None });
        };
        let mut defect = None;
        for _ in 0..MAX_LAYERS {
            let is_cookie = taken_off.iter().any(|layer| [COOKIE_LINE, SPLIT_COOKIE].contains(layer));
            let wrapping = Wrapping::of(text.trim());
            // The service refuses any other change to a cookie's value, so it stays.
            if is_cookie && defect.is_none() && wrapping.is_none() {
                break;
            }
            let (layer, inner) = match outermost(text.trim(), cookie) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(Reason::LoginCookieMissing) => return Err(NO_COOKIE),
                Err(reason) => {
                    let fix = "send one login cookie, or each of its parts once";
                    defect = Some(Finding::new(reason.to_string(), fix));
                    break;
                }
            };
            // Only the site's own code adds these, so they count even if only the cookie's value was pasted.
            if is_cookie || [PERCENT, EXPRESS_SIGNATURE, EXPRESS_JSON].contains(&layer) {
                defect = defect.or(wrapping.map(fixes::wrapped));
            }
            taken_off.push(layer);
            text = inner;
        }
        let text = text.trim();
        if text.is_empty() {
            return Err(UsageError("there is no token on standard input; inspect --help shows examples"));
        }
        Ok(Self { token: text.as_bytes().to_vec(), taken_off, defect })
    }
}

const NO_COOKIE: UsageError = UsageError("none of the pasted cookies has the name in login.cookie; check that setting");

/// Decodes UTF-8, or UTF-16 with a byte order mark or of ASCII only; `None` for other bytes.
fn decode(bytes: &[u8]) -> Result<(Option<String>, Option<Layer>), UsageError> {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
        let text = char::decode_utf16(units).collect::<Result<String, _>>();
        let text = text.map_err(|_| UsageError("the input is invalid UTF-16; save it as UTF-8"))?;
        Ok((Some(text), Some("UTF-16")))
    };
    let pairs = bytes.as_chunks::<2>().0;
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok((utf8(rest), Some("a byte order mark"))),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [_, 0, ..] if pairs.iter().all(|pair| pair.ends_with(&[0])) => utf16(bytes, u16::from_le_bytes),
        [0, _, ..] if pairs.iter().all(|pair| pair.starts_with(&[0])) => utf16(bytes, u16::from_be_bytes),
        _ => Ok((utf8(bytes), None)),
    }
}

/// The outermost layer and the text inside; an error if there are cookies, but not exactly one login cookie.
fn outermost(text: &str, cookie: &str) -> Result<Option<(Layer, String)>, Reason> {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.bytes().all(is_token_byte) {
        return Ok(None);
    }
    let visible = text.trim_matches(['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}']);
    let inner = |layer, text: &str| Ok(Some((layer, text.to_owned())));
    if visible != text {
        return inner("zero-width characters", visible);
    }
    if let Some(lines) = curl_command(text) {
        return Ok(Some(("the curl command", lines)));
    }
    let lines = header_lines(text, cookie);
    if !matches!(lines, Ok(None) | Err(Reason::LoginCookieMissing)) {
        return lines;
    }
    if let Some(token) = json_member(text, cookie) {
        return Ok(Some(("the JSON around it", token)));
    }
    if let Some(token) = text.strip_suffix([';', ',']).filter(|token| !token.contains([';', '='])) {
        return inner("the ; or , after it", token);
    }
    if let Some(quoted) = unquoted(text) {
        return inner("quotes", quoted);
    }
    if let Some((scheme, token)) = text.split_at_checked("Bearer".len())
        && scheme.eq_ignore_ascii_case("Bearer")
        && let Some(token) = token.strip_prefix([' ', ':', '+'])
    {
        return inner("Bearer", token);
    }
    if let Some(signed) = text.strip_prefix("s:") {
        let token = signed.rsplit_once('.').map(|(token, _)| token).filter(|token| token.contains('.'));
        return inner(EXPRESS_SIGNATURE, token.unwrap_or(signed));
    }
    if let Some(json) = text.strip_prefix("j:") {
        return inner(EXPRESS_JSON, json);
    }
    if let Some(token) = parameter(text, cookie) {
        return Ok(Some(("the URL or form around it", token)));
    }
    if lines.is_err() || text.contains(';') {
        return cookie_value(&text.lines().collect::<Vec<_>>(), cookie).map(Some);
    }
    if let Some(value) = value_of_pair(text) {
        return inner("the cookie's name", value);
    }
    if let Some(decoded) = percent_decode_str(text).decode_utf8().ok().filter(|decoded| decoded != text) {
        return inner(PERCENT, &decoded);
    }
    // A single quote mark, if the other one was not copied.
    let single = QUOTES.iter().find_map(|quote| text.strip_prefix(quote).or_else(|| text.strip_suffix(quote)));
    Ok(single.map(|rest| ("quotes", rest.to_owned())))
}

/// The headers of a curl command that can contain a login token, one a line.
fn curl_command(text: &str) -> Option<String> {
    if !text.starts_with("curl") && !text.starts_with('-') {
        return None;
    }
    // The Windows command prompt escapes with ^. A command that was cut off lacks its last quote.
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

/// The value of an Authorization, Cookie or Set-Cookie line. `>` and `<` come from `curl --verbose`, `$` from a shell's `$'…'`.
fn header_line(line: &str) -> Option<(Layer, &str)> {
    let (name, value) = line.trim_start_matches(['>', '<', '$', ' ']).split_once(':')?;
    match name.trim().to_ascii_lowercase().as_str() {
        "authorization" => Some(("Authorization:", value)),
        "cookie" | "set-cookie" => Some((COOKIE_LINE, value)),
        _ => None,
    }
}

/// The login cookie in the header lines, or else the value of `Authorization`, which can be a staging site's password.
fn header_lines(text: &str, cookie: &str) -> Result<Option<(Layer, String)>, Reason> {
    let (cookies, others): (Vec<_>, Vec<_>) =
        text.lines().filter_map(header_line).partition(|(layer, _)| *layer == COOKIE_LINE);
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

/// The value of the login cookie, or of its parts, as the service reads it.
fn cookie_value(lines: &[&str], cookie: &str) -> Result<(Layer, String), Reason> {
    let line = lines.join("; ");
    let headers = HeaderMap::from_iter(HeaderValue::from_bytes(line.as_bytes()).map(|value| (COOKIE, value)));
    let found = credentials::read(&headers, cookie, false)?.cookies.into_iter().next();
    let token = found.ok_or(Reason::LoginCookieMissing)?.text().to_owned();
    Ok((if line.contains(&token) { COOKIE_LINE } else { SPLIT_COOKIE }, token))
}

fn json_member(text: &str, cookie: &str) -> Option<String> {
    let object: Object = serde_json::from_str(text).ok()?;
    names(cookie).find_map(|name| object.get(name)?.as_str().map(str::to_owned))
}

const QUOTES: [&str; 4] = ["\\\"", "\"", "'", "`"];

fn unquoted(text: &str) -> Option<&str> {
    let inner = QUOTES.iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    let straight = text.trim_matches(['“', '”', '„', '‘', '’', '‚', '«', '»']);
    inner.or_else(|| (straight != text).then_some(straight))
}

/// The token in a form, or in the query or fragment of a URL, which can be part of a request line or a log line.
fn parameter(text: &str, cookie: &str) -> Option<String> {
    let words = || text.split_ascii_whitespace().filter(|word| word.contains(['?', '#', '&']));
    let parts = || words().flat_map(|word| word.split(['?', '#']));
    let pairs = || parts().flat_map(|part| form_urlencoded::parse(part.as_bytes()));
    names(cookie).find_map(|name| pairs().find(|(own, _)| own == name)).map(|(_, value)| value.into_owned())
}

fn names(cookie: &str) -> impl Iterator<Item = &str> {
    [cookie].into_iter().chain(NAMES)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::Pasted;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_input_panics(bytes in vec(any::<u8>(), 0..200), text in "[a-z0-9.%=;:?#&\"'{}\\[\\] sj_-]{0,60}") {
            drop(Pasted::read(&bytes, "token"));
            drop(Pasted::read(text.as_bytes(), "token"));
        }
    }
}
