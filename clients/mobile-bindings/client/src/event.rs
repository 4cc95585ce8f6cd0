//! What a session tells its program.
//!
//! What the server says is told as the message of the schema; [`BotWord`], [`Flushed`],
//! [`PathChanged`], [`ConnectionChanged`] and [`EventsSkipped`] happen on this side.

use voxwire_core::timeline::{TimedWord, decode_words};
use voxwire_core::wire::{self, Carrier, Payload, TimingSource};

/// Everything that a session may tell; the names are those of the other clients.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The session is up: the first event of every session.
    SessionStarted(Box<wire::Welcome>),
    /// The session is over: the last event of every session that ends in order.
    SessionEnded(wire::SessionEnded),
    /// The server will close this connection soon; the session goes on.
    GoingAway(wire::GoAway),
    /// The audio of the session goes over another path from now on.
    PathChanged(PathChanged),
    /// The control channel was lost, is tried again, or is back.
    ConnectionChanged(ConnectionChanged),
    /// Something was lost, and where the session goes on from.
    EventsSkipped(EventsSkipped),
    /// Somebody does something else now. Told when the own speaker reaches its `media_ms`.
    StateChanged(wire::StateChanged),
    /// What the user said. Interim ones replace each other; the final one keeps the id.
    UserTranscript(wire::Transcript),
    /// The language model starts a response.
    BotResponseStarted(wire::ResponseStarted),
    /// More text of a response, as the model writes it; not what is heard.
    BotResponseText(wire::ResponseText),
    /// The response is complete, or was cut.
    BotResponseEnded(wire::ResponseEnded),
    /// The bot will say something from `media_ms` on; announced ahead of the sound.
    UtteranceStarted(wire::UtteranceStarted),
    /// Words of an utterance, ahead of the sound; [`placed_words`] reads them.
    UtteranceWords(wire::UtteranceWords),
    /// The own speaker reaches this word now.
    BotWord(TimedWord),
    /// An utterance ended, as the listener heard it.
    UtteranceEnded(wire::UtteranceEnded),
    /// The bot runs a tool.
    ToolCallStarted(wire::ToolCallStarted),
    /// A tool call of the bot ended.
    ToolCallEnded(wire::ToolCallEnded),
    /// The bot was cut off.
    Interrupted(wire::Interrupted),
    /// The own speaker fell silent on the server's word.
    Flushed(Flushed),
    /// Measurements of the services behind the bot.
    ServiceMetrics(wire::ServiceMetrics),
    /// How long the user waited in one turn (`protocol/spec/metrics.md`).
    TurnMetrics(wire::TurnMetrics),
    /// A message of the application.
    AppMessage(wire::AppMessage),
    /// Something went wrong; unless it is fatal, the session goes on.
    Error(wire::Error),
}

/// Why the transport `auto` is not on WebRTC; no message says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FallbackReason {
    /// The server has none.
    NotOffered,
    /// It has, and not for this path.
    Refused,
    /// No UDP packet comes through.
    IceFailed,
    /// Nor did a TURN server give a relay.
    TurnFailed,
    /// Packets come through and the handshake does not.
    DtlsFailed,
    /// The server did not answer in time.
    TimedOut,
}

impl FallbackReason {
    /// As the other clients spell it, for instance `ice_failed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotOffered => "not_offered",
            Self::Refused => "refused",
            Self::IceFailed => "ice_failed",
            Self::TurnFailed => "turn_failed",
            Self::DtlsFailed => "dtls_failed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// The audio of the session goes over another path from now on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathChanged {
    /// Its number in the session.
    pub path_id: u32,
    /// What carries it.
    pub carrier: Carrier,
    /// Of the user's audio, what was captured before and is sent now, milliseconds.
    pub resent_ms: u64,
    /// Of the user's audio, what the bot never hears: nothing carried it for longer than it is
    /// kept, milliseconds.
    pub lost_ms: u64,
    /// Why it is not WebRTC although `auto` prefers that; `None` when it is, or when WebSocket was
    /// asked for.
    pub fallback: Option<FallbackReason>,
    /// The same as a sentence for people; empty where there is none.
    pub fallback_detail: String,
}

/// Whether the control channel is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConnectionState {
    /// It is.
    Connected,
    /// It is lost, and dialled again.
    Reconnecting,
}

/// The control channel was lost, is tried again, or is back. Not told for the first connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectionChanged {
    /// Reconnecting before every try, connected when one was welcomed.
    pub state: ConnectionState,
    /// Number of the try since the loss, from 1; 0 = a second socket took over while the first one
    /// still stood.
    pub attempt: u32,
    /// Number of the attach in the session that is, or was, in force.
    pub epoch: u32,
    /// Time since the loss, milliseconds.
    pub after_ms: u64,
}

/// Something was lost, and where the session goes on from. What is the case now follows as ordinary
/// events: the utterance that is being spoken, its words, open tool calls, the state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventsSkipped {
    /// How many events; 0 = not known, which is so after a resume.
    pub count: u64,
    /// Messages of this side that the server may not have got, and that were given up.
    pub unsent: u64,
    /// The state from which the session goes on; `None` when only the reader was late.
    pub snapshot: Option<Box<wire::Snapshot>>,
}

/// The own speaker fell silent on the server's word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flushed {
    /// The last sound was before this position, milliseconds of the media clock.
    pub media_ms: u64,
    /// Number of the flush.
    pub flush_id: u32,
    /// Everything up to here will not sound.
    pub until_media_ms: u64,
}

impl Event {
    /// The event that a message of the server stands for; `None` for media, signaling and what the
    /// session answers by itself.
    #[must_use]
    pub fn of(payload: Payload) -> Option<Self> {
        Some(match payload {
            Payload::Welcome(it) => Self::SessionStarted(Box::new(it)),
            Payload::SessionEnded(it) => Self::SessionEnded(it),
            Payload::GoAway(it) => Self::GoingAway(it),
            Payload::StateChanged(it) => Self::StateChanged(it),
            Payload::Transcript(it) => Self::UserTranscript(it),
            Payload::ResponseStarted(it) => Self::BotResponseStarted(it),
            Payload::ResponseText(it) => Self::BotResponseText(it),
            Payload::ResponseEnded(it) => Self::BotResponseEnded(it),
            Payload::UtteranceStarted(it) => Self::UtteranceStarted(it),
            Payload::UtteranceWords(it) => Self::UtteranceWords(it),
            Payload::UtteranceEnded(it) => Self::UtteranceEnded(it),
            Payload::ToolCallStarted(it) => Self::ToolCallStarted(it),
            Payload::ToolCallEnded(it) => Self::ToolCallEnded(it),
            Payload::Interrupted(it) => Self::Interrupted(it),
            Payload::ServiceMetrics(it) => Self::ServiceMetrics(it),
            Payload::TurnMetrics(it) => Self::TurnMetrics(it),
            Payload::AppMessage(it) => Self::AppMessage(it),
            Payload::Error(it) => Self::Error(it),
            _ => return None,
        })
    }
}

/// The words of a message with their absolute times, milliseconds of the media clock.
#[must_use]
pub fn placed_words(message: &wire::UtteranceWords) -> Vec<TimedWord> {
    decode_words(message, "", TimingSource::Unspecified)
}
