//! What a channel is made with, and what it tells.

use super::ReplayLimits;
use crate::wire::{DEFAULT_MAX_MESSAGE_BYTES, Envelope, MAX_CHUNKED_MESSAGE_BYTES, Side};

/// Sizes and limits of a [`Channel`](super::Channel).
#[derive(Clone, Debug)]
pub struct ChannelOptions {
    /// Who the other side is: it decides which payloads may be received.
    pub peer: Side,
    /// Largest envelope that the peer accepts, bytes; a larger reliable message goes out in chunks.
    pub max_send_bytes: usize,
    /// Largest envelope accepted from the peer, bytes.
    pub max_receive_bytes: usize,
    /// Largest chunked message in either direction, bytes.
    pub max_message_bytes: usize,
    /// Bounds of what is kept and held.
    pub limits: ReplayLimits,
}

impl ChannelOptions {
    /// What the specification says unless `Hello` or `Welcome` says otherwise.
    #[must_use]
    pub const fn new(peer: Side) -> Self {
        Self {
            peer,
            max_send_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            max_receive_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            max_message_bytes: MAX_CHUNKED_MESSAGE_BYTES,
            limits: ReplayLimits::DEFAULT,
        }
    }
}

/// A message that was delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The message, with the numbers that it came with; a chunked one has the number of its last
    /// chunk and no ack.
    pub envelope: Envelope,
    /// The bytes as they came, when there are fields in them that this version does not know: who
    /// has a newer schema may read them.
    pub encoded: Option<Box<[u8]>>,
}

/// What a peer of a newer version has sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UnknownCounts {
    /// Envelopes with a payload that this version does not know.
    pub payloads: u64,
    /// Fields that it does not know, at any depth, of envelopes that were read.
    pub fields: u64,
}
