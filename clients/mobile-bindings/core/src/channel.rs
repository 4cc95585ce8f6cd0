//! Numbered delivery: sequence, acknowledge, replay, deduplicate, reassemble.
//!
//! One [`Channel`] per session and side. It turns envelopes into bytes and back and knows nothing
//! of what carries them: one ordered socket, several carriers at once, or one that loses, repeats
//! and reorders. It reads no clock: every `now_ms` is milliseconds of one monotonic clock, of any
//! origin (protocol/spec/session.md, "Numbered delivery").

mod assembly;
mod error;
mod options;
mod replay;

use std::collections::HashMap;

use prost::Message as _;

use crate::wire::{self, Envelope, Payload, PayloadKind};
use assembly::{Assembly, split};
pub use error::ChannelError;
use error::{malformed, too_large, unexpected, unusable};
pub use options::{ChannelOptions, Received, UnknownCounts};
use replay::Replay;
pub use replay::ReplayLimits;

/// Received messages after which a standalone acknowledgement is due at once.
pub const ACK_EVERY: u32 = 32;

/// Longest time that a received message waits for an acknowledgement, milliseconds.
pub const ACK_DELAY_MS: u64 = 250;

/// Smallest `max_send_bytes`; below it a chunk would hardly hold anything.
pub const MIN_SEND_BYTES: usize = 128;

/// The most that seq and ack take in front of a payload: two tags, two varints of 64 bits. A
/// message is measured with it, so that a replay with a longer ack still fits the peer's limit.
const HEADER_BYTES: usize = 22;

/// The most that the fields around `Chunk.data` take, header included.
const CHUNK_BYTES: usize = 64;

const SEQ_TAG: u8 = 0x08;
const ACK_TAG: u8 = 0x10;

/// One side of a session's numbered message exchange.
#[derive(Debug)]
pub struct Channel {
    options: ChannelOptions,
    replay: Replay,
    assembly: Assembly,
    received: u64,
    /// What came early, by number.
    held: HashMap<u64, Held>,
    held_bytes: usize,
    ack_due_ms: Option<u64>,
    ack_count: u32,
    unknown: UnknownCounts,
}

/// A message that came early, or comes in its turn.
#[derive(Debug)]
struct Held {
    /// `None` stands for a refused one.
    message: Option<Received>,
    size_bytes: usize,
}

impl Channel {
    /// A channel that has neither sent nor received anything.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` when `max_send_bytes` is below [`MIN_SEND_BYTES`].
    pub fn new(options: ChannelOptions) -> Result<Self, ChannelError> {
        check_send_bytes(options.max_send_bytes)?;
        Ok(Self {
            replay: Replay::new(options.limits),
            assembly: Assembly::new(options.max_message_bytes),
            options,
            received: 0,
            held: HashMap::new(),
            held_bytes: 0,
            ack_due_ms: None,
            ack_count: 0,
            unknown: UnknownCounts::default(),
        })
    }

    /// Forgets everything and numbers anew in both directions: after a resume that was answered
    /// with `resumed` = false. What was counted stays.
    pub fn restart(&mut self) {
        self.replay = Replay::new(self.options.limits);
        self.assembly = Assembly::new(self.options.max_message_bytes);
        self.received = 0;
        self.held.clear();
        self.held_bytes = 0;
        self.take_ack();
    }

    /// Largest envelope that the peer accepts, bytes.
    #[must_use]
    pub const fn max_send_bytes(&self) -> usize {
        self.options.max_send_bytes
    }

    /// Takes what the peer has said about the largest envelope that it accepts, bytes.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` below [`MIN_SEND_BYTES`]; nothing changes.
    pub fn set_max_send_bytes(&mut self, max_send_bytes: usize) -> Result<(), ChannelError> {
        check_send_bytes(max_send_bytes)?;
        self.options.max_send_bytes = max_send_bytes;
        Ok(())
    }

    /// Highest number received without a gap; 0 = none.
    #[must_use]
    pub const fn last_received(&self) -> u64 {
        self.received
    }

    /// Highest number sent; 0 = none.
    #[must_use]
    pub const fn last_sent(&self) -> u64 {
        self.replay.last()
    }

    /// How many sent messages the peer has not acknowledged.
    #[must_use]
    pub const fn unacknowledged(&self) -> u64 {
        self.replay.last() - self.replay.acknowledged()
    }

    /// When the oldest message that is kept for a replay was sent; `None` = the peer has
    /// everything.
    #[must_use]
    pub fn waiting_since_ms(&self) -> Option<u64> {
        self.replay.oldest_ms()
    }

    /// False when sending a message would push an unacknowledged one out of the replay.
    #[must_use]
    pub fn has_room(&self, message: &Envelope) -> bool {
        let piece_bytes = self.options.max_send_bytes - CHUNK_BYTES;
        self.replay.has_room(message.encoded_len(), piece_bytes)
    }

    /// When [`outgoing`](Self::outgoing) wants to be called next; `None` = not before the next
    /// receive.
    #[must_use]
    pub const fn next_due_ms(&self) -> Option<u64> {
        self.ack_due_ms
    }

    /// What has come that this version does not know.
    #[must_use]
    pub const fn unknown(&self) -> UnknownCounts {
        self.unknown
    }

    /// Numbers, encodes and keeps a message; a `seq` or `ack` in it is ignored.
    ///
    /// Returns encoded envelopes, to be written in this order.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` without a payload or with a chunk; `TOO_LARGE` above `max_send_bytes`
    /// (lossy) or `max_message_bytes` (reliable). Nothing is numbered then.
    pub fn send(&mut self, message: &Envelope, now_ms: u64) -> Result<Vec<Vec<u8>>, ChannelError> {
        let payload = match &message.payload {
            None | Some(Payload::Chunk(_)) => {
                return Err(unusable(
                    "an envelope needs a payload, and chunks are made by the channel",
                ));
            }
            Some(payload) => payload,
        };
        let kind = PayloadKind::of(payload);
        let mut body = Vec::with_capacity(payload.encoded_len());
        payload.encode(&mut body);
        if kind.is_reliable() {
            return self.send_reliable(body, now_ms);
        }
        // The peer learns what arrived from last_seq in these two; they may open a new numbering.
        let greets = matches!(kind, PayloadKind::Hello | PayloadKind::Welcome);
        let owed = self.ack_due_ms.is_some() && !greets;
        let data = if owed { numbered(0, self.received, &body) } else { body };
        if data.len() > self.options.max_send_bytes {
            return Err(too_large("the message is above the peer's limit and is not chunked", 0));
        }
        if owed {
            self.take_ack();
        }
        Ok(vec![data])
    }

    /// Takes one encoded envelope from a carrier.
    ///
    /// Bytes that are no valid message change nothing. A numbered message with a payload that the
    /// peer may not send, or that this version does not know, counts as received, so that those
    /// behind it do not wait for ever.
    ///
    /// Returns what is now deliverable, in order: lossy messages at once, reliable ones without
    /// gaps or repetitions, chunked ones whole.
    ///
    /// # Errors
    ///
    /// `MALFORMED`, `TOO_LARGE` or `UNEXPECTED_MESSAGE`; deliver [`ChannelError::delivered`] all
    /// the same.
    pub fn receive(&mut self, data: &[u8], now_ms: u64) -> Result<Vec<Received>, ChannelError> {
        if data.len() > self.options.max_receive_bytes {
            return Err(too_large("the envelope is above this side's limit", 0));
        }
        let decoded =
            wire::decode(data).map_err(|_| malformed("these bytes are not an Envelope", 0))?;
        let accepted = self.accepts(&decoded.envelope);
        check_form(&decoded)?;
        let (seq, ack) = (decoded.envelope.seq, decoded.envelope.ack);
        if ack != 0 {
            self.replay.acknowledge(ack)?;
        }
        self.unknown.payloads += u64::from(decoded.unknown_payload);
        self.unknown.fields += decoded.unknown_fields as u64;
        let own = matches!(decoded.envelope.payload, Some(Payload::AckOnly(_)));
        let message = received(decoded, data);
        if seq != 0 {
            return self.receive_reliable(seq, accepted.then_some(message), data.len(), now_ms);
        }
        if !accepted {
            return Err(unexpected("this side does not accept that payload", 0));
        }
        Ok(if own { Vec::new() } else { vec![message] })
    }

    /// Returns the standalone acknowledgement if it is due.
    pub fn outgoing(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        if self.ack_due_ms? > now_ms {
            return None;
        }
        let ack = self.take_ack();
        let payload = Some(Payload::AckOnly(wire::Ack {}));
        Some(Envelope { seq: 0, ack, payload }.encode_to_vec())
    }

    /// Notes that the carrier is gone: an acknowledgement owed on it is not owed any more.
    ///
    /// The handshake of the next one says [`last_received`](Self::last_received). What was held or
    /// half assembled stays; the replay continues it.
    pub fn on_lost(&mut self, now_ms: u64) {
        self.replay.expire(now_ms);
        self.take_ack();
    }

    /// Encodes again what the peer has not received.
    ///
    /// `last_seq` is `last_received` of the peer; everything up to it is acknowledged. Returns
    /// encoded envelopes in order, or `None` when some are no longer kept: the session then goes on
    /// from a `Snapshot` and both sides [`restart`](Self::restart).
    ///
    /// # Errors
    ///
    /// `MALFORMED` when `last_seq` was never sent.
    pub fn resume(
        &mut self,
        last_seq: u64,
        now_ms: u64,
    ) -> Result<Option<Vec<Vec<u8>>>, ChannelError> {
        self.replay.acknowledge(last_seq)?;
        self.replay.expire(now_ms);
        if !self.replay.reaches(last_seq) {
            return Ok(None);
        }
        if self.replay.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let ack = self.received; // still owed: the replay may never be sent
        let missing = self.replay.kept();
        Ok(Some(missing.map(|(seq, body)| numbered(seq, ack, body)).collect()))
    }

    fn accepts(&self, message: &Envelope) -> bool {
        message.kind().is_some_and(|kind| kind.may_come_from(self.options.peer))
    }

    fn send_reliable(&mut self, body: Vec<u8>, now_ms: u64) -> Result<Vec<Vec<u8>>, ChannelError> {
        if body.len() > self.options.max_message_bytes {
            return Err(too_large("the message is above max_message_bytes", 0));
        }
        let ack = self.take_ack();
        let max_bytes = self.options.max_send_bytes;
        let pieces = if body.len() + HEADER_BYTES <= max_bytes {
            vec![body]
        } else {
            split(&body, max_bytes - CHUNK_BYTES)
        };
        let written = pieces.into_iter().map(|piece| {
            let data = numbered(self.replay.last() + 1, ack, &piece);
            self.replay.append(piece, now_ms);
            data
        });
        Ok(written.collect())
    }

    fn receive_reliable(
        &mut self,
        seq: u64,
        message: Option<Received>,
        size_bytes: usize,
        now_ms: u64,
    ) -> Result<Vec<Received>, ChannelError> {
        if seq <= self.received {
            self.owe_ack(0, now_ms);
            return Ok(Vec::new());
        }
        if self.held.contains_key(&seq) {
            return Ok(Vec::new());
        }
        let limits = self.options.limits;
        let early = seq != self.received + 1;
        let too_early = seq - self.received > limits.messages as u64;
        if early && (too_early || self.held_bytes + size_bytes > limits.total_bytes) {
            return Err(unexpected("too much is missing before this message", seq));
        }
        let refused = message.is_none();
        self.held.insert(seq, Held { message, size_bytes });
        self.held_bytes += size_bytes;
        let (delivered, mut error) = self.drain(now_ms);
        if refused {
            error = Some(unexpected("this side does not accept that payload", seq));
        }
        match error {
            None => Ok(delivered),
            Some(error) => Err(ChannelError { delivered, ..error }),
        }
    }

    /// Takes everything that has no gap before it, and the first error of it.
    fn drain(&mut self, now_ms: u64) -> (Vec<Received>, Option<ChannelError>) {
        let mut delivered = Vec::new();
        let mut first_error = None;
        let before = self.received;
        while let Some(held) = self.held.remove(&(self.received + 1)) {
            self.received += 1;
            self.held_bytes -= held.size_bytes;
            let Some(message) = held.message else { continue };
            match self.whole(message) {
                Ok(message) => delivered.extend(message),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        if self.received > before {
            self.owe_ack(self.received - before, now_ms);
        }
        (delivered, first_error)
    }

    /// A message as it is delivered; `None` for a chunk that others follow.
    fn whole(&mut self, message: Received) -> Result<Option<Received>, ChannelError> {
        let Some(Payload::Chunk(chunk)) = &message.envelope.payload else {
            return Ok(Some(message));
        };
        let seq = self.received;
        let Some((decoded, data)) = self.assembly.add(chunk, seq)? else {
            return Ok(None);
        };
        check_form(&decoded)?;
        self.unknown.payloads += u64::from(decoded.unknown_payload);
        self.unknown.fields += decoded.unknown_fields as u64;
        if !self.accepts(&decoded.envelope) {
            return Err(unexpected("this side does not accept that payload", seq));
        }
        Ok(Some(received(decoded, &data)))
    }

    /// Notes `count` more messages to acknowledge; 0 = a repetition, acknowledged at once.
    fn owe_ack(&mut self, count: u64, now_ms: u64) {
        self.ack_count = self.ack_count.saturating_add(count.try_into().unwrap_or(u32::MAX));
        let at_once = count == 0 || self.ack_count >= ACK_EVERY;
        let due_ms = if at_once { now_ms } else { now_ms + ACK_DELAY_MS };
        self.ack_due_ms = Some(self.ack_due_ms.map_or(due_ms, |known_ms| known_ms.min(due_ms)));
    }

    /// The acknowledgement to write; nothing is owed after it.
    fn take_ack(&mut self) -> u64 {
        self.ack_due_ms = None;
        self.ack_count = 0;
        self.received
    }
}

fn check_send_bytes(max_send_bytes: usize) -> Result<(), ChannelError> {
    if max_send_bytes < MIN_SEND_BYTES {
        return Err(unusable("max_send_bytes must be at least 128"));
    }
    Ok(())
}

/// Refuses what no version of the protocol may say.
fn check_form(decoded: &wire::Decoded) -> Result<(), ChannelError> {
    let seq = decoded.envelope.seq;
    match decoded.envelope.kind() {
        None if decoded.unknown_payload => Ok(()),
        None => Err(malformed("the envelope has no payload", seq)),
        Some(kind) if kind.is_reliable() == (seq != 0) => Ok(()),
        Some(kind) if kind.is_reliable() => {
            Err(malformed("this payload needs a sequence number", seq))
        }
        Some(_) => Err(malformed("this payload must not have a sequence number", seq)),
    }
}

fn received(decoded: wire::Decoded, data: &[u8]) -> Received {
    let encoded = (decoded.unknown_fields > 0).then(|| data.into());
    Received { envelope: decoded.envelope, encoded }
}

/// An envelope on the wire: both numbers stand in front of its payload, a 0 is left out.
fn numbered(seq: u64, ack: u64, body: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(HEADER_BYTES + body.len());
    for (tag, number) in [(SEQ_TAG, seq), (ACK_TAG, ack)] {
        if number != 0 {
            data.push(tag);
            prost::encoding::encode_varint(number, &mut data);
        }
    }
    data.extend_from_slice(body);
    data
}
