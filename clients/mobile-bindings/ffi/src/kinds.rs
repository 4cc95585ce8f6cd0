//! Closed sets of values, with the names that the core and the schema give them.

use voxwire_core::{conversation, tools, wire};

use crate::values::mirrored;

/// One of the two sides of a session.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum Side {
    /// The user's program.
    Client,
    /// The bot's.
    Server,
}

mirrored!(Side of wire::Side { Client, Server, });

/// Where the times of a word come from.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum TimingSource {
    /// Not said, or unknown to this version.
    Unspecified,
    /// The synthesiser gave a time for every word.
    ProviderWord,
    /// The synthesiser gave a time for every character.
    ProviderChar,
    /// An aligner found the words in the audio.
    ForcedAlignment,
    /// Fitted to the audio's speech and pauses.
    Estimated,
    /// The moment of arrival (a stock peer without times).
    Arrival,
}

mirrored!(TimingSource of wire::TimingSource {
    Unspecified, ProviderWord, ProviderChar, ForcedAlignment, Estimated, Arrival,
});

/// Which side runs a tool.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum Executor {
    /// The bot.
    Server,
    /// This program.
    Client,
}

mirrored!(Executor of tools::Executor { Server, Client, });

/// What an interruption of the bot does to a call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum OnInterruption {
    /// It is cancelled.
    Cancel,
    /// It finishes and its result is kept.
    Finish,
    /// The bot is asked.
    Ask,
}

mirrored!(OnInterruption of tools::OnInterruption { Cancel, Finish, Ask, });

/// What carries the audio of a session.
#[cfg(feature = "client")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum Transport {
    /// WebRTC, or the WebSocket where that does not come about; WebRTC again when it does.
    Auto,
    /// WebRTC alone.
    WebRtc,
    /// The WebSocket of the control channel.
    WebSocket,
}

#[cfg(feature = "client")]
mirrored!(Transport of voxwire_client::Transport { Auto, WebRtc, WebSocket, });

/// Where a call is; the last four are final.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum CallState {
    /// Asked for.
    Requested,
    /// Its executor has taken it.
    Accepted,
    /// Its executor says that it runs.
    Running,
    /// Ended with a result.
    Done,
    /// Ended with an error.
    Failed,
    /// Withdrawn before it finished.
    Cancelled,
    /// Its deadline passed.
    TimedOut,
}

mirrored!(CallState of tools::CallState {
    Requested, Accepted, Running, Done, Failed, Cancelled, TimedOut,
});

/// How a call ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum ToolOutcome {
    /// It did not.
    Unspecified,
    /// With a result.
    Done,
    /// With an error.
    Failed,
    /// Withdrawn.
    Cancelled,
    /// Its deadline passed.
    TimedOut,
    /// The server that ran it is no more, and nobody knows.
    Lost,
}

mirrored!(ToolOutcome of wire::ToolOutcome { Unspecified, Done, Failed, Cancelled, TimedOut, Lost, });

/// What to do with a request or a withdrawal of a tool call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum Run {
    /// Run the tool; say `ToolAccepted` first.
    Start,
    /// It runs already: say `ToolAccepted` again.
    Running,
    /// It ran: send its result again, if it is still kept.
    Finished,
    /// Stop the tool.
    Stop,
    /// Nothing.
    Ignore,
}

mirrored!(Run of tools::Run { Start, Running, Finished, Stop, Ignore, });

/// Whether a word was heard.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum WordState {
    /// Not reached yet.
    Unheard,
    /// This speaker reached it, or the server says that it was heard.
    Heard,
    /// It was never heard.
    Cut,
}

mirrored!(WordState of conversation::WordState { Unheard, Heard, Cut, });

/// How far an utterance in the log has come.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
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

mirrored!(LoggedEnd of conversation::LoggedEnd { Speaking, Completed, Interrupted, Unheard, });

/// How far a call in the log has come.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
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

mirrored!(CallStatus of conversation::CallStatus { Running, Done, Failed, Cancelled, TimedOut, Lost, });
