//! Words of a message, and back.

use std::fmt::{self, Display, Formatter};

use crate::wire::{TimingSource, UtteranceWords, Word};

/// A word of an utterance with its place on the media clock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TimedWord {
    /// The utterance.
    pub utterance_id: String,
    /// Position in the utterance, from 0.
    pub index: u32,
    /// The word, with the punctuation that belongs to it.
    pub text: String,
    /// First character in the utterance's text, code points.
    pub char_start: u32,
    /// End, exclusive, code points.
    pub char_end: u32,
    /// Onset, media clock, milliseconds.
    pub start_ms: u64,
    /// End, media clock, milliseconds.
    pub end_ms: u64,
    /// True when the end was not measured.
    pub end_estimated: bool,
    /// Where the times come from; one that this version does not know is unspecified.
    pub source: TimingSource,
}

/// Words that cannot stand in one message: none, or not of one utterance, source and sequence of
/// indices.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MixedWords;

impl Display for MixedWords {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("words of one message share utterance and source and are consecutive")
    }
}

impl std::error::Error for MixedWords {}

/// Reads the words of a message. A span outside the text is cut to it.
///
/// `text_so_far` is the text of the utterance from earlier messages, for spans before this piece;
/// `source` what `UtteranceStarted` said, for a message that does not say it.
#[must_use]
pub fn decode_words(
    message: &UtteranceWords,
    text_so_far: &str,
    source: TimingSource,
) -> Vec<TimedWord> {
    let offset = message.text_offset as usize;
    let piece: Vec<char> = message.text.chars().collect();
    let before: Vec<char> = text_so_far.chars().collect();
    let said = match message.source() {
        TimingSource::Unspecified => source,
        said => said,
    };
    let decode = |(index, word): (u32, &Word)| {
        let start = word.char_start as usize;
        let end = word.char_end.max(word.char_start) as usize;
        let within = offset <= start && start < offset + piece.len();
        let (text, from) = if within { (&piece, offset) } else { (&before, 0) };
        TimedWord {
            utterance_id: message.utterance_id.clone(),
            index,
            text: text.iter().take(end - from).skip(start - from).collect(),
            char_start: word.char_start,
            char_end: word.char_end,
            start_ms: message.base_media_ms.saturating_add(word.start_ms.into()),
            end_ms: message.base_media_ms.saturating_add(word.end_ms.into()),
            end_estimated: word.end_estimated,
            source: said,
        }
    };
    (message.first_index..=u32::MAX).zip(&message.words).map(decode).collect()
}

/// Writes words of one utterance; their texts on the wire are slices of `text`, the piece of the
/// utterance's text that holds them and begins at `text_offset`, code points.
///
/// # Errors
///
/// [`MixedWords`] when the words are none, or not of one utterance, source and index sequence, or
/// lie so far apart that no message can say it.
pub fn encode_words(
    words: &[TimedWord],
    text: &str,
    text_offset: u32,
    revision: u32,
) -> Result<UtteranceWords, MixedWords> {
    let first = words.first().ok_or(MixedWords)?;
    let together = words.iter().zip(u64::from(first.index)..).all(|(word, index)| {
        word.utterance_id == first.utterance_id
            && u64::from(word.index) == index
            && word.source == first.source
    });
    if !together {
        return Err(MixedWords);
    }
    let base_media_ms = words.iter().map(|word| word.start_ms).min().unwrap_or(0);
    let after_base = |media_ms: u64| {
        let after_ms = media_ms.checked_sub(base_media_ms).ok_or(MixedWords)?;
        u32::try_from(after_ms).map_err(|_| MixedWords)
    };
    let encode = |word: &TimedWord| {
        Ok(Word {
            char_start: word.char_start,
            char_end: word.char_end,
            start_ms: after_base(word.start_ms)?,
            end_ms: after_base(word.end_ms)?,
            end_estimated: word.end_estimated,
        })
    };
    Ok(UtteranceWords {
        utterance_id: first.utterance_id.clone(),
        first_index: first.index,
        base_media_ms,
        text_offset,
        text: text.to_owned(),
        words: words.iter().map(encode).collect::<Result<_, _>>()?,
        revision,
        source: first.source.into(),
    })
}
