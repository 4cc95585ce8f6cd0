//! What a playout buffer hands to a speaker: blocks, and what each piece of one is.

/// Peak (of 32768) at or below which a block counts as silence.
const QUIET: u16 = 16;

/// What a piece of a block is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpanKind {
    /// Bot audio at its position.
    Played,
    /// Silence that the media clock holds between two pieces; the position moves on.
    Gap,
    /// Made up to hide that audio is late; the position stands still.
    Concealed,
    /// Nothing to play; the position stands still.
    Silent,
}

impl SpanKind {
    /// True where the position moves with the samples.
    #[must_use]
    pub const fn moves(self) -> bool {
        matches!(self, Self::Played | Self::Gap)
    }
}

/// A piece of a block, in samples.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// Where in the block it begins.
    pub offset: usize,
    /// How long it is.
    pub length: usize,
    /// Where on the media clock it is.
    pub position: u64,
    /// What it is.
    pub kind: SpanKind,
}

/// What the speaker plays next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    /// int16 mono at the playout rate.
    pub samples: Vec<i16>,
    /// What it consists of; together they cover the block.
    pub spans: Vec<Span>,
    /// Position after the block.
    pub position: u64,
}

/// The samples with a linear fade to silence over their whole length.
pub(super) fn fade_out(samples: &[i16]) -> Vec<i16> {
    let length = samples.len() as f64;
    let faded = samples.iter().enumerate().map(|(at, sample)| {
        let share = 1.0 - at as f64 / length;
        (f64::from(*sample) * share) as i16
    });
    faded.collect()
}

/// True when there is more than silence in it.
pub(super) fn is_loud(samples: &[i16]) -> bool {
    samples.iter().any(|sample| sample.unsigned_abs() > QUIET)
}
