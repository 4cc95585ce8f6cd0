//! The audio that is sent: Opus packets whose timestamps run on without a jump.
//!
//! Blocks go out as the user's audio comes, on the clock of whoever captures it. While nothing
//! comes silence does, since a path lives as long as its packets flow.

use crate::BLOCK_MS;
use crate::opus::{CLOCK_RATE, Encoder, OpusError};

const BLOCK_US: u64 = BLOCK_MS as u64 * 1000;
const BLOCK_TICKS: u32 = CLOCK_RATE / 1000 * BLOCK_MS;

/// Nothing was captured for this long: silence is sent in its place. Shorter is a stall of whoever
/// captures, and what was captured meanwhile comes all the same.
const IDLE_US: u64 = 200_000;

/// One packet that is to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// RTP timestamp of its first sample, 48 kHz.
    pub timestamp: u32,
    /// Counts the packets from 0; the sender numbers them on the wire.
    pub number: u64,
    /// The Opus packet.
    pub payload: Vec<u8>,
}

/// The send path of one audio stream.
#[derive(Debug)]
pub struct Outbound {
    encoder: Encoder,
    ticks_per_sample: u32,
    /// Samples that are no whole block yet.
    rest: Vec<i16>,
    timestamp: u32,
    number: u64,
    /// When silence is due; `None` before the stream has begun.
    idle_at_us: Option<u64>,
}

impl Outbound {
    /// A stream of `sample_rate` whose first sample has the RTP timestamp `origin`, a random number
    /// (RFC 3550 §5.1).
    ///
    /// # Errors
    ///
    /// Opus has no such rate.
    pub fn new(sample_rate: u32, origin: u32) -> Result<Self, OpusError> {
        Ok(Self {
            encoder: Encoder::new(sample_rate, BLOCK_MS)?,
            ticks_per_sample: CLOCK_RATE / sample_rate,
            rest: Vec::new(),
            timestamp: origin,
            number: 0,
            idle_at_us: None,
        })
    }

    /// The connection is there: silence flows from `now_us` on.
    pub fn begin(&mut self, now_us: u64) {
        self.idle_at_us.get_or_insert(now_us);
    }

    /// RTP timestamp of the sample that is pushed next.
    #[must_use]
    pub fn next_timestamp(&self) -> u32 {
        self.timestamp.wrapping_add(self.ticks_per_sample * self.rest.len() as u32)
    }

    /// Takes the user's audio, int16 mono; returns the packets that are complete.
    ///
    /// # Errors
    ///
    /// The codec failed.
    pub fn push(&mut self, samples: &[i16], now_us: u64) -> Result<Vec<Frame>, OpusError> {
        if self.idle_at_us.is_none() {
            return Ok(Vec::new());
        }
        self.idle_at_us = Some(now_us + IDLE_US);
        self.rest.extend_from_slice(samples);
        let length = self.encoder.block_samples();
        let whole = self.rest.len() / length * length;
        let blocks: Vec<i16> = self.rest.drain(..whole).collect();
        let mut frames = Vec::new();
        for block in blocks.chunks_exact(length) {
            let payload = if block.iter().all(|sample| *sample == 0) {
                self.encoder.silence()?
            } else {
                self.encoder.encode(block)?
            };
            frames.push(self.frame(payload));
        }
        Ok(frames)
    }

    /// Returns the silence that is due, the end of what was pushed ahead of it.
    ///
    /// # Errors
    ///
    /// The codec failed.
    pub fn tick(&mut self, now_us: u64) -> Result<Option<Frame>, OpusError> {
        let Some(due_us) = self.idle_at_us.filter(|due_us| now_us >= *due_us) else {
            return Ok(None);
        };
        // After a stall the silence that was missed is not made up for.
        self.idle_at_us = Some(if now_us - due_us > IDLE_US { now_us } else { due_us } + BLOCK_US);
        let payload = if self.rest.is_empty() {
            self.encoder.silence()?
        } else {
            let mut block = std::mem::take(&mut self.rest);
            block.resize(self.encoder.block_samples(), 0);
            self.encoder.encode(&block)?
        };
        Ok(Some(self.frame(payload)))
    }

    /// When [`tick`](Self::tick) has something to do, microseconds.
    #[must_use]
    pub const fn next_due_us(&self) -> Option<u64> {
        self.idle_at_us
    }

    fn frame(&mut self, payload: Vec<u8>) -> Frame {
        let frame = Frame { timestamp: self.timestamp, number: self.number, payload };
        self.timestamp = self.timestamp.wrapping_add(BLOCK_TICKS);
        self.number += 1;
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Outbound};

    fn begun() -> Outbound {
        let mut outbound = Outbound::new(16_000, u32::MAX - 959).unwrap();
        outbound.begin(0);
        outbound
    }

    fn told(frames: &[Frame]) -> Vec<(u64, u32)> {
        frames.iter().map(|frame| (frame.number, frame.timestamp)).collect()
    }

    #[test]
    fn nothing_goes_out_before_there_is_a_connection() {
        let mut outbound = Outbound::new(16_000, 0).unwrap();
        assert_eq!(outbound.push(&[1; 640], 0).unwrap(), []);
        assert_eq!((outbound.tick(1_000_000).unwrap(), outbound.next_due_us()), (None, None));
    }

    #[test]
    fn blocks_go_out_as_they_come_and_their_timestamps_run_on() {
        let mut outbound = begun();
        let frames = outbound.push(&[100; 700], 0).unwrap();
        assert_eq!(told(&frames), [(0, u32::MAX - 959), (1, 0)]);
        assert_eq!(outbound.next_timestamp(), 960 + 60 * 3);
        let frames = outbound.push(&[100; 260], 5000).unwrap();
        assert_eq!(told(&frames), [(2, 960)]);
        assert_eq!(outbound.next_timestamp(), 1920);
    }

    #[test]
    fn silence_flows_while_nothing_is_captured_and_a_stall_is_none() {
        let mut outbound = begun();
        let first = outbound.tick(0).unwrap().unwrap();
        assert_eq!((first.number, outbound.next_due_us()), (0, Some(20_000)));
        assert!(outbound.tick(19_999).unwrap().is_none());
        assert_eq!(outbound.tick(20_000).unwrap().unwrap().number, 1);
        outbound.push(&[100; 330], 30_000).unwrap();
        assert!(outbound.tick(229_999).unwrap().is_none(), "it may come yet");
        let rest = outbound.tick(230_000).unwrap().unwrap();
        assert_eq!((rest.number, outbound.next_timestamp()), (3, 2880));
        assert_eq!(outbound.next_due_us(), Some(250_000));
        assert_eq!(outbound.tick(900_000).unwrap().unwrap().number, 4);
        assert_eq!(outbound.next_due_us(), Some(920_000), "what was missed is not made up for");
    }
}
