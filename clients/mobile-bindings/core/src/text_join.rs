//! Texts that follow each other, as one text.
//!
//! Chinese and Japanese are written without spaces; every other script here has them, Korean and
//! (between phrases) Thai too (`protocol/vectors/words/join-texts.json`).

/// How many characters on either side are looked at.
const ENDS: usize = 8;

/// Joins two texts with one space, or with none where the script has none.
///
/// Nothing stands between them either when one is empty, or when white space is there already.
#[must_use]
pub fn join_texts(before: &str, after: &str) -> String {
    let spaced = before.is_empty()
        || after.is_empty()
        || before.ends_with(char::is_whitespace)
        || after.starts_with(char::is_whitespace);
    let tight = spaced
        || (meets_unspaced(before.chars().rev().take(ENDS))
            && meets_unspaced(after.chars().take(ENDS)));
    let space = if tight { "" } else { " " };
    format!("{before}{space}{after}")
}

/// Whether the first of these that is no mark is written without spaces around it.
fn meets_unspaced(mut characters: impl Iterator<Item = char>) -> bool {
    characters.find(|one| !is_mark(*one)).is_some_and(is_unspaced)
}

/// Quotation marks, a dash and an ellipsis, which every script shares.
const fn is_mark(one: char) -> bool {
    matches!(one, '\u{2018}'..='\u{201f}' | '\u{2014}' | '\u{2026}')
}

/// Characters that are written without spaces between them.
const fn is_unspaced(one: char) -> bool {
    matches!(one,
        '\u{2e80}'..='\u{2fdf}' // radicals
        | '\u{3000}'..='\u{312f}' // punctuation, Hiragana, Katakana, Bopomofo
        | '\u{31a0}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' // Han, with marks and units
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}'
        | '\u{ff00}'..='\u{ff9f}' | '\u{ffe0}'..='\u{ffee}' // full width; Katakana of half width
        | '\u{1b000}'..='\u{1b16f}' | '\u{1f200}'..='\u{1f2ff}' | '\u{20000}'..='\u{3ffff}')
}
