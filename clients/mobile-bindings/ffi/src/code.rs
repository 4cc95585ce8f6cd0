//! What is wrong: the codes of the specification, the same in every language.
#![allow(clippy::doc_markdown, reason = "what a code means is said in the words of the schema")]

use std::fmt::{self, Display, Formatter};

use voxwire_core::channel::ChannelError;
use voxwire_core::tools::ToolUseError;
use voxwire_core::wire;

/// What went wrong (`protocol/spec/errors.md`), by its number in the schema.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum ErrorCode {
    /// No error, or one that this version does not know.
    Unspecified = 0,
    /// An argument is out of its documented range.
    InvalidArgument = 1,
    /// The verb does not fit the state (for instance sending on an ended session).
    InvalidState = 2,
    /// An optional part is not installed; the reason names the install command.
    MissingExtra = 3,
    /// The peer did not offer the feature that the verb needs.
    Unsupported = 4,
    /// No token, or one that is not valid here.
    Unauthorized = 20,
    /// The token is valid but does not allow this.
    Forbidden = 21,
    /// The server is full or the token's quota is used up; retry_after_ms says when.
    Capacity = 22,
    /// Too many attempts from this address or token; retry_after_ms says when.
    RateLimited = 23,
    /// The session is gone: its grace period is over or it never existed.
    SessionExpired = 24,
    /// A newer attach took the session over.
    Superseded = 25,
    /// The session reached the longest duration that its token or the server allows.
    DurationLimit = 26,
    /// The server is shutting down or handing sessions over.
    GoingAway = 27,
    /// The SDP cannot be used.
    BadSdp = 40,
    /// No candidate pair connected within the deadline.
    IceFailed = 41,
    /// TURN refused the credentials or the allocation.
    TurnFailed = 42,
    /// The server cannot be reached.
    Unreachable = 50,
    /// The wire broke and was not resumed in time.
    ConnectionLost = 51,
    /// An operation passed its deadline.
    Timeout = 52,
    /// A device cannot be opened or was taken away.
    Device = 60,
    /// The user or the system refused the microphone.
    PermissionDenied = 61,
    /// An audio format that the path does not carry.
    UnsupportedFormat = 62,
    /// Audio came faster than real time; the excess was dropped.
    AudioOverrun = 63,
    /// Bytes that are not a valid message.
    Malformed = 70,
    /// A message above the receiver's limit.
    TooLarge = 71,
    /// A message that this side may not send, or not now.
    UnexpectedMessage = 72,
    /// No protocol version in common.
    Version = 73,
    /// The bot raised an exception; its session is over.
    BotFailed = 80,
    /// A service behind the bot (STT, LLM, TTS) failed; the session goes on.
    ServiceFailed = 81,
    /// A tool call failed.
    ToolFailed = 82,
    /// A result for a call that is not open.
    ToolClosed = 83,
    /// A fault of the server itself.
    Internal = 99,
}

impl ErrorCode {
    /// Every code, by its number.
    pub const ALL: &[Self] = &[
        Self::Unspecified,
        Self::InvalidArgument,
        Self::InvalidState,
        Self::MissingExtra,
        Self::Unsupported,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Capacity,
        Self::RateLimited,
        Self::SessionExpired,
        Self::Superseded,
        Self::DurationLimit,
        Self::GoingAway,
        Self::BadSdp,
        Self::IceFailed,
        Self::TurnFailed,
        Self::Unreachable,
        Self::ConnectionLost,
        Self::Timeout,
        Self::Device,
        Self::PermissionDenied,
        Self::UnsupportedFormat,
        Self::AudioOverrun,
        Self::Malformed,
        Self::TooLarge,
        Self::UnexpectedMessage,
        Self::Version,
        Self::BotFailed,
        Self::ServiceFailed,
        Self::ToolFailed,
        Self::ToolClosed,
        Self::Internal,
    ];

    /// The code of a number; `Unspecified` for one that this version does not know.
    #[must_use]
    pub fn with_number(number: i32) -> Self {
        let known = Self::ALL.iter().copied().find(|code| *code as i32 == number);
        known.unwrap_or(Self::Unspecified)
    }

    /// The code of the schema's enum.
    #[must_use]
    pub fn of(code: wire::ErrorCode) -> Self {
        Self::with_number(code as i32)
    }

    /// As the schema's enum.
    #[must_use]
    pub fn wire(self) -> wire::ErrorCode {
        wire::ErrorCode::try_from(self as i32).unwrap_or_default()
    }
}

/// What a verb refuses.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Error)]
pub enum VoxwireError {
    /// Nothing changed.
    Refused {
        /// What is wrong.
        code: ErrorCode,
        /// One sentence for a developer; never echoes what was given.
        reason: String,
        /// Number of the message at fault; 0 = unknown or not numbered.
        seq: u64,
    },
}

impl VoxwireError {
    pub(crate) fn invalid(reason: &str) -> Self {
        Self::Refused { code: ErrorCode::InvalidArgument, reason: reason.to_owned(), seq: 0 }
    }
}

impl Display for VoxwireError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self::Refused { code, reason, .. } = self;
        write!(formatter, "{reason} ({})", code.wire().as_str_name())
    }
}

impl std::error::Error for VoxwireError {}

impl From<ChannelError> for VoxwireError {
    fn from(error: ChannelError) -> Self {
        let code = ErrorCode::of(error.code);
        Self::Refused { code, reason: error.reason.to_owned(), seq: error.seq }
    }
}

impl From<ToolUseError> for VoxwireError {
    fn from(error: ToolUseError) -> Self {
        let code = ErrorCode::of(error.code);
        Self::Refused { code, reason: error.reason.to_owned(), seq: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_schema() {
        let known = (0..200).filter_map(|number| wire::ErrorCode::try_from(number).ok());
        let numbers: Vec<i32> = known.map(|code| code as i32).collect();
        let ours: Vec<i32> = ErrorCode::ALL.iter().map(|code| *code as i32).collect();
        assert_eq!(ours, numbers);
        for code in ErrorCode::ALL {
            let name = code.wire().as_str_name().replace("ERROR_CODE", "").replace('_', "");
            assert_eq!(format!("{code:?}").to_uppercase(), name);
        }
    }
}
