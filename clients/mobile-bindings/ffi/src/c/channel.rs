//! Numbered delivery.

use super::memory::{Bytes, BytesList, Kept, Object, Text, free, give, given, handle, on, put};
use crate::code::{ErrorCode, VoxwireError};
use crate::kinds::Side;
use crate::objects;
use crate::values::ReplayLimits;

/// One side of a session's numbered message exchange. Times are milliseconds of one monotonic
/// clock, of any origin.
#[derive(Debug)]
pub struct Channel(Object<objects::Channel>);

handle!(Channel of objects::Channel);

/// Sizes and limits of a channel.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ChannelOptions {
    /// Who the other side is (`VoxwireSide`): it decides which payloads may be received.
    pub peer: i32,
    /// Largest envelope that the peer accepts, bytes; at least 128.
    pub max_send_bytes: u64,
    /// Largest envelope accepted from the peer, bytes.
    pub max_receive_bytes: u64,
    /// Largest chunked message in either direction, bytes.
    pub max_message_bytes: u64,
    /// Bounds of what is kept and held.
    pub limits: ReplayLimits,
}

/// Where a channel is; `UINT64_MAX` stands for a time that there is not.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ChannelState {
    /// Highest number received without a gap; 0 = none.
    pub last_received: u64,
    /// Highest number sent; 0 = none.
    pub last_sent: u64,
    /// How many sent messages the peer has not acknowledged.
    pub unacknowledged: u64,
    /// When `voxwire_channel_outgoing` wants to be called next, milliseconds.
    pub next_due_ms: u64,
    /// When the oldest message that is kept for a replay was sent, milliseconds.
    pub waiting_since_ms: u64,
    /// Largest envelope that the peer accepts, bytes.
    pub max_send_bytes: u64,
    /// Envelopes that came with a payload that this version does not know.
    pub unknown_payloads: u64,
    /// Fields that came and that this version does not know, at any depth.
    pub unknown_fields: u64,
}

/// A message that was delivered.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Number of its payload in the schema; 0 = one that this version does not know.
    pub payload: u32,
    /// Its number; of a chunked one that of its last chunk. 0 = not numbered.
    pub seq: u64,
    /// The envelope, without what this version does not know.
    pub envelope: Bytes,
    /// The envelope as it came, when there is something in it that this version does not know.
    pub encoded: Bytes,
}

/// Messages that were delivered, in order.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ReceivedList {
    /// The first one.
    pub items: *const Received,
    /// How many there are.
    pub len: usize,
}

/// What can be said of an envelope without its payload.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeInfo {
    /// Its number; 0 = not numbered.
    pub seq: u64,
    /// Highest number that its sender has received; 0 = not said.
    pub ack: u64,
    /// Number of its payload in the schema; 0 = none, or one that this version does not know.
    pub payload: u32,
    /// True for a payload that is numbered, acknowledged and replayed.
    pub reliable: bool,
    /// Whether a client may send it.
    pub from_client: bool,
    /// Whether a server may send it.
    pub from_server: bool,
    /// True when its payload is one that this version does not know.
    pub unknown_payload: bool,
    /// Fields that this version does not know, at any depth.
    pub unknown_fields: u64,
}

/// What the specification says unless `Hello` or `Welcome` says otherwise; `peer` is a
/// `VoxwireSide`.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_defaults(peer: i32) -> ChannelOptions {
    ChannelOptions {
        peer,
        max_send_bytes: 65_536,
        max_receive_bytes: 65_536,
        max_message_bytes: 1_048_576,
        limits: ReplayLimits { messages: 2048, total_bytes: 512 * 1024, age_ms: 60_000 },
    }
}

/// A channel that has neither sent nor received anything. `INVALID_ARGUMENT` for a peer that there
/// is not, and for a `max_send_bytes` below 128.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_new(
    options: *const ChannelOptions,
    out: *mut *mut Channel,
) -> ErrorCode {
    give(out, || {
        let options = given(options)?;
        let no_peer = || VoxwireError::invalid("there is no such peer");
        let inner = objects::Channel::new(objects::ChannelOptions {
            peer: Side::numbered(options.peer).ok_or_else(no_peer)?,
            max_send_bytes: options.max_send_bytes,
            max_receive_bytes: options.max_receive_bytes,
            max_message_bytes: options.max_message_bytes,
            limits: Some(options.limits),
        })?;
        Ok(Channel(Object::new(inner)))
    })
}

/// Frees a channel, and what it handed out.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_free(channel: *mut Channel) {
    free(channel);
}

/// Forgets everything and numbers anew, after a resume that was answered with `resumed` = false.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_restart(channel: *mut Channel) -> ErrorCode {
    on(channel, |inner, _| {
        inner.restart();
        Ok(())
    })
}

/// Takes what the peer has said about the largest envelope that it accepts, bytes.
/// `INVALID_ARGUMENT` below 128.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_set_max_send_bytes(
    channel: *mut Channel,
    max_send_bytes: u64,
) -> ErrorCode {
    on(channel, |inner, _| inner.set_max_send_bytes(max_send_bytes))
}

/// Where it is.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_state(
    channel: *mut Channel,
    out: *mut ChannelState,
) -> ErrorCode {
    on(channel, |inner, _| {
        let state = inner.state();
        put(
            out,
            ChannelState {
                last_received: state.last_received,
                last_sent: state.last_sent,
                unacknowledged: state.unacknowledged,
                next_due_ms: state.next_due_ms.unwrap_or(u64::MAX),
                waiting_since_ms: state.waiting_since_ms.unwrap_or(u64::MAX),
                max_send_bytes: state.max_send_bytes,
                unknown_payloads: state.unknown_payloads,
                unknown_fields: state.unknown_fields,
            },
        );
        Ok(())
    })
}

/// Whether an envelope can be sent without pushing an unacknowledged one out of the replay.
/// `INVALID_ARGUMENT` for bytes that are no envelope.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_has_room(
    channel: *mut Channel,
    envelope: Bytes,
    out: *mut bool,
) -> ErrorCode {
    on(channel, |inner, _| {
        put(out, inner.has_room(envelope.read())?);
        Ok(())
    })
}

/// Numbers, encodes and keeps an envelope; a `seq` or `ack` in it is ignored. Gives encoded
/// envelopes, to be written in this order. `INVALID_ARGUMENT` for bytes that are no envelope,
/// without a payload or with a chunk; `TOO_LARGE` above the limits. Nothing is numbered then.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_send(
    channel: *mut Channel,
    envelope: Bytes,
    now_ms: u64,
    out: *mut BytesList,
) -> ErrorCode {
    on(channel, |inner, kept| {
        let written = inner.send(envelope.read(), now_ms)?;
        put(out, kept.bytes_list(written));
        Ok(())
    })
}

/// Takes one encoded envelope from a carrier. Gives what is now deliverable, in order, **also when
/// it fails**: `MALFORMED`, `TOO_LARGE` or `UNEXPECTED_MESSAGE` is about one message, and the
/// channel goes on.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_receive(
    channel: *mut Channel,
    data: Bytes,
    now_ms: u64,
    out: *mut ReceivedList,
) -> ErrorCode {
    on(channel, |inner, kept| {
        let receipt = inner.receive(data.read(), now_ms);
        let messages = receipt.messages.into_iter().map(|message| received(kept, message));
        let messages = messages.collect();
        let (items, len) = kept.list(messages);
        put(out, ReceivedList { items, len });
        match receipt.refusal {
            None => Ok(()),
            Some(objects::Refusal { code, reason, seq }) => {
                Err(VoxwireError::Refused { code, reason, seq })
            }
        }
    })
}

fn received(kept: &mut Kept, message: objects::Received) -> Received {
    Received {
        payload: message.payload,
        seq: message.seq,
        envelope: kept.bytes(message.envelope),
        encoded: kept.optional_bytes(message.encoded),
    }
}

/// Gives the standalone acknowledgement if it is due, else no bytes.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_outgoing(
    channel: *mut Channel,
    now_ms: u64,
    out: *mut Bytes,
) -> ErrorCode {
    on(channel, |inner, kept| {
        let ack = inner.outgoing(now_ms);
        put(out, kept.optional_bytes(ack));
        Ok(())
    })
}

/// Notes that the carrier is gone: an acknowledgement owed on it is not owed any more.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_on_lost(channel: *mut Channel, now_ms: u64) -> ErrorCode {
    on(channel, |inner, _| {
        inner.on_lost(now_ms);
        Ok(())
    })
}

/// Encodes again what the peer has not received; `last_seq` is what it has. `kept` is false when
/// some of it is no longer kept: both sides restart then. `MALFORMED` when `last_seq` was never
/// sent.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_channel_resume(
    channel: *mut Channel,
    last_seq: u64,
    now_ms: u64,
    kept: *mut bool,
    out: *mut BytesList,
) -> ErrorCode {
    on(channel, |inner, shown| {
        let written = inner.resume(last_seq, now_ms)?;
        put(kept, written.is_some());
        put(out, shown.bytes_list(written.unwrap_or_default()));
        Ok(())
    })
}

/// Reads what can be said of an envelope; its name is that of its payload in the schema, with
/// static storage. `MALFORMED` for bytes that are no envelope.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_inspect(
    envelope: Bytes,
    out: *mut EnvelopeInfo,
    name: *mut Text,
) -> ErrorCode {
    super::memory::guard(|| {
        let info = objects::inspect(envelope.read())?;
        let known = voxwire_core::wire::PayloadKind::with_number(info.payload);
        let known = known.map_or("", voxwire_core::wire::PayloadKind::name);
        put(name, Text { data: known.as_ptr().cast(), len: known.len() });
        put(
            out,
            EnvelopeInfo {
                seq: info.seq,
                ack: info.ack,
                payload: info.payload,
                reliable: info.reliable,
                from_client: info.from_client,
                from_server: info.from_server,
                unknown_payload: info.unknown_payload,
                unknown_fields: info.unknown_fields,
            },
        );
        Ok(())
    })
}
