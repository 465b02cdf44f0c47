//! Names of players, as an agent can read them.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, VariationSelector};
use icu_properties::{CodePointMapData, CodePointSetData};
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
    let mut shown = String::with_capacity(text.len());
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
            shows(letter) && (!is_mark(letter) || last.is_some_and(|last| last != ' '))
        };
        if is_kept {
            shown.push(if letter.is_whitespace() { ' ' } else { letter });
        }
    }
    if let Some((over, _)) = shown.char_indices().nth(MAX_CHARACTERS) {
        let starts = shown.grapheme_indices(true).map(|(start, _)| start);
        let end = starts.take_while(|start| *start <= over).last();
        shown.truncate(end.unwrap_or_default());
    }
    let name = shown.trim_end_matches(|last: char| last.is_whitespace() || JOINERS.contains(&last));
    shown.truncate(name.len());
    (!shown.is_empty()).then_some(shown)
}

/// Whether a character shows something. Controls, joiners, unassigned ones and those of private use don't, nor what Unicode
/// ignores by default, nor a few blanks that count as symbols or marks.
fn shows(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_graphic();
    }
    let is_ignored = || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter);
    let is_blank = matches!(letter, '\u{2800}' | '\u{1107f}' | '\u{16fe4}' | '\u{1d159}');
    let hidden = GeneralCategoryGroup::Other.union(GeneralCategoryGroup::Separator);
    !is_blank && !hidden.contains(category(letter)) && !is_ignored()
}

/// Whether a character is written onto the one before it, so that it shows nothing by itself.
fn is_mark(letter: char) -> bool {
    !letter.is_ascii() && GeneralCategoryGroup::Mark.contains(category(letter))
}

fn category(letter: char) -> GeneralCategory {
    CodePointMapData::new().get(letter)
}

/// Whether a character chooses how the one before it looks: in colour, or in the form of a Japanese name.
fn is_variation(letter: char) -> bool {
    !letter.is_ascii() && CodePointSetData::new::<VariationSelector>().contains(letter)
}
