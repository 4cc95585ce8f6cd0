//! What carries sound: the kept microphone, the peer's clock, RTP in order, playout.

use std::sync::Mutex;

use voxwire_core::{capture, clock, jitter, playout};

use super::held;
use crate::code::VoxwireError;
use crate::values::{
    CaptureState, ClockSample, JitterOptions, JitterStats, Ping, PlayoutOptions, PlayoutState,
    Pong, Span, pong_of,
};

/// Captured audio that is to be sent.
#[derive(Clone, Debug, uniffi::Record)]
pub struct CapturedPiece {
    /// Number of its first sample.
    pub index: u64,
    /// int16 mono.
    pub samples: Vec<i16>,
}

/// Keeps one session's microphone and says what of it is to be sent next.
#[derive(Debug, uniffi::Object)]
pub struct Capture {
    core: Mutex<capture::KeptCapture>,
}

#[uniffi::export]
impl Capture {
    /// Nothing captured and no path. `sample_rate` is Hz; `kept_ms` how long audio is kept.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for more than a minute.
    #[uniffi::constructor(default(kept_ms = 3000))]
    pub fn new(sample_rate: u32, kept_ms: u64) -> Result<Self, VoxwireError> {
        if kept_ms > 60_000 {
            return Err(VoxwireError::invalid("kept_ms is at most 60000"));
        }
        Ok(Self { core: Mutex::new(capture::KeptCapture::new(sample_rate, kept_ms)) })
    }

    /// What it has come to.
    pub fn state(&self) -> CaptureState {
        CaptureState::from(&*held(&self.core))
    }

    /// Takes what the microphone gave at `now_ms`, int16 mono.
    pub fn capture(&self, samples: Vec<i16>, now_ms: u64) {
        held(&self.core).capture(samples, now_ms);
    }

    /// The user is not heard: the count goes on, nothing is kept, what waited is forgotten.
    pub fn mute(&self, num_samples: u64) {
        held(&self.core).mute(num_samples);
    }

    /// No path takes audio any more.
    pub fn park(&self) {
        held(&self.core).park();
    }

    /// A path takes audio, and the server wants it from sample `index` on. Returns how many samples
    /// from there on are not kept any more.
    pub fn resume(&self, index: u64, now_ms: u64) -> u64 {
        held(&self.core).resume(index, now_ms)
    }

    /// The same where the server knows only how long ago the newest of its audio came.
    pub fn resume_after(&self, age_ms: u64, now_ms: u64) -> u64 {
        held(&self.core).resume_after(age_ms, now_ms)
    }

    /// A path takes audio from now on; nothing is sent again.
    pub fn follow(&self) {
        held(&self.core).follow();
    }

    /// What is to be sent next, at most one block as it was captured; it counts as sent.
    pub fn take(&self, now_ms: u64) -> Option<CapturedPiece> {
        let mut core = held(&self.core);
        let piece = core.peek(now_ms)?;
        core.sent(&piece);
        Some(CapturedPiece { index: piece.index, samples: piece.samples().to_vec() })
    }
}

/// Estimates the peer's clock from pings that this side sends. Times are microseconds of each
/// side's own monotonic clock.
#[derive(Debug, Default, uniffi::Object)]
pub struct Clock {
    core: Mutex<clock::ClockSync>,
}

#[uniffi::export]
impl Clock {
    /// An estimate without samples.
    #[uniffi::constructor]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The fastest of the last 8 exchanges; nothing when nothing was measured.
    pub fn best(&self) -> Option<ClockSample> {
        let core = held(&self.core);
        Some(ClockSample { offset_us: core.offset_us()?, rtt_us: core.rtt_us()? })
    }

    /// Returns the next ping, to be sent at `now_us`, which is now.
    pub fn ping(&self, now_us: u64) -> Ping {
        let ping = held(&self.core).ping(now_us);
        Ping { number: ping.number, t0_us: ping.t0_us }
    }

    /// Takes an answer, which arrived at `now_us`. Returns what it measured, or nothing when it
    /// answers no open ping or cannot be true.
    pub fn receive(&self, pong: Pong, now_us: u64) -> Option<ClockSample> {
        held(&self.core).receive(&pong.into(), now_us).map(Into::into)
    }

    /// When the next ping is due, milliseconds.
    pub fn next_ping_ms(&self, now_ms: u64) -> u64 {
        held(&self.core).next_ping_ms(now_ms)
    }
}

/// Answers a ping of the peer that came at `received_us`; `now_us` is when the answer is sent.
#[uniffi::export]
#[must_use]
pub fn pong(ping: Ping, received_us: u64, now_us: u64) -> Pong {
    pong_of(ping, received_us, now_us)
}

/// A packet in its place in the stream.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct Packet {
    /// As on the wire.
    pub sequence_number: u16,
    /// RTP timestamp of the first sample, ticks of the clock rate.
    pub timestamp: u32,
    /// What was pushed, unchanged.
    pub payload: Vec<u8>,
}

/// Audio that did not arrive in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Record)]
pub struct Gap {
    /// RTP timestamp of the first missing sample.
    pub timestamp: u32,
    /// How much to conceal, ticks of the clock rate.
    pub samples: u32,
}

/// What a jitter buffer hands over.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum JitterItem {
    /// A packet, in order.
    Packet {
        /// It.
        packet: Packet,
    },
    /// A hole that is not waited for any more.
    Gap {
        /// It.
        gap: Gap,
    },
}

/// Orders the packets of one RTP audio stream; waits for holes, never for packets in order. Times
/// are milliseconds, with fractions, of one monotonic clock.
#[derive(Debug, uniffi::Object)]
pub struct Jitter {
    core: Mutex<jitter::JitterBuffer>,
}

#[uniffi::export]
impl Jitter {
    /// A buffer that has received nothing.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for options outside their bounds.
    #[uniffi::constructor]
    pub fn new(options: JitterOptions) -> Result<Self, VoxwireError> {
        let invalid = || VoxwireError::invalid("a jitter buffer cannot have these options");
        let options = options.core().ok_or_else(invalid)?;
        Ok(Self { core: Mutex::new(jitter::JitterBuffer::new(options)) })
    }

    /// Takes in one packet, which arrived at `now_ms`.
    pub fn push(&self, packet: Packet, now_ms: f64) {
        let Packet { sequence_number, timestamp, payload } = packet;
        held(&self.core).push(jitter::Packet { sequence_number, timestamp, payload }, now_ms);
    }

    /// Hands over what is ready: packets in order, and gaps that are not waited for any more.
    pub fn pop(&self, now_ms: f64) -> Vec<JitterItem> {
        let items = held(&self.core).pop(now_ms).into_iter().map(|item| match item {
            jitter::Item::Packet(packet) => {
                let jitter::Packet { sequence_number, timestamp, payload } = packet;
                JitterItem::Packet { packet: Packet { sequence_number, timestamp, payload } }
            }
            jitter::Item::Gap(jitter::Gap { timestamp, samples }) => {
                JitterItem::Gap { gap: Gap { timestamp, samples } }
            }
        });
        items.collect()
    }

    /// When `pop` has something to do without another packet; nothing while no hole is pending.
    pub fn next_due_ms(&self) -> Option<f64> {
        held(&self.core).next_due_ms()
    }

    /// The counters.
    pub fn stats(&self) -> JitterStats {
        held(&self.core).stats().into()
    }
}

/// What the speaker plays next.
#[derive(Clone, Debug, uniffi::Record)]
pub struct Block {
    /// int16 mono at the playout rate.
    pub samples: Vec<i16>,
    /// What it consists of; together they cover the block.
    pub spans: Vec<Span>,
    /// Position after the block, samples on the media clock.
    pub position: u64,
}

/// Adaptive playout buffer of one track; owned by one player. Positions are samples on the media
/// clock.
#[derive(Debug, uniffi::Object)]
pub struct Playout {
    core: Mutex<playout::PlayoutBuffer>,
}

#[uniffi::export]
impl Playout {
    /// An empty buffer at position 0.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for a sample rate below 1000 Hz.
    #[uniffi::constructor]
    pub fn new(options: PlayoutOptions) -> Result<Self, VoxwireError> {
        let invalid = || VoxwireError::invalid("sample_rate is at least 1000 Hz");
        let options = options.core().ok_or_else(invalid)?;
        Ok(Self { core: Mutex::new(playout::PlayoutBuffer::new(options)) })
    }

    /// Where it is, and what has happened to the audio.
    pub fn state(&self) -> PlayoutState {
        PlayoutState::from(&*held(&self.core))
    }

    /// Takes audio, int16 mono, at the position of its first sample.
    pub fn push(&self, sample_index: u64, samples: Vec<i16>) {
        held(&self.core).push(sample_index, &samples);
    }

    /// Hands out the next block; always `num_samples` long.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for more than 30 seconds at 48 kHz.
    pub fn pull(&self, num_samples: u64) -> Result<Block, VoxwireError> {
        if num_samples > crate::values::MAX_PULL {
            return Err(VoxwireError::invalid("a block is at most 1440000 samples"));
        }
        let block = held(&self.core).pull(num_samples as usize);
        let spans = block.spans.into_iter().map(Into::into).collect();
        Ok(Block { samples: block.samples, spans, position: block.position })
    }

    /// Takes back audio of a continuous stream that was given a place it does not have.
    pub fn rewind(&self, sample_index: u64, misplaced: u64) {
        held(&self.core).rewind(sample_index, misplaced);
    }

    /// Falls silent within 10 ms and drops everything before `until`, also what comes later.
    /// Returns the position at which the sound stops.
    pub fn flush(&self, until: u64) -> u64 {
        held(&self.core).flush(until)
    }

    /// Drops what is buffered and waits for another stream; position and counters stay.
    pub fn restart(&self, target_ms: u32, continuous: bool) {
        held(&self.core).restart(target_ms, continuous);
    }
}
