//! What a log consists of.

use crate::text_join::join_texts;
use crate::timeline::placed;
use crate::wire::{ToolOutcome, UtteranceEnd, UtteranceEnded, UtteranceWords};

/// Whether a word was heard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WordState {
    /// Not reached yet.
    Unheard,
    /// This speaker reached it, or the server says that it was heard.
    Heard,
    /// It was never heard.
    Cut,
}

/// A word of the bot.
#[derive(Clone, Debug, Eq, PartialEq)]
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

/// How far an utterance has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoggedEnd {
    /// It goes on.
    Speaking,
    /// Heard to its end.
    Completed,
    /// Cut off.
    Interrupted,
    /// Cut before a word of it was heard.
    Unheard,
}

/// One stretch of the bot's speech.
#[derive(Clone, Debug, Eq, PartialEq)]
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

/// How far a tool call has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallStatus {
    /// It runs.
    Running,
    /// It ended with a result.
    Done,
    /// It ended with an error.
    Failed,
    /// It was withdrawn.
    Cancelled,
    /// Its deadline passed.
    TimedOut,
    /// The server that ran it is no more, and nobody knows.
    Lost,
}

/// A tool call, whoever runs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoggedToolCall {
    /// The call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Arguments, JSON object; `None` unless the server shows them.
    pub arguments_json: Option<String>,
    /// How far it has come.
    pub status: CallStatus,
    /// Result, JSON; `None` unless the server shows it.
    pub result_json: Option<String>,
    /// How long it ran, milliseconds; `None` while it does.
    pub duration_ms: Option<u32>,
    /// True when this client runs it.
    pub own: bool,
    /// What this client said last about it.
    pub progress: Option<String>,
}

/// What the user said until the bot had the floor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserTurn {
    /// Names the turn in the log.
    pub id: String,
    /// The text.
    pub text: String,
    /// True when it will not change any more.
    pub is_final: bool,
    /// True when it was typed.
    pub typed: bool,
}

/// What the bot said and did until the user had the floor.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BotTurn {
    /// Names the turn in the log.
    pub id: String,
    /// What it said.
    pub utterances: Vec<LoggedUtterance>,
    /// The tools it called.
    pub tool_calls: Vec<LoggedToolCall>,
    /// True when it was cut off.
    pub interrupted: bool,
    /// Of a turn that was taken from a snapshot: what was heard, and what never was.
    pub from_snapshot: Option<SnapshotText>,
}

/// Text of a turn that was taken from a snapshot.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SnapshotText {
    /// What was heard of it.
    pub heard: String,
    /// What was never heard.
    pub unheard: String,
}

/// What one side said until the other had the floor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LoggedTurn {
    /// The user.
    User(UserTurn),
    /// The bot.
    Bot(BotTurn),
}

impl LoggedTurn {
    /// Names the turn in the log.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::User(turn) => &turn.id,
            Self::Bot(turn) => &turn.id,
        }
    }
}

impl LoggedUtterance {
    pub(super) fn new(id: &str) -> Self {
        let id = id.to_owned();
        Self { id, words: Vec::new(), text: String::new(), end: LoggedEnd::Speaking }
    }

    /// Adds words that are known now; a word that was heard, or never will be, stays as it is.
    pub(super) fn add(&mut self, message: &UtteranceWords) -> bool {
        self.text = placed(&self.text, message.text_offset as usize, &message.text);
        let text: Vec<char> = self.text.chars().collect();
        for (index, word) in (message.first_index..=u32::MAX).zip(&message.words) {
            let end = word.char_end.max(word.char_start) as usize;
            let said = LoggedWord {
                index,
                text: text.iter().take(end).skip(word.char_start as usize).collect(),
                start_ms: message.base_media_ms.saturating_add(word.start_ms.into()),
                end_ms: message.base_media_ms.saturating_add(word.end_ms.into()),
                state: WordState::Unheard,
            };
            match self.words.binary_search_by_key(&index, |known| known.index) {
                Ok(at) if self.words[at].state == WordState::Unheard => self.words[at] = said,
                Ok(_) => {}
                Err(at) => self.words.insert(at, said),
            }
        }
        true
    }

    /// The own speaker reached a word.
    pub(super) fn hear(&mut self, index: u32) -> bool {
        let found = self.words.binary_search_by_key(&index, |word| word.index);
        match found.map(|at| &mut self.words[at].state) {
            Ok(state @ WordState::Unheard) => {
                *state = WordState::Heard;
                true
            }
            _ => false,
        }
    }

    /// How the utterance ended is the server's word, whatever this speaker thought.
    pub(super) fn finish(&mut self, message: &UtteranceEnded) -> bool {
        let completed = message.end() == UtteranceEnd::Completed;
        for word in &mut self.words {
            let heard = completed || word.index < message.heard_words;
            word.state = if heard { WordState::Heard } else { WordState::Cut };
        }
        self.end = match message.heard_words {
            _ if completed => LoggedEnd::Completed,
            0 => LoggedEnd::Unheard,
            _ => LoggedEnd::Interrupted,
        };
        true
    }

    /// The session is over: what was not heard by now never is. Returns whether that concerned it.
    pub(super) fn cut_short(&mut self) -> bool {
        if self.end != LoggedEnd::Speaking {
            return false;
        }
        let heard = self.words.iter().any(|word| word.state == WordState::Heard);
        for word in &mut self.words {
            if word.state == WordState::Unheard {
                word.state = WordState::Cut;
            }
        }
        self.end = if heard { LoggedEnd::Interrupted } else { LoggedEnd::Unheard };
        true
    }
}

impl SnapshotText {
    pub(super) fn add(&mut self, heard: &str, unheard: &str) {
        self.heard = join_texts(&self.heard, heard);
        self.unheard = join_texts(&self.unheard, unheard);
    }
}

impl CallStatus {
    pub(super) const fn of(outcome: ToolOutcome) -> Self {
        match outcome {
            ToolOutcome::Done => Self::Done,
            ToolOutcome::Cancelled => Self::Cancelled,
            ToolOutcome::TimedOut => Self::TimedOut,
            ToolOutcome::Lost => Self::Lost,
            ToolOutcome::Failed | ToolOutcome::Unspecified => Self::Failed,
        }
    }
}
