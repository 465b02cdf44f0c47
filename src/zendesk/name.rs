//! Names of players, as an agent can read them.

use icu_properties::CodePointSetData;
use icu_properties::props::{DefaultIgnorableCodePoint, VariationSelector};
use unicode_segmentation::UnicodeSegmentation;

/// Most characters of a name, as of the other texts that Zendesk takes (developer.zendesk.com,
/// *widget-messaging/web/authentication*).
const MAX_CHARACTERS: usize = 255;

/// The zero-width non-joiner and joiner, which shape the letters around them: Persian words, Indian conjuncts, emoji families.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// What shows of a text: white space is one space, and what nobody sees or what turns the direction of writing is taken out.
/// A text that is too long is cut between two letters. Nothing where nothing is left.
#[must_use]
pub fn readable(text: &str) -> Option<String> {
    let mut shown = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = shown.chars().next_back();
        let is_kept = if letter.is_whitespace() {
            last.is_some_and(|last| last != ' ')
        } else if JOINERS.contains(&letter) {
            last.is_some_and(|last| shows(last) || is_variation(last)) && letters.peek().copied().is_some_and(shows)
        } else if is_variation(letter) {
            last.is_some_and(shows)
        } else {
            shows(letter)
        };
        if is_kept {
            shown.push(if letter.is_whitespace() { ' ' } else { letter });
        }
    }
    let mut characters = 0;
    let fitting = shown.graphemes(true).take_while(|letter| {
        characters += letter.chars().count();
        characters <= MAX_CHARACTERS
    });
    let fitting: String = fitting.collect();
    let name = fitting.trim_end_matches(|last: char| last.is_whitespace() || JOINERS.contains(&last));
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

/// Whether a character shows something by itself. Unicode ignores many by default that don't; the others are controls, and
/// blanks that count as symbols.
fn shows(letter: char) -> bool {
    let is_ignored = || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter);
    let is_blank = || matches!(letter, '\u{2800}' | '\u{fff9}'..='\u{fffb}' | '\u{1d159}');
    letter.is_ascii_graphic() || !(letter.is_whitespace() || letter.is_control() || is_blank() || is_ignored())
}

/// Whether a character chooses how the one before it looks: in colour, or in the form of a Japanese name.
fn is_variation(letter: char) -> bool {
    CodePointSetData::new::<VariationSelector>().contains(letter)
}
