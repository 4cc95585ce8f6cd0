//! The log of turns.

use std::sync::Mutex;

use prost::Message as _;
use voxwire_core::conversation as core;
use voxwire_core::wire::Snapshot;

use super::channel::envelope_of;
use super::held;
use crate::code::VoxwireError;
use crate::kinds::{CallStatus, LoggedEnd, WordState};

/// A word of the bot.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct LoggedWord {
    /// Position in the utterance, from 0.
    pub index: u32,
    /// The word, with the punctuation that belongs to it.
    pub text: String,
    /// Onset, media clock, milliseconds.
    pub start_ms: u64,
    /// End, media clock, milliseconds.
    pub end_ms: u64,
    /// Whether it was heard.
    pub state: WordState,
}

/// One stretch of the bot's speech.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct LoggedUtterance {
    /// The utterance.
    pub id: String,
    /// Its words by index.
    pub words: Vec<LoggedWord>,
    /// The text as the bot wrote it; words are pieces of it.
    pub text: String,
    /// How far it has come.
    pub end: LoggedEnd,
}

/// A tool call, whoever runs it.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct LoggedCall {
    /// The call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Arguments, JSON object; nothing unless the server shows them.
    pub arguments_json: Option<String>,
    /// How far it has come.
    pub status: CallStatus,
    /// Result, JSON; nothing unless the server shows it.
    pub result_json: Option<String>,
    /// How long it ran, milliseconds; nothing while it does.
    pub duration_ms: Option<u32>,
    /// True when this client runs it.
    pub own: bool,
    /// What this client said last about it.
    pub progress: Option<String>,
}

/// What one side said until the other had the floor.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum LoggedTurn {
    /// The user.
    User {
        /// Names the turn in the log.
        id: String,
        /// The text.
        text: String,
        /// True when it will not change any more.
        is_final: bool,
        /// True when it was typed.
        typed: bool,
    },
    /// The bot.
    Bot {
        /// Names the turn in the log.
        id: String,
        /// What it said.
        utterances: Vec<LoggedUtterance>,
        /// The tools it called.
        tool_calls: Vec<LoggedCall>,
        /// True when it was cut off.
        interrupted: bool,
        /// Of a turn that was taken from a snapshot: what was heard.
        heard_text: Option<String>,
        /// Of a turn that was taken from a snapshot: what was never heard.
        unheard_text: Option<String>,
    },
}

fn utterance(said: &core::LoggedUtterance) -> LoggedUtterance {
    let words = said.words.iter().map(|word| LoggedWord {
        index: word.index,
        text: word.text.clone(),
        start_ms: word.start_ms,
        end_ms: word.end_ms,
        state: word.state.into(),
    });
    LoggedUtterance {
        id: said.id.clone(),
        words: words.collect(),
        text: said.text.clone(),
        end: said.end.into(),
    }
}

fn tool_call(call: &core::LoggedToolCall) -> LoggedCall {
    LoggedCall {
        id: call.id.clone(),
        name: call.name.clone(),
        arguments_json: call.arguments_json.clone(),
        status: call.status.into(),
        result_json: call.result_json.clone(),
        duration_ms: call.duration_ms,
        own: call.own,
        progress: call.progress.clone(),
    }
}

fn turn(turn: &core::LoggedTurn) -> LoggedTurn {
    match turn {
        core::LoggedTurn::User(turn) => LoggedTurn::User {
            id: turn.id.clone(),
            text: turn.text.clone(),
            is_final: turn.is_final,
            typed: turn.typed,
        },
        core::LoggedTurn::Bot(turn) => LoggedTurn::Bot {
            id: turn.id.clone(),
            utterances: turn.utterances.iter().map(utterance).collect(),
            tool_calls: turn.tool_calls.iter().map(tool_call).collect(),
            interrupted: turn.interrupted,
            heard_text: turn.from_snapshot.as_ref().map(|text| text.heard.clone()),
            unheard_text: turn.from_snapshot.as_ref().map(|text| text.unheard.clone()),
        },
    }
}

/// The turn log of one session. Every verb says whether it changed something.
#[derive(Debug, Default, uniffi::Object)]
pub struct Conversation {
    core: Mutex<core::Conversation>,
}

#[uniffi::export]
impl Conversation {
    /// A log without turns, of a new session.
    #[uniffi::constructor]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The turns, oldest first; at most 500.
    pub fn turns(&self) -> Vec<LoggedTurn> {
        held(&self.core).turns().map(turn).collect()
    }

    /// Number of times that messages were lost and a snapshot took their place.
    pub fn skipped(&self) -> u32 {
        held(&self.core).skipped()
    }

    /// Takes an envelope of the server; what says nothing of the conversation changes nothing.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for bytes that are no envelope.
    pub fn apply(&self, envelope: &[u8]) -> Result<bool, VoxwireError> {
        let payload = envelope_of(envelope)?.payload;
        Ok(payload.is_some_and(|payload| held(&self.core).apply(&payload)))
    }

    /// What a snapshot (`Snapshot`, bytes) says takes the place of every turn.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for bytes that are no such message.
    pub fn restore(&self, snapshot: &[u8]) -> Result<(), VoxwireError> {
        let invalid = |_| VoxwireError::invalid("these bytes are not a Snapshot");
        held(&self.core).restore(&Snapshot::decode(snapshot).map_err(invalid)?);
        Ok(())
    }

    /// This client's speaker reached a word.
    pub fn word_heard(&self, utterance_id: &str, index: u32) -> bool {
        held(&self.core).word_heard(utterance_id, index)
    }

    /// This client was asked to run a call; the server may announce it before or after.
    pub fn own_call(&self, call_id: &str) -> bool {
        held(&self.core).own_call(call_id)
    }

    /// What this client says about a call that it runs.
    pub fn own_progress(&self, call_id: &str, message: &str) -> bool {
        held(&self.core).own_progress(call_id, message)
    }

    /// The session is over: nothing is left open.
    pub fn over(&self) -> bool {
        held(&self.core).over()
    }
}
