//! Words on the media clock.

use std::sync::Mutex;

use prost::Message as _;
use voxwire_core::text_join;
use voxwire_core::timeline as core;
use voxwire_core::wire::UtteranceWords;

use super::held;
use crate::code::VoxwireError;
use crate::kinds::TimingSource;

/// A word of an utterance with its place on the media clock.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct TimedWord {
    /// The utterance.
    pub utterance_id: String,
    /// Position in the utterance, from 0.
    pub index: u32,
    /// The word, with the punctuation that belongs to it.
    pub text: String,
    /// First character in the utterance's text, Unicode code points.
    pub char_start: u32,
    /// End, exclusive, Unicode code points.
    pub char_end: u32,
    /// Onset, media clock, milliseconds.
    pub start_ms: u64,
    /// End, media clock, milliseconds.
    pub end_ms: u64,
    /// True when the end was not measured.
    pub end_estimated: bool,
    /// Where the times come from.
    pub source: TimingSource,
}

impl From<&core::TimedWord> for TimedWord {
    fn from(word: &core::TimedWord) -> Self {
        Self {
            utterance_id: word.utterance_id.clone(),
            index: word.index,
            text: word.text.clone(),
            char_start: word.char_start,
            char_end: word.char_end,
            start_ms: word.start_ms,
            end_ms: word.end_ms,
            end_estimated: word.end_estimated,
            source: word.source.into(),
        }
    }
}

impl From<TimedWord> for core::TimedWord {
    fn from(word: TimedWord) -> Self {
        Self {
            utterance_id: word.utterance_id,
            index: word.index,
            text: word.text,
            char_start: word.char_start,
            char_end: word.char_end,
            start_ms: word.start_ms,
            end_ms: word.end_ms,
            end_estimated: word.end_estimated,
            source: word.source.into(),
        }
    }
}

/// The heard prefix of one utterance.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct Heard {
    /// The utterance.
    pub utterance_id: String,
    /// How many of its words were heard, from the first.
    pub words: u64,
    /// End of the heard text, Unicode code points; 0 = nothing.
    pub char_end: u32,
    /// Position that was heard up to, media clock, milliseconds.
    pub media_ms: u64,
}

impl From<core::Heard> for Heard {
    fn from(heard: core::Heard) -> Self {
        Self {
            utterance_id: heard.utterance_id,
            words: heard.words as u64,
            char_end: heard.char_end,
            media_ms: heard.media_ms,
        }
    }
}

/// Words of the bot on the media clock; owned by one session. Times are milliseconds of the media
/// clock, positions in a text Unicode code points.
#[derive(Debug, Default, uniffi::Object)]
pub struct Timeline {
    core: Mutex<core::Timeline>,
}

#[uniffi::export]
impl Timeline {
    /// A timeline without utterances.
    #[uniffi::constructor]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the position of an utterance's first sample. The first call for it counts.
    pub fn begin(&self, utterance_id: &str, media_ms: u64) {
        held(&self.core).begin(utterance_id, media_ms);
    }

    /// Places words of any utterances. A known word stays unless `revision` is higher and it was
    /// not delivered.
    pub fn add(&self, words: Vec<TimedWord>, revision: u32) {
        held(&self.core).add(words.into_iter().map(Into::into), revision);
    }

    /// Returns the words that became due at a position of playout, each one once.
    pub fn advance(&self, media_ms: u64) -> Vec<TimedWord> {
        held(&self.core).advance(media_ms).iter().map(Into::into).collect()
    }

    /// Onset of the next word to deliver; nothing when no word is waiting.
    pub fn next_due_ms(&self) -> Option<u64> {
        held(&self.core).next_due_ms()
    }

    /// Returns the prefix whose words began before a position of playout.
    pub fn heard(&self, utterance_id: &str, media_ms: u64) -> Heard {
        held(&self.core).heard(utterance_id, media_ms).into()
    }

    /// Closes what is speaking: words with an onset at or after `media_ms` never come. Audio before
    /// `until_ms` is void. Returns the heard prefixes, oldest utterance first.
    pub fn cut(&self, media_ms: u64, until_ms: u64) -> Vec<Heard> {
        held(&self.core).cut(media_ms, until_ms).into_iter().map(Into::into).collect()
    }

    /// Closes an utterance: later words are ignored, those placed are still delivered.
    pub fn end(&self, utterance_id: &str) {
        held(&self.core).end(utterance_id);
    }

    /// How many words of an utterance were delivered or passed over.
    pub fn delivered(&self, utterance_id: &str) -> u64 {
        held(&self.core).delivered(utterance_id) as u64
    }

    /// Passes over the first words of an utterance, as far as they are known.
    pub fn skip(&self, utterance_id: &str, words: u64) {
        held(&self.core).skip(utterance_id, words as usize);
    }

    /// Returns the words of an utterance as far as known, by index, without those cut.
    pub fn words(&self, utterance_id: &str) -> Vec<TimedWord> {
        held(&self.core).words(utterance_id).iter().map(Into::into).collect()
    }

    /// Returns the text of an utterance as far as `set_text` gave it.
    pub fn text(&self, utterance_id: &str) -> String {
        held(&self.core).text(utterance_id).to_owned()
    }

    /// Puts a piece of an utterance's text at its position; a gap before it is filled with spaces.
    pub fn set_text(&self, utterance_id: &str, offset: u64, text: &str) {
        held(&self.core).set_text(utterance_id, offset as usize, text);
    }
}

/// Reads the words of a message (`UtteranceWords`, bytes). `text_so_far` is the text of the
/// utterance from earlier messages; `source` counts for a message that does not say it.
///
/// # Errors
///
/// `MALFORMED` for bytes that are no such message.
#[uniffi::export]
pub fn decode_words(
    message: &[u8],
    text_so_far: &str,
    source: TimingSource,
) -> Result<Vec<TimedWord>, VoxwireError> {
    let message = words_message(message)?;
    let words = core::decode_words(&message, text_so_far, source.into());
    Ok(words.iter().map(Into::into).collect())
}

/// Writes words of one utterance as the bytes of an `UtteranceWords`; `text` is the piece of the
/// utterance's text that holds them and begins at `text_offset`.
///
/// # Errors
///
/// `INVALID_ARGUMENT` when the words are none, or not of one utterance, source and index sequence.
#[uniffi::export]
pub fn encode_words(
    words: Vec<TimedWord>,
    text: &str,
    text_offset: u32,
    revision: u32,
) -> Result<Vec<u8>, VoxwireError> {
    let words: Vec<core::TimedWord> = words.into_iter().map(Into::into).collect();
    let message = core::encode_words(&words, text, text_offset, revision)
        .map_err(|error| VoxwireError::invalid(&error.to_string()))?;
    Ok(message.encode_to_vec())
}

/// Joins two texts with one space, or with none where the script has none.
#[uniffi::export]
#[must_use]
pub fn join_texts(before: &str, after: &str) -> String {
    text_join::join_texts(before, after)
}

/// The words of a message that came.
pub(crate) fn words_message(data: &[u8]) -> Result<UtteranceWords, VoxwireError> {
    UtteranceWords::decode(data).map_err(|_| VoxwireError::Refused {
        code: crate::code::ErrorCode::Malformed,
        reason: "these bytes are not an UtteranceWords".to_owned(),
        seq: 0,
    })
}
