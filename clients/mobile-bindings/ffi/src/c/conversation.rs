//! The log of turns.

use super::memory::{Bytes, Kept, Object, Text, free, give, handle, on, put};
use crate::code::{ErrorCode, VoxwireError};
use crate::kinds::{CallStatus, LoggedEnd, WordState};
use crate::objects;

/// The turn log of one session.
#[derive(Debug)]
pub struct Conversation(Object<objects::Conversation>);

handle!(Conversation of objects::Conversation);

/// A word of the bot.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LoggedWord {
    /// Position in the utterance, from 0.
    pub index: u32,
    /// The word, with the punctuation that belongs to it.
    pub text: Text,
    /// Onset, media clock, milliseconds.
    pub start_ms: u64,
    /// End, media clock, milliseconds.
    pub end_ms: u64,
    /// Whether it was heard.
    pub state: WordState,
}

/// One stretch of the bot's speech.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LoggedUtterance {
    /// The utterance.
    pub id: Text,
    /// Its words by index.
    pub words: *const LoggedWord,
    /// How many there are.
    pub num_words: usize,
    /// The text as the bot wrote it; words are pieces of it.
    pub text: Text,
    /// How far it has come.
    pub end: LoggedEnd,
}

/// A tool call, whoever runs it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LoggedCall {
    /// The call.
    pub id: Text,
    /// The tool.
    pub name: Text,
    /// Arguments, JSON object; none unless the server shows them.
    pub arguments_json: Text,
    /// How far it has come.
    pub status: CallStatus,
    /// Result, JSON; none unless the server shows it.
    pub result_json: Text,
    /// How long it ran, milliseconds; `UINT32_MAX` while it does.
    pub duration_ms: u32,
    /// True when this client runs it.
    pub own: bool,
    /// What this client said last about it; none if it did not.
    pub progress: Text,
}

/// What one side said until the other had the floor.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LoggedTurn {
    /// Names the turn in the log.
    pub id: Text,
    /// True for the user's: `text`, `is_final` and `typed` count; for the bot's the rest does.
    pub user: bool,
    /// What the user said.
    pub text: Text,
    /// True when it will not change any more.
    pub is_final: bool,
    /// True when it was typed.
    pub typed: bool,
    /// True when the bot was cut off.
    pub interrupted: bool,
    /// What the bot said.
    pub utterances: *const LoggedUtterance,
    /// How many there are.
    pub num_utterances: usize,
    /// The tools that it called.
    pub tool_calls: *const LoggedCall,
    /// How many there are.
    pub num_tool_calls: usize,
    /// What was heard, of a turn that was taken from a snapshot; none of another.
    pub heard_text: Text,
    /// What was never heard, of a turn that was taken from a snapshot; none of another.
    pub unheard_text: Text,
}

/// Turns, oldest first.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LoggedTurnList {
    /// The first one.
    pub items: *const LoggedTurn,
    /// How many there are.
    pub len: usize,
}

fn shown_utterance(kept: &mut Kept, said: objects::LoggedUtterance) -> LoggedUtterance {
    let words = said.words.into_iter().map(|word| LoggedWord {
        index: word.index,
        text: kept.text(word.text),
        start_ms: word.start_ms,
        end_ms: word.end_ms,
        state: word.state,
    });
    let words = words.collect();
    let (words, num_words) = kept.list(words);
    let (id, text) = (kept.text(said.id), kept.text(said.text));
    LoggedUtterance { id, words, num_words, text, end: said.end }
}

fn shown_call(kept: &mut Kept, call: objects::LoggedCall) -> LoggedCall {
    LoggedCall {
        id: kept.text(call.id),
        name: kept.text(call.name),
        arguments_json: kept.optional_text(call.arguments_json),
        status: call.status,
        result_json: kept.optional_text(call.result_json),
        duration_ms: call.duration_ms.unwrap_or(u32::MAX),
        own: call.own,
        progress: kept.optional_text(call.progress),
    }
}

fn shown_turn(kept: &mut Kept, turn: objects::LoggedTurn) -> LoggedTurn {
    let mut shown = LoggedTurn {
        id: Text::NONE,
        user: true,
        text: Text::NONE,
        is_final: false,
        typed: false,
        interrupted: false,
        utterances: std::ptr::null(),
        num_utterances: 0,
        tool_calls: std::ptr::null(),
        num_tool_calls: 0,
        heard_text: Text::NONE,
        unheard_text: Text::NONE,
    };
    match turn {
        objects::LoggedTurn::User { id, text, is_final, typed } => {
            (shown.id, shown.text) = (kept.text(id), kept.text(text));
            (shown.is_final, shown.typed) = (is_final, typed);
        }
        objects::LoggedTurn::Bot {
            id,
            utterances,
            tool_calls,
            interrupted,
            heard_text,
            unheard_text,
        } => {
            (shown.id, shown.user, shown.interrupted) = (kept.text(id), false, interrupted);
            let said = utterances.into_iter().map(|one| shown_utterance(kept, one)).collect();
            (shown.utterances, shown.num_utterances) = kept.list(said);
            let calls = tool_calls.into_iter().map(|one| shown_call(kept, one)).collect();
            (shown.tool_calls, shown.num_tool_calls) = kept.list(calls);
            shown.heard_text = kept.optional_text(heard_text);
            shown.unheard_text = kept.optional_text(unheard_text);
        }
    }
    shown
}

/// A verb that says whether it changed something.
fn change(
    conversation: *mut Conversation,
    changed: *mut bool,
    run: impl FnOnce(&objects::Conversation) -> Result<bool, VoxwireError>,
) -> ErrorCode {
    on(conversation, |inner, _| {
        put(changed, run(inner)?);
        Ok(())
    })
}

/// A log without turns, of a new session.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_conversation_new(out: *mut *mut Conversation) -> ErrorCode {
    give(out, || Ok(Conversation(Object::new(objects::Conversation::new()))))
}

/// Frees a log, and what it handed out.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_conversation_free(conversation: *mut Conversation) {
    free(conversation);
}

/// Gives the turns, oldest first; at most 500.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_conversation_turns(
    conversation: *mut Conversation,
    out: *mut LoggedTurnList,
) -> ErrorCode {
    on(conversation, |inner, kept| {
        let turns = inner.turns().into_iter().map(|turn| shown_turn(kept, turn)).collect();
        let (items, len) = kept.list(turns);
        put(out, LoggedTurnList { items, len });
        Ok(())
    })
}

/// Gives the number of times that messages were lost and a snapshot took their place.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_conversation_skipped(
    conversation: *mut Conversation,
    out: *mut u32,
) -> ErrorCode {
    on(conversation, |inner, _| {
        put(out, inner.skipped());
        Ok(())
    })
}

/// Takes an envelope of the server; gives whether it changed something. `INVALID_ARGUMENT` for bytes
/// that are no envelope.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_conversation_apply(
    conversation: *mut Conversation,
    envelope: Bytes,
    changed: *mut bool,
) -> ErrorCode {
    change(conversation, changed, |inner| inner.apply(envelope.read()))
}

/// What a snapshot (the bytes of a `Snapshot`) says takes the place of every turn.
/// `INVALID_ARGUMENT` for bytes that are no such message.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_conversation_restore(
    conversation: *mut Conversation,
    snapshot: Bytes,
) -> ErrorCode {
    on(conversation, |inner, _| inner.restore(snapshot.read()))
}

/// This client's speaker reached a word.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_conversation_word_heard(
    conversation: *mut Conversation,
    utterance_id: Text,
    index: u32,
    changed: *mut bool,
) -> ErrorCode {
    change(conversation, changed, |inner| Ok(inner.word_heard(utterance_id.read()?, index)))
}

/// This client was asked to run a call; the server may announce it before or after.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_conversation_own_call(
    conversation: *mut Conversation,
    call_id: Text,
    changed: *mut bool,
) -> ErrorCode {
    change(conversation, changed, |inner| Ok(inner.own_call(call_id.read()?)))
}

/// What this client says about a call that it runs.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_conversation_own_progress(
    conversation: *mut Conversation,
    call_id: Text,
    message: Text,
    changed: *mut bool,
) -> ErrorCode {
    change(conversation, changed, |inner| Ok(inner.own_progress(call_id.read()?, message.read()?)))
}

/// The session is over: nothing is left open.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_conversation_over(
    conversation: *mut Conversation,
    changed: *mut bool,
) -> ErrorCode {
    change(conversation, changed, |inner| Ok(inner.over()))
}
