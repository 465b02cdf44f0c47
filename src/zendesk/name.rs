//! Makes players' names readable for agents.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, VariationSelector};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_segmentation::UnicodeSegmentation;

/// Most characters of a name; the limit of other texts in Zendesk (developer.zendesk.com,
/// *widget-messaging/web/authentication*).
const MAX_CHARACTERS: usize = 255;

/// Zero-width non-joiner and joiner. Persian and Indian scripts and emoji need them between visible characters.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// The visible part of a text. White space becomes one space; invisible characters and those that change the writing direction
/// are removed; a long text is cut between two graphemes. `None` if nothing is left.
pub(super) fn readable(text: &str) -> Option<String> {
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let last = shown.chars().next_back();
        let is_kept = if c.is_whitespace() {
            last.is_some_and(|last| last != ' ')
        } else if JOINERS.contains(&c) {
            last.is_some_and(|last| is_visible(last) || is_variation(last))
                && characters.peek().copied().is_some_and(is_visible)
        } else if is_variation(c) {
            last.is_some_and(is_visible)
        } else {
            is_visible(c) && (!is_mark(c) || last.is_some_and(|last| last != ' '))
        };
        if is_kept {
            shown.push(if c.is_whitespace() { ' ' } else { c });
        }
    }
    if let Some((limit, _)) = shown.char_indices().nth(MAX_CHARACTERS) {
        let starts = shown.grapheme_indices(true).map(|(start, _)| start);
        let end = starts.take_while(|start| *start <= limit).last();
        shown.truncate(end.unwrap_or_default());
    }
    let name = shown.trim_end_matches(|last: char| last.is_whitespace() || JOINERS.contains(&last));
    shown.truncate(name.len());
    (!shown.is_empty()).then_some(shown)
}

/// Whether a character is visible. Not visible are controls, joiners, unassigned and private-use characters, Unicode's default
/// ignorables, and a few blank symbols and marks.
pub(super) fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_graphic();
    }
    let is_ignored = || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
    let is_blank = matches!(c, '\u{2800}' | '\u{1107f}' | '\u{16fe4}' | '\u{1d159}');
    let hidden = GeneralCategoryGroup::Other.union(GeneralCategoryGroup::Separator);
    !is_blank && !hidden.contains(category(c)) && !is_ignored()
}

/// Whether a character combines with the one before it, so that it is not visible alone.
fn is_mark(c: char) -> bool {
    !c.is_ascii() && GeneralCategoryGroup::Mark.contains(category(c))
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::new().get(c)
}

/// Whether a character selects the look of the one before it: a colour emoji, or a variant in a Japanese name.
fn is_variation(c: char) -> bool {
    !c.is_ascii() && CodePointSetData::new::<VariationSelector>().contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_readable_name_is_not_changed_again(
            text in prop_oneof![".{0,300}", vec(any::<char>(), 0..300).prop_map(String::from_iter)]
        ) {
            if let Some(shown) = readable(&text) {
                prop_assert!(shown.chars().count() <= 255 && !shown.contains(char::is_control) && shown.trim() == shown);
                prop_assert_eq!(readable(&shown), Some(shown));
            }
        }
    }
}
