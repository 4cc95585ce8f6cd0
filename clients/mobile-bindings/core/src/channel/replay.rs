//! Sent messages that the peer has not acknowledged.

use std::collections::VecDeque;

use super::CHUNK_BYTES;
use super::error::{ChannelError, malformed};

/// How much is kept for a replay, and how much is held that arrived early.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReplayLimits {
    /// Most messages kept; also how far ahead of a gap a number may be.
    pub messages: usize,
    /// Most bytes kept, and most bytes held behind a gap.
    pub total_bytes: usize,
    /// How long a message is kept, milliseconds.
    pub age_ms: u64,
}

impl ReplayLimits {
    /// Those of protocol/spec/session.md, "Numbered delivery".
    pub const DEFAULT: Self = Self { messages: 2048, total_bytes: 512 * 1024, age_ms: 60_000 };
}

impl Default for ReplayLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Sent messages that the peer has not acknowledged, with consecutive numbers.
#[derive(Debug)]
pub(super) struct Replay {
    limits: ReplayLimits,
    last: u64,
    acknowledged: u64,
    /// The newest has the number `last`.
    kept: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    sent_ms: u64,
    body: Vec<u8>,
}

impl Replay {
    pub(super) const fn new(limits: ReplayLimits) -> Self {
        Self { limits, last: 0, acknowledged: 0, kept: VecDeque::new(), bytes: 0 }
    }

    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    pub(super) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// When the oldest message that is kept was sent.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        self.kept.front().map(|oldest| oldest.sent_ms)
    }

    /// True when a body of that size, in such pieces, fits without dropping another one.
    pub(super) fn has_room(&self, num_bytes: usize, piece_bytes: usize) -> bool {
        let pieces = num_bytes.div_ceil(piece_bytes);
        self.kept.len() + pieces <= self.limits.messages
            && self.bytes + num_bytes + pieces * CHUNK_BYTES <= self.limits.total_bytes
    }

    /// Keeps a message; it has the next number.
    pub(super) fn append(&mut self, body: Vec<u8>, now_ms: u64) {
        self.last += 1;
        self.bytes += body.len();
        self.kept.push_back(Kept { sent_ms: now_ms, body });
        self.expire(now_ms);
    }

    /// Forgets everything up to `seq`.
    pub(super) fn acknowledge(&mut self, seq: u64) -> Result<(), ChannelError> {
        if seq > self.last {
            return Err(malformed("acknowledges a message that was not sent", 0));
        }
        self.acknowledged = self.acknowledged.max(seq);
        for _ in self.forgotten()..seq {
            self.drop_first();
        }
        Ok(())
    }

    /// Forgets what exceeds the limits.
    pub(super) fn expire(&mut self, now_ms: u64) {
        while self.exceeds(now_ms) {
            self.drop_first();
        }
    }

    /// Whether everything after `seq` is kept.
    pub(super) fn reaches(&self, seq: u64) -> bool {
        self.forgotten() <= seq
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Number and body of everything that is kept.
    pub(super) fn kept(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (self.forgotten() + 1..).zip(self.kept.iter().map(|kept| &*kept.body))
    }

    /// The highest number that is not kept any more.
    fn forgotten(&self) -> u64 {
        self.last - self.kept.len() as u64
    }

    fn exceeds(&self, now_ms: u64) -> bool {
        self.kept.len() > self.limits.messages
            || self.bytes > self.limits.total_bytes
            || self
                .oldest_ms()
                .is_some_and(|sent_ms| now_ms.saturating_sub(sent_ms) > self.limits.age_ms)
    }

    fn drop_first(&mut self) {
        if let Some(oldest) = self.kept.pop_front() {
            self.bytes -= oldest.body.len();
        }
    }
}
