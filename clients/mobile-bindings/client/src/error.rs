//! One error with a closed code; families by what the caller does next
//! (`protocol/spec/errors.md`).

use std::fmt::{self, Display, Formatter};

use voxwire_core::channel::ChannelError;
use voxwire_core::wire::{self, ErrorCode, RecoveryAction};

/// A refusal closes the WebSocket with this plus the error code (RFC 6455 §7.4.2: 4000-4999).
const CLOSE_CODE_BASE: u16 = 4000;

/// What the caller does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// The program asks for what cannot be: change the call.
    Usage,
    /// The server refuses or has given up the session: get a token, wait, or connect anew.
    Session,
    /// No media path could be agreed on: try another transport.
    Signaling,
    /// The wire failed or was too slow: try again.
    Transport,
    /// A device or an audio format: choose another.
    Media,
    /// The two sides do not understand each other: update one of them.
    Protocol,
    /// The bot or a service behind it failed: look at the bot's log.
    Bot,
}

/// Why something cannot be done, or is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// What went wrong, from a closed list.
    pub code: ErrorCode,
    /// One sentence for a developer.
    pub reason: String,
    /// True when the same verb may succeed later.
    pub retryable: bool,
    /// What the caller should do now.
    pub action: RecoveryAction,
    /// How long to wait before trying again, milliseconds; 0 = no advice.
    pub retry_after_ms: u32,
}

impl Error {
    /// An error that is final.
    #[must_use]
    pub fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        let action = RecoveryAction::None;
        Self { code, reason: reason.into(), retryable: false, action, retry_after_ms: 0 }
    }

    /// An argument that cannot be used.
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, reason)
    }

    /// The same, but what failed may succeed later.
    pub(crate) fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// The same, and a session is to be connected anew.
    pub(crate) fn reconnect(self) -> Self {
        Self { action: RecoveryAction::Reconnect, ..self }
    }

    /// A wire that broke.
    pub(crate) fn lost(reason: impl Into<String>) -> Self {
        Self::new(ErrorCode::ConnectionLost, reason).retryable().reconnect()
    }

    /// What an `Error` of the server says; a code that this version does not know is `INTERNAL`.
    #[must_use]
    pub fn of_wire(message: &wire::Error) -> Self {
        let reason = match message.reason.as_str() {
            "" => "the peer gave no reason",
            said => said,
        };
        let action = match message.action() {
            RecoveryAction::Unspecified => RecoveryAction::None,
            said => said,
        };
        Self {
            code: known_code(message.code),
            reason: reason.to_owned(),
            retryable: message.retryable,
            action,
            retry_after_ms: message.retry_after_ms,
        }
    }

    /// Why the peer closed a WebSocket: `4000 + ErrorCode` names the error (RFC 6455 §7.4).
    #[must_use]
    pub fn of_close(close_code: u16, reason: &str) -> Self {
        let number = close_code.checked_sub(CLOSE_CODE_BASE).map(i32::from).unwrap_or_default();
        match ErrorCode::try_from(number) {
            Ok(code) if code != ErrorCode::Unspecified => {
                let said = match reason {
                    "" => format!("the peer closed with code {close_code}"),
                    said => said.to_owned(),
                };
                Self::new(code, said)
            }
            _ => {
                let said = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                Self::lost(format!("the connection closed with code {close_code}{said}"))
            }
        }
    }

    /// What the caller does next.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self.code as i32 {
            ..20 => Family::Usage,
            20..40 => Family::Session,
            40..50 => Family::Signaling,
            50..60 => Family::Transport,
            60..70 => Family::Media,
            70..80 => Family::Protocol,
            80.. => Family::Bot,
        }
    }

    /// The code as the specification spells it, for instance `CONNECTION_LOST`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.code.as_str_name().trim_start_matches("ERROR_CODE_")
    }
}

impl Display for Error {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name(), self.reason)
    }
}

impl std::error::Error for Error {}

impl From<ChannelError> for Error {
    fn from(error: ChannelError) -> Self {
        Self::new(error.code, error.reason)
    }
}

/// The code with that number; one that this version does not know, or none, is `INTERNAL`.
pub(crate) fn known_code(number: i32) -> ErrorCode {
    match ErrorCode::try_from(number) {
        Ok(code) if code != ErrorCode::Unspecified => code,
        _ => ErrorCode::Internal,
    }
}
