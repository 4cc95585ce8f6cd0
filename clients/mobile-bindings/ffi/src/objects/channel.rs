//! Numbered delivery.

use std::sync::Mutex;

use prost::Message as _;
use voxwire_core::channel as core;
use voxwire_core::wire::{self, Delivery, Sender};

use super::held;
use crate::code::{ErrorCode, VoxwireError};
use crate::kinds::Side;
use crate::values::ReplayLimits;

/// Sizes and limits of a channel; the defaults are those of the specification.
#[derive(Clone, Copy, Debug, uniffi::Record)]
pub struct ChannelOptions {
    /// Who the other side is: it decides which payloads may be received.
    pub peer: Side,
    /// Largest envelope that the peer accepts, bytes; at least 128.
    #[uniffi(default = 65536)]
    pub max_send_bytes: u64,
    /// Largest envelope accepted from the peer, bytes.
    #[uniffi(default = 65536)]
    pub max_receive_bytes: u64,
    /// Largest chunked message in either direction, bytes.
    #[uniffi(default = 1_048_576)]
    pub max_message_bytes: u64,
    /// Bounds of what is kept and held; 2048 messages, 512 KiB, 60 s unless given.
    #[uniffi(default = None)]
    pub limits: Option<ReplayLimits>,
}

impl ChannelOptions {
    fn core(self) -> core::ChannelOptions {
        core::ChannelOptions {
            peer: self.peer.into(),
            max_send_bytes: self.max_send_bytes as usize,
            max_receive_bytes: self.max_receive_bytes as usize,
            max_message_bytes: self.max_message_bytes as usize,
            limits: self.limits.map(Into::into).unwrap_or_default(),
        }
    }
}

/// Where a channel is.
#[derive(Clone, Debug, uniffi::Record)]
pub struct ChannelState {
    /// Highest number received without a gap; 0 = none.
    pub last_received: u64,
    /// Highest number sent; 0 = none.
    pub last_sent: u64,
    /// How many sent messages the peer has not acknowledged.
    pub unacknowledged: u64,
    /// When `outgoing` wants to be called next, milliseconds.
    pub next_due_ms: Option<u64>,
    /// When the oldest message that is kept for a replay was sent, milliseconds.
    pub waiting_since_ms: Option<u64>,
    /// Largest envelope that the peer accepts, bytes.
    pub max_send_bytes: u64,
    /// Envelopes that came with a payload that this version does not know.
    pub unknown_payloads: u64,
    /// Fields that came and that this version does not know, at any depth.
    pub unknown_fields: u64,
}

/// A message that was delivered.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct Received {
    /// Number of its payload in the schema; 0 = one that this version does not know.
    pub payload: u32,
    /// Its number; of a chunked one that of its last chunk. 0 = not numbered.
    pub seq: u64,
    /// The envelope, without what this version does not know.
    pub envelope: Vec<u8>,
    /// The envelope as it came, when there is something in it that this version does not know.
    pub encoded: Option<Vec<u8>>,
}

impl From<core::Received> for Received {
    fn from(received: core::Received) -> Self {
        Self {
            payload: received.envelope.kind().map_or(0, wire::PayloadKind::number),
            seq: received.envelope.seq,
            envelope: received.envelope.encode_to_vec(),
            encoded: received.encoded.map(Into::into),
        }
    }
}

/// Why a message was not accepted; the channel itself goes on.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct Refusal {
    /// What is wrong.
    pub code: ErrorCode,
    /// One sentence for a developer; never echoes the message.
    pub reason: String,
    /// Number of the message at fault; 0 = unknown or not numbered.
    pub seq: u64,
}

/// What came of some bytes.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct Receipt {
    /// What is now deliverable, in order, whether or not something was refused.
    pub messages: Vec<Received>,
    /// Why a message was not accepted.
    pub refusal: Option<Refusal>,
}

/// One side of a session's numbered message exchange. Times are milliseconds of one monotonic
/// clock, of any origin.
#[derive(Debug, uniffi::Object)]
pub struct Channel {
    core: Mutex<core::Channel>,
}

#[uniffi::export]
impl Channel {
    /// A channel that has neither sent nor received anything.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` when `max_send_bytes` is below 128.
    #[uniffi::constructor]
    pub fn new(options: ChannelOptions) -> Result<Self, VoxwireError> {
        Ok(Self { core: Mutex::new(core::Channel::new(options.core())?) })
    }

    /// Forgets everything and numbers anew, after a resume that was answered with `resumed` =
    /// false. What was counted stays.
    pub fn restart(&self) {
        held(&self.core).restart();
    }

    /// Takes what the peer has said about the largest envelope that it accepts, bytes.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` below 128; nothing changes.
    pub fn set_max_send_bytes(&self, max_send_bytes: u64) -> Result<(), VoxwireError> {
        Ok(held(&self.core).set_max_send_bytes(max_send_bytes as usize)?)
    }

    /// Where it is.
    pub fn state(&self) -> ChannelState {
        let core = held(&self.core);
        ChannelState {
            last_received: core.last_received(),
            last_sent: core.last_sent(),
            unacknowledged: core.unacknowledged(),
            next_due_ms: core.next_due_ms(),
            waiting_since_ms: core.waiting_since_ms(),
            max_send_bytes: core.max_send_bytes() as u64,
            unknown_payloads: core.unknown().payloads,
            unknown_fields: core.unknown().fields,
        }
    }

    /// False when sending an envelope would push an unacknowledged one out of the replay.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for bytes that are no envelope.
    pub fn has_room(&self, envelope: &[u8]) -> Result<bool, VoxwireError> {
        let envelope = envelope_of(envelope)?;
        Ok(held(&self.core).has_room(&envelope))
    }

    /// Numbers, encodes and keeps an envelope; a `seq` or `ack` in it is ignored. Returns encoded
    /// envelopes, to be written in this order.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for bytes that are no envelope, without a payload or with a chunk;
    /// `TOO_LARGE` above `max_send_bytes` (lossy) or `max_message_bytes` (reliable).
    pub fn send(&self, envelope: &[u8], now_ms: u64) -> Result<Vec<Vec<u8>>, VoxwireError> {
        let envelope = envelope_of(envelope)?;
        Ok(held(&self.core).send(&envelope, now_ms)?)
    }

    /// Takes one encoded envelope from a carrier. Lossy messages are deliverable at once, reliable
    /// ones without gaps or repetitions, chunked ones whole.
    pub fn receive(&self, data: &[u8], now_ms: u64) -> Receipt {
        let (messages, refusal) = match held(&self.core).receive(data, now_ms) {
            Ok(messages) => (messages, None),
            Err(error) => {
                let (code, reason) = (ErrorCode::of(error.code), error.reason.to_owned());
                (error.delivered, Some(Refusal { code, reason, seq: error.seq }))
            }
        };
        Receipt { messages: messages.into_iter().map(Into::into).collect(), refusal }
    }

    /// Returns the standalone acknowledgement if it is due.
    pub fn outgoing(&self, now_ms: u64) -> Option<Vec<u8>> {
        held(&self.core).outgoing(now_ms)
    }

    /// Notes that the carrier is gone: an acknowledgement owed on it is not owed any more.
    pub fn on_lost(&self, now_ms: u64) {
        held(&self.core).on_lost(now_ms);
    }

    /// Encodes again what the peer has not received; `last_seq` is what it has. Nothing when some
    /// of it is no longer kept: both sides restart then.
    ///
    /// # Errors
    ///
    /// `MALFORMED` when `last_seq` was never sent.
    pub fn resume(&self, last_seq: u64, now_ms: u64) -> Result<Option<Vec<Vec<u8>>>, VoxwireError> {
        Ok(held(&self.core).resume(last_seq, now_ms)?)
    }
}

/// What can be said of an envelope without its payload.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct EnvelopeInfo {
    /// Its number; 0 = not numbered.
    pub seq: u64,
    /// Highest number that its sender has received; 0 = not said.
    pub ack: u64,
    /// Number of its payload in the schema; 0 = none, or one that this version does not know.
    pub payload: u32,
    /// Name of its payload in the schema; empty without one.
    pub name: String,
    /// True for a payload that is numbered, acknowledged and replayed.
    pub reliable: bool,
    /// Whether a client may send it.
    pub from_client: bool,
    /// Whether a server may send it.
    pub from_server: bool,
    /// Fields that this version does not know, at any depth.
    pub unknown_fields: u64,
    /// True when its payload is one that this version does not know.
    pub unknown_payload: bool,
}

/// Reads what can be said of an envelope.
///
/// # Errors
///
/// `MALFORMED` for bytes that are no envelope.
#[uniffi::export]
pub fn inspect(envelope: &[u8]) -> Result<EnvelopeInfo, VoxwireError> {
    let decoded = wire::decode(envelope).map_err(|error| VoxwireError::Refused {
        code: ErrorCode::Malformed,
        reason: error.to_string(),
        seq: 0,
    })?;
    let kind = decoded.envelope.kind();
    let sender = kind.map(wire::PayloadKind::sender);
    Ok(EnvelopeInfo {
        seq: decoded.envelope.seq,
        ack: decoded.envelope.ack,
        payload: kind.map_or(0, wire::PayloadKind::number),
        name: kind.map_or("", wire::PayloadKind::name).to_owned(),
        reliable: kind.is_some_and(|kind| kind.delivery() == Delivery::Reliable),
        from_client: sender.is_some_and(|sender| sender != Sender::Server),
        from_server: sender.is_some_and(|sender| sender != Sender::Client),
        unknown_fields: decoded.unknown_fields as u64,
        unknown_payload: decoded.unknown_payload,
    })
}

/// An envelope that this side means to send.
pub(crate) fn envelope_of(data: &[u8]) -> Result<wire::Envelope, VoxwireError> {
    let decoded = wire::decode(data);
    Ok(decoded.map_err(|_| VoxwireError::invalid("these bytes are not an Envelope"))?.envelope)
}
