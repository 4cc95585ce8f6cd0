//! Where the speaker is on the media clock, between one block and the next.

use voxwire_core::playout::{Block, Span};

/// A peer may round the end of its audio up by this much, milliseconds.
const ROUNDING_MS: u64 = 1;

/// A timer may fire this much early, milliseconds.
const EARLY_MS: f64 = 0.05;

/// How far playout has come, milliseconds of the media clock; below 0 = nothing has sounded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Reached {
    /// Samples at positions up to this one have begun to sound; `None` = none has.
    pub(crate) sounded_ms: Option<u64>,
    /// Everything that was to happen up to here may happen. Where the position stands still this is
    /// the end of what was played, though the sample there has not sounded.
    pub(crate) passed_ms: u64,
}

/// Maps time to the media clock within the block that is being played.
#[derive(Debug)]
pub(crate) struct PositionClock {
    rate: f64,
    at_us: u64,
    /// Of the block that sounds; none = there is none yet.
    spans: Vec<Span>,
    /// Position behind the block.
    end: u64,
    /// Position in front of it.
    before: u64,
}

impl PositionClock {
    /// A clock at position 0 that stands still; `sample_rate` is that of the blocks, Hz.
    pub(crate) fn new(sample_rate: u32) -> Self {
        Self { rate: sample_rate.into(), at_us: 0, spans: Vec::new(), end: 0, before: 0 }
    }

    /// Takes the next block; its first sample sounds at `at_us`.
    pub(crate) fn note(&mut self, at_us: u64, block: &Block) {
        self.before = self.end;
        self.at_us = at_us;
        self.spans.clone_from(&block.spans);
        self.end = block.position;
    }

    /// Position in samples, and whether it moves.
    fn place(&self, now_us: u64) -> (f64, bool) {
        if now_us < self.at_us {
            return (self.before as f64, false);
        }
        let elapsed = (now_us - self.at_us) as f64 * self.rate / 1e6;
        for span in &self.spans {
            if elapsed < (span.offset + span.length) as f64 {
                if !span.kind.moves() {
                    return (span.position as f64, false);
                }
                return (span.position as f64 + (elapsed - span.offset as f64).max(0.0), true);
            }
        }
        (self.end as f64, false)
    }

    /// Position of the next sample to sound, milliseconds.
    pub(crate) fn position_ms(&self, now_us: u64) -> f64 {
        self.place(now_us).0 * 1000.0 / self.rate
    }

    /// How far playout has come.
    pub(crate) fn reached(&self, now_us: u64) -> Reached {
        let (position, moves) = self.place(now_us);
        let position_ms = position * 1000.0 / self.rate;
        if moves {
            let sounded_ms = (position_ms + EARLY_MS).floor() as u64;
            return Reached { sounded_ms: Some(sounded_ms), passed_ms: sounded_ms };
        }
        let end_ms = position_ms.ceil() as u64;
        Reached { sounded_ms: end_ms.checked_sub(1), passed_ms: end_ms + ROUNDING_MS }
    }

    /// When the sample at a position sounds; `None` = not within this block.
    pub(crate) fn time_of(&self, media_ms: u64) -> Option<u64> {
        let wanted = media_ms as f64 * self.rate / 1000.0;
        let holds = |span: &&Span| {
            span.kind.moves() && wanted < (span.position + span.length as u64) as f64
        };
        let span = self.spans.iter().find(holds)?;
        let offset = span.offset as f64 + (wanted - span.position as f64).max(0.0);
        Some(self.at_us + (offset * 1e6 / self.rate).ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use voxwire_core::playout::{Block, Span, SpanKind};

    use super::{PositionClock, Reached};

    fn block(position: u64, kinds: &[(SpanKind, usize)]) -> Block {
        let (mut offset, mut place, mut spans) = (0, position, Vec::new());
        for &(kind, length) in kinds {
            spans.push(Span { offset, length, position: place, kind });
            offset += length;
            place += if kind.moves() { length as u64 } else { 0 };
        }
        Block { samples: vec![0; offset], spans, position: place }
    }

    #[test]
    fn between_blocks_the_position_is_interpolated_and_never_runs_ahead() {
        let mut clock = PositionClock::new(1000);
        assert_eq!(clock.reached(5), Reached { sounded_ms: None, passed_ms: 1 });
        clock.note(1_000_000, &block(0, &[(SpanKind::Played, 20)]));
        assert_eq!(clock.reached(1_010_000), Reached { sounded_ms: Some(10), passed_ms: 10 });
        assert_eq!(clock.reached(1_030_000), Reached { sounded_ms: Some(19), passed_ms: 21 });
        assert_eq!(clock.time_of(15), Some(1_015_000));
        assert_eq!(clock.time_of(20), None);
        clock.note(1_020_000, &block(20, &[(SpanKind::Silent, 10), (SpanKind::Played, 10)]));
        assert_eq!(clock.reached(1_025_000), Reached { sounded_ms: Some(19), passed_ms: 21 });
        assert!((clock.position_ms(1_035_000) - 25.0).abs() < 1e-9);
        assert_eq!(clock.time_of(20), Some(1_030_000));
    }
}
