//! Why a message cannot be sent, or was not accepted.

use std::fmt::{self, Display, Formatter};

use super::Received;
use crate::wire::ErrorCode;

/// A message that cannot be sent or was not accepted; the channel itself goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelError {
    /// What is wrong.
    pub code: ErrorCode,
    /// One sentence for a developer; never echoes the message.
    pub reason: &'static str,
    /// Number of the message at fault; 0 = unknown or not numbered.
    pub seq: u64,
    /// Messages that became deliverable with the refused one, in order. Empty on a single ordered
    /// carrier; deliver them all the same.
    pub delivered: Vec<Received>,
}

impl Display for ChannelError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.reason, self.code.as_str_name())
    }
}

impl std::error::Error for ChannelError {}

fn error(code: ErrorCode, reason: &'static str, seq: u64) -> ChannelError {
    ChannelError { code, reason, seq, delivered: Vec::new() }
}

pub(super) fn malformed(reason: &'static str, seq: u64) -> ChannelError {
    error(ErrorCode::Malformed, reason, seq)
}

pub(super) fn too_large(reason: &'static str, seq: u64) -> ChannelError {
    error(ErrorCode::TooLarge, reason, seq)
}

pub(super) fn unexpected(reason: &'static str, seq: u64) -> ChannelError {
    error(ErrorCode::UnexpectedMessage, reason, seq)
}

pub(super) fn unusable(reason: &'static str) -> ChannelError {
    error(ErrorCode::InvalidArgument, reason, 0)
}
