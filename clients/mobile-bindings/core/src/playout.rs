//! The playout buffer: bot audio by position on the media clock, handed to a speaker in blocks.
//!
//! No clock is read: time passes as samples are pulled. Positions are sample indexes on the media
//! clock at the playout rate; the position of the buffer is that of the next sample to sound. It
//! freezes when there is nothing to play, jumps forward over what was never sent, and never goes
//! back - but for the silence that a continuous stream sends where nothing is placed
//! ([`PlayoutBuffer::rewind`]).

mod block;
mod queue;

use std::collections::VecDeque;

pub use block::{Block, Span, SpanKind};
use block::{fade_out, is_loud};
use queue::{Piece, Queue};

/// Length of the fade before a flush falls silent, milliseconds.
pub const FADE_MS: u32 = 10;

/// Longest piece that is made up when audio is late, milliseconds.
pub const CONCEAL_MS: u32 = 20;

/// A longer hole between two buffered pieces is jumped over; a shorter one is a pause,
/// milliseconds.
pub const MAX_GAP_MS: u32 = 500;

/// Audio that continues a dry buffer within this time was late; after it, it is a new start,
/// milliseconds.
pub const LATE_MS: u32 = 500;

/// Audio further ahead of the position is refused, milliseconds.
pub const MAX_AHEAD_MS: u32 = 3_600_000;

/// Most audio that is kept; what comes on top is refused, milliseconds.
pub const MAX_BUFFERED_MS: u32 = 30_000;

/// Least growth of the target after an underrun, milliseconds.
const STEP_MS: u32 = 20;

/// Played without underrun for this long, the target shrinks by [`DECAY_MS`].
const DECAY_AFTER_MS: u32 = 10_000;

/// One step of the target back to where it started, milliseconds.
const DECAY_MS: u32 = 10;

/// A continuous stream this far above the target gives up silence, milliseconds.
const TRIM_ABOVE_MS: u32 = 60;

/// A codec smears the onset of a sound this far ahead of it (Opus: by its look-ahead, 6.5 ms),
/// milliseconds.
const SMEAR_MS: u32 = 10;

/// Ends of pieces with sound in them that are remembered, to go back no further.
const KEPT_ENDS: usize = 64;

/// What a [`PlayoutBuffer`] is made with.
#[derive(Clone, Copy, Debug)]
pub struct PlayoutOptions {
    /// Of everything pushed and pulled, Hz.
    pub sample_rate: u32,
    /// Delay to start with, milliseconds; grows to `max_target_ms` on underruns, decays again.
    pub target_ms: u32,
    /// Longest delay, milliseconds.
    pub max_target_ms: u32,
    /// True for a stream that sends silence too (RTP): silence is given up to get rid of delay that
    /// a stall left behind.
    pub continuous: bool,
}

impl PlayoutOptions {
    /// 40 ms to start with, 200 ms at most, a stream that is silent between utterances.
    #[must_use]
    pub const fn new(sample_rate: u32) -> Self {
        Self { sample_rate, target_ms: 40, max_target_ms: 200, continuous: false }
    }
}

/// What has happened to the audio.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PlayoutStats {
    /// How often audio came too late.
    pub underruns: u64,
    /// Samples dropped because their position had passed or was flushed.
    pub late_samples: u64,
    /// Samples dropped because they lay too far ahead or were too many.
    pub refused_samples: u64,
    /// Silence given up to catch up with a continuous stream, samples.
    pub trimmed_samples: u64,
}

/// What sounds before anything else: the end of what was flushed, or what is made up.
#[derive(Debug)]
struct Tail {
    piece: Piece,
    kind: SpanKind,
}

/// Adaptive playout buffer of one track; owned by one player.
#[derive(Debug)]
pub struct PlayoutBuffer {
    rate: u64,
    max_target_ms: u32,
    first_target_ms: u32,
    target_ms: u32,
    continuous: bool,
    position: u64,
    playing: bool,
    stats: PlayoutStats,
    queue: Queue,
    tail: Option<Tail>,
    void_until: u64,
    waited: u64,
    /// Samples since it ran dry; `None` = it did not.
    dry: Option<u64>,
    /// Concealment of the current dry spell, not known yet to be needed.
    made_up: u64,
    concealed: u64,
    since_underrun: u64,
    /// The end of what sounded last, at most [`CONCEAL_MS`].
    last: Vec<i16>,
    loud_ends: VecDeque<u64>,
}

impl PlayoutBuffer {
    /// An empty buffer at position 0.
    #[must_use]
    pub fn new(options: PlayoutOptions) -> Self {
        Self {
            rate: options.sample_rate.into(),
            max_target_ms: options.max_target_ms,
            first_target_ms: options.target_ms,
            target_ms: options.target_ms,
            continuous: options.continuous,
            position: 0,
            playing: false,
            stats: PlayoutStats::default(),
            queue: Queue::default(),
            tail: None,
            void_until: 0,
            waited: 0,
            dry: None,
            made_up: 0,
            concealed: 0,
            since_underrun: 0,
            last: Vec::new(),
            loud_ends: VecDeque::new(),
        }
    }

    /// Position of the next sample to sound.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Audio that is gathered before playing starts, milliseconds.
    #[must_use]
    pub const fn target_ms(&self) -> u32 {
        self.target_ms
    }

    /// True while audio is handed out.
    #[must_use]
    pub const fn is_playing(&self) -> bool {
        self.playing
    }

    /// What has happened to the audio.
    #[must_use]
    pub const fn stats(&self) -> PlayoutStats {
        self.stats
    }

    /// Audio received but not yet handed out, milliseconds.
    #[must_use]
    pub const fn buffered_ms(&self) -> u64 {
        self.queue.samples() * 1000 / self.rate
    }

    /// Audio made up to hide gaps, milliseconds.
    #[must_use]
    pub const fn concealed_ms(&self) -> u64 {
        self.concealed * 1000 / self.rate
    }

    /// True when pulling gives silence and changes nothing, until something is pushed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let settled = self.dry.is_none_or(|dry| dry > self.samples(LATE_MS));
        !self.playing && settled && self.queue.is_empty() && self.tail.is_none()
    }

    /// Takes audio, int16 mono, at the position of its first sample. What is late, void or already
    /// there is ignored.
    pub fn push(&mut self, sample_index: u64, samples: &[i16]) {
        let end = sample_index.saturating_add(samples.len() as u64);
        let start = sample_index.max(self.position).max(self.void_until);
        self.stats.late_samples += start.min(end) - sample_index;
        if start >= end {
            return;
        }
        let too_far = end - self.position > self.samples(MAX_AHEAD_MS);
        if too_far || self.queue.samples() + end - start > self.samples(MAX_BUFFERED_MS) {
            self.stats.refused_samples += end - start;
            return;
        }
        if let Some(dry) = self.dry.take()
            && start == self.position
        {
            self.note_underrun(dry);
        }
        self.queue.insert(start, &samples[(start - sample_index) as usize..]);
    }

    /// Hands out the next block; always `num_samples` long.
    pub fn pull(&mut self, num_samples: usize) -> Block {
        let mut out = vec![0; num_samples];
        let mut spans = Vec::new();
        let mut filled = 0;
        while filled < num_samples {
            let span = self.next(&mut out, filled);
            filled += span.length;
            if span.length > 0 {
                spans.push(span);
            }
        }
        Block { samples: out, spans, position: self.position }
    }

    /// Takes back audio of a continuous stream that was given a place it does not have.
    ///
    /// A stream sends silence while nothing is placed, and its packets may overtake the message
    /// that says where they belong. Once that says that what was pushed at `misplaced` begins at
    /// `sample_index`, that audio is dropped, to be pushed again, and what came before it and
    /// reaches beyond `sample_index` was no part of the media clock. The position goes back over
    /// silence and over what sounded at `misplaced` and up to 10 ms ahead of it, and over nothing
    /// else.
    pub fn rewind(&mut self, sample_index: u64, misplaced: u64) {
        self.queue.keep_before(misplaced.min(sample_index));
        let smeared = misplaced.saturating_sub(self.samples(SMEAR_MS));
        while self.loud_ends.back().is_some_and(|end| *end > smeared) {
            self.loud_ends.pop_back();
        }
        let heard_until = self.loud_ends.back().copied().unwrap_or(0);
        let back = sample_index.max(heard_until).max(self.void_until);
        self.position = self.position.min(back);
    }

    /// Falls silent: fades within 10 ms and drops everything before `until`, also what comes later.
    ///
    /// Returns the position at which the sound stops.
    pub fn flush(&mut self, until: u64) -> u64 {
        if until <= self.position {
            return self.position;
        }
        if self.playing {
            self.fade(self.samples(FADE_MS).min(until - self.position));
            self.playing = false;
        }
        self.void_until = self.void_until.max(until);
        self.dry = None;
        self.waited = 0;
        self.queue.keep_from(until);
        self.position
    }

    /// Drops what is buffered and waits for another stream; position and counters stay.
    pub fn restart(&mut self, target_ms: u32, continuous: bool) {
        self.target_ms = target_ms;
        self.first_target_ms = target_ms;
        self.continuous = continuous;
        self.playing = false;
        self.dry = None;
        self.waited = 0;
        self.queue = Queue::default();
    }

    const fn samples(&self, duration_ms: u32) -> u64 {
        duration_ms as u64 * self.rate / 1000
    }

    /// Fills some of the block.
    fn next(&mut self, out: &mut [i16], filled: usize) -> Span {
        let room = out.len() - filled;
        if let Some(tail) = self.tail.take() {
            return self.take_tail(tail, out, filled);
        }
        if self.playing || self.start(room) {
            return self.take(out, filled);
        }
        if let Some(dry) = &mut self.dry {
            *dry += room as u64;
        }
        Span { offset: filled, length: room, position: self.position, kind: SpanKind::Silent }
    }

    /// Grows the target when audio continues what ran dry a moment ago.
    fn note_underrun(&mut self, dry: u64) {
        if dry > self.samples(LATE_MS) {
            return;
        }
        self.stats.underruns += 1;
        self.concealed += self.made_up;
        self.made_up = 0;
        self.since_underrun = 0;
        let late_ms = u32::try_from(dry * 1000 / self.rate).unwrap_or(u32::MAX);
        let grown_ms = self.target_ms.saturating_add(late_ms.max(STEP_MS));
        self.target_ms = grown_ms.min(self.max_target_ms);
    }

    /// Decides whether enough is gathered; jumps to the first audio if so.
    fn start(&mut self, num_samples: usize) -> bool {
        let Some(first) = self.queue.start() else {
            self.waited = 0;
            return false;
        };
        let target = self.samples(self.target_ms);
        if self.queue.samples() < target && self.waited < target {
            self.waited += num_samples as u64;
            return false;
        }
        self.waited = 0;
        self.playing = true;
        self.position = self.position.max(first);
        true
    }

    /// Fills some of the block from what is buffered.
    fn take(&mut self, out: &mut [i16], filled: usize) -> Span {
        if self.continuous {
            self.trim();
        }
        let Some(start) = self.queue.start() else {
            return self.conceal(out, filled);
        };
        let room = out.len() - filled;
        let gap = start.saturating_sub(self.position);
        if gap > self.samples(MAX_GAP_MS) {
            self.position = start;
        } else if gap > 0 {
            let length = room.min(gap as usize);
            return self.advance(filled, length, SpanKind::Gap, out);
        }
        let length = self.queue.take(&mut out[filled..]);
        self.advance(filled, length, SpanKind::Played, out)
    }

    /// Moves the position and remembers the end of what sounded, for concealment.
    fn advance(&mut self, offset: usize, length: usize, kind: SpanKind, out: &[i16]) -> Span {
        let span = Span { offset, length, position: self.position, kind };
        let played = &out[offset..offset + length];
        self.position += length as u64;
        if self.continuous && is_loud(played) {
            self.loud_ends.push_back(self.position);
            if self.loud_ends.len() > KEPT_ENDS {
                self.loud_ends.pop_front();
            }
        }
        let keep = self.samples(CONCEAL_MS) as usize;
        self.last.extend_from_slice(&played[length.saturating_sub(keep)..]);
        self.last.drain(..self.last.len().saturating_sub(keep));
        self.since_underrun += length as u64;
        if self.since_underrun >= self.samples(DECAY_AFTER_MS) {
            self.since_underrun = 0;
            let shrunk_ms = self.target_ms.saturating_sub(DECAY_MS);
            self.target_ms = shrunk_ms.max(self.first_target_ms);
        }
        span
    }

    /// Repeats the last sound once, fading, and stops playing.
    fn conceal(&mut self, out: &mut [i16], filled: usize) -> Span {
        self.playing = false;
        self.dry = Some(0);
        self.made_up = 0;
        let piece = Piece { start: self.position, samples: fade_out(&self.last) };
        self.take_tail(Tail { piece, kind: SpanKind::Concealed }, out, filled)
    }

    /// Gives up one quiet piece at the head when a continuous stream has fallen behind.
    fn trim(&mut self) {
        if self.queue.samples() <= self.samples(self.target_ms + TRIM_ABOVE_MS) {
            return;
        }
        if let Some(quiet) = self.queue.pop_if(|piece| !is_loud(&piece.samples)) {
            self.stats.trimmed_samples += quiet.samples.len() as u64;
            self.position = quiet.end();
        }
    }

    /// Moves the next samples to the tail, fading.
    fn fade(&mut self, num_samples: u64) {
        let fading = self.queue.contiguous(self.position, num_samples as usize);
        if fading.is_empty() {
            return;
        }
        let piece = Piece { start: self.position, samples: fade_out(&fading) };
        self.position = piece.end();
        self.tail = Some(Tail { piece, kind: SpanKind::Played });
    }

    /// Fills some of the block from what sounds before anything else.
    fn take_tail(&mut self, mut tail: Tail, out: &mut [i16], filled: usize) -> Span {
        let Tail { piece, kind } = &mut tail;
        let (kind, position) = (*kind, piece.start);
        let length = piece.take(&mut out[filled..]);
        if kind == SpanKind::Concealed {
            piece.start = position; // the position stands still
            self.made_up += length as u64;
            self.dry = self.dry.map(|dry| dry + length as u64);
        }
        if !piece.samples.is_empty() {
            self.tail = Some(tail);
        }
        Span { offset: filled, length, position, kind }
    }
}
