//! Words on the media clock.

use super::memory::{Bytes, Kept, Object, Text, array, free, give, handle, on, put};
use crate::code::{ErrorCode, VoxwireError};
use crate::kinds::TimingSource;
use crate::objects;

/// Words of the bot on the media clock; owned by one session. Times are milliseconds of the media
/// clock, positions in a text Unicode code points.
#[derive(Debug)]
pub struct Timeline(Object<objects::Timeline>);

handle!(Timeline of objects::Timeline);

/// A word of an utterance with its place on the media clock.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TimedWord {
    /// The utterance.
    pub utterance_id: Text,
    /// Position in the utterance, from 0.
    pub index: u32,
    /// The word, with the punctuation that belongs to it.
    pub text: Text,
    /// First character in the utterance's text.
    pub char_start: u32,
    /// End, exclusive.
    pub char_end: u32,
    /// Onset.
    pub start_ms: u64,
    /// End.
    pub end_ms: u64,
    /// True when the end was not measured.
    pub end_estimated: bool,
    /// Where the times come from (`VoxwireTimingSource`).
    pub source: i32,
}

/// Several words, in order.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TimedWordList {
    /// The first one.
    pub items: *const TimedWord,
    /// How many there are.
    pub len: usize,
}

/// The heard prefix of one utterance.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// The utterance.
    pub utterance_id: Text,
    /// How many of its words were heard, from the first.
    pub words: u64,
    /// End of the heard text; 0 = nothing.
    pub char_end: u32,
    /// Position that was heard up to.
    pub media_ms: u64,
}

/// Several heard prefixes, in order.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeardList {
    /// The first one.
    pub items: *const Heard,
    /// How many there are.
    pub len: usize,
}

fn shown_words(kept: &mut Kept, words: Vec<objects::TimedWord>) -> TimedWordList {
    let words = words.into_iter().map(|word| TimedWord {
        utterance_id: kept.text(word.utterance_id),
        index: word.index,
        text: kept.text(word.text),
        char_start: word.char_start,
        char_end: word.char_end,
        start_ms: word.start_ms,
        end_ms: word.end_ms,
        end_estimated: word.end_estimated,
        source: word.source as i32,
    });
    let words = words.collect();
    let (items, len) = kept.list(words);
    TimedWordList { items, len }
}

fn shown_heard(kept: &mut Kept, heard: objects::Heard) -> Heard {
    Heard {
        utterance_id: kept.text(heard.utterance_id),
        words: heard.words,
        char_end: heard.char_end,
        media_ms: heard.media_ms,
    }
}

fn source_of(number: i32) -> Result<TimingSource, VoxwireError> {
    let unknown = || VoxwireError::invalid("there is no such source of times");
    TimingSource::numbered(number).ok_or_else(unknown)
}

fn words_of(words: TimedWordList) -> Result<Vec<objects::TimedWord>, VoxwireError> {
    let read = |word: &TimedWord| {
        Ok(objects::TimedWord {
            utterance_id: word.utterance_id.owned()?,
            index: word.index,
            text: word.text.owned()?,
            char_start: word.char_start,
            char_end: word.char_end,
            start_ms: word.start_ms,
            end_ms: word.end_ms,
            end_estimated: word.end_estimated,
            source: source_of(word.source)?,
        })
    };
    array(words.items, words.len).iter().map(read).collect()
}

/// A timeline without utterances.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_new(out: *mut *mut Timeline) -> ErrorCode {
    give(out, || Ok(Timeline(Object::new(objects::Timeline::new()))))
}

/// Frees a timeline, and what it handed out.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_free(timeline: *mut Timeline) {
    free(timeline);
}

/// Notes the position of an utterance's first sample. The first call for it counts.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_begin(
    timeline: *mut Timeline,
    utterance_id: Text,
    media_ms: u64,
) -> ErrorCode {
    on(timeline, |inner, _| {
        inner.begin(utterance_id.read()?, media_ms);
        Ok(())
    })
}

/// Places words of any utterances. A known word stays unless `revision` is higher and it was not
/// delivered.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_add(
    timeline: *mut Timeline,
    words: TimedWordList,
    revision: u32,
) -> ErrorCode {
    on(timeline, |inner, _| {
        inner.add(words_of(words)?, revision);
        Ok(())
    })
}

/// Gives the words that became due at a position of playout, each one once.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_advance(
    timeline: *mut Timeline,
    media_ms: u64,
    out: *mut TimedWordList,
) -> ErrorCode {
    on(timeline, |inner, kept| {
        put(out, shown_words(kept, inner.advance(media_ms)));
        Ok(())
    })
}

/// Gives the onset of the next word to deliver; `UINT64_MAX` = no word is waiting.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_next_due_ms(
    timeline: *mut Timeline,
    out: *mut u64,
) -> ErrorCode {
    on(timeline, |inner, _| {
        put(out, inner.next_due_ms().unwrap_or(u64::MAX));
        Ok(())
    })
}

/// Gives the prefix whose words began before a position of playout.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_heard(
    timeline: *mut Timeline,
    utterance_id: Text,
    media_ms: u64,
    out: *mut Heard,
) -> ErrorCode {
    on(timeline, |inner, kept| {
        let heard = inner.heard(utterance_id.read()?, media_ms);
        put(out, shown_heard(kept, heard));
        Ok(())
    })
}

/// Closes what is speaking: words with an onset at or after `media_ms` never come. Audio before
/// `until_ms` is void. Gives the heard prefixes, oldest utterance first.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_cut(
    timeline: *mut Timeline,
    media_ms: u64,
    until_ms: u64,
    out: *mut HeardList,
) -> ErrorCode {
    on(timeline, |inner, kept| {
        let heard = inner.cut(media_ms, until_ms).into_iter().map(|one| shown_heard(kept, one));
        let heard = heard.collect();
        let (items, len) = kept.list(heard);
        put(out, HeardList { items, len });
        Ok(())
    })
}

/// Closes an utterance: later words are ignored, those placed are still delivered.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_end(timeline: *mut Timeline, utterance_id: Text) -> ErrorCode {
    on(timeline, |inner, _| {
        inner.end(utterance_id.read()?);
        Ok(())
    })
}

/// Gives how many words of an utterance were delivered or passed over.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_delivered(
    timeline: *mut Timeline,
    utterance_id: Text,
    out: *mut u64,
) -> ErrorCode {
    on(timeline, |inner, _| {
        put(out, inner.delivered(utterance_id.read()?));
        Ok(())
    })
}

/// Passes over the first words of an utterance, as far as they are known.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_skip(
    timeline: *mut Timeline,
    utterance_id: Text,
    words: u64,
) -> ErrorCode {
    on(timeline, |inner, _| {
        inner.skip(utterance_id.read()?, words);
        Ok(())
    })
}

/// Gives the words of an utterance as far as known, by index, without those cut.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_words(
    timeline: *mut Timeline,
    utterance_id: Text,
    out: *mut TimedWordList,
) -> ErrorCode {
    on(timeline, |inner, kept| {
        let words = inner.words(utterance_id.read()?);
        put(out, shown_words(kept, words));
        Ok(())
    })
}

/// Gives the text of an utterance as far as `voxwire_timeline_set_text` gave it.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_text(
    timeline: *mut Timeline,
    utterance_id: Text,
    out: *mut Text,
) -> ErrorCode {
    on(timeline, |inner, kept| {
        let text = inner.text(utterance_id.read()?);
        put(out, kept.text(text));
        Ok(())
    })
}

/// Puts a piece of an utterance's text at its position; a gap before it is filled with spaces.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_set_text(
    timeline: *mut Timeline,
    utterance_id: Text,
    offset: u64,
    text: Text,
) -> ErrorCode {
    on(timeline, |inner, _| {
        inner.set_text(utterance_id.read()?, offset, text.read()?);
        Ok(())
    })
}

/// Reads the words of a message (the bytes of an `UtteranceWords`); they are the timeline's.
/// `text_so_far` is the text of the utterance from earlier messages; `source`
/// (`VoxwireTimingSource`) counts for a message that does not say it. `MALFORMED` for bytes that are
/// no such message.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_decode(
    timeline: *mut Timeline,
    message: Bytes,
    text_so_far: Text,
    source: i32,
    out: *mut TimedWordList,
) -> ErrorCode {
    on(timeline, |_, kept| {
        let source = source_of(source)?;
        let words = objects::decode_words(message.read(), text_so_far.read()?, source)?;
        put(out, shown_words(kept, words));
        Ok(())
    })
}

/// Writes words of one utterance as the bytes of an `UtteranceWords`, which are the timeline's;
/// `text` is the piece of the utterance's text that holds them and begins at `text_offset`.
/// `INVALID_ARGUMENT` when the words are none, or not of one utterance, source and index sequence.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_encode(
    timeline: *mut Timeline,
    words: TimedWordList,
    text: Text,
    text_offset: u32,
    revision: u32,
    out: *mut Bytes,
) -> ErrorCode {
    on(timeline, |_, kept| {
        let words = words_of(words)?;
        let message = objects::encode_words(words, text.read()?, text_offset, revision)?;
        put(out, kept.bytes(message));
        Ok(())
    })
}

/// Joins two texts with one space, or with none where the script has none; the text is the timeline's.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_timeline_join(
    timeline: *mut Timeline,
    before: Text,
    after: Text,
    out: *mut Text,
) -> ErrorCode {
    on(timeline, |_, kept| {
        put(out, kept.text(objects::join_texts(before.read()?, after.read()?)));
        Ok(())
    })
}
