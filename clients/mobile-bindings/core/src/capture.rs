//! The user's newest audio, kept by number: what a path that broke did not bring is sent again.
//!
//! A client counts every sample that it captures, on one clock for the whole session, whatever path
//! carries it and whether or not the user is muted. It keeps what is younger than [`KEPT_MS`], sent
//! or not, since what lay in the buffers of a socket that broke was never heard
//! (protocol/spec/media-clock.md, "The user's audio").
//!
//! No clock is read: every `now_ms` is milliseconds of one monotonic clock, of any origin.

use std::collections::VecDeque;
use std::sync::Arc;

/// How long the user's audio is kept, and how much of it, milliseconds.
pub const KEPT_MS: u64 = 3000;

/// What is left out where it is not known which sample came last: rather a hole than twice,
/// milliseconds.
pub const SEAM_MS: u64 = 60;

/// How much longer it is kept once it was said what is lost: the rest is on its way by then.
const GRACE_MS: u64 = 200;

/// Audio that is to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Piece {
    /// Number of its first sample.
    pub index: u64,
    block: Arc<[i16]>,
    offset: usize,
}

impl Piece {
    /// The samples, int16 mono.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.block[self.offset..]
    }

    /// Number of the sample behind its last.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.index + self.samples().len() as u64
    }
}

#[derive(Debug)]
struct Block {
    index: u64,
    samples: Arc<[i16]>,
    at_ms: u64,
}

impl Block {
    fn end(&self) -> u64 {
        self.index + self.samples.len() as u64
    }
}

/// Keeps one session's microphone and says what of it is to be sent next.
#[derive(Debug)]
pub struct KeptCapture {
    rate: u64,
    kept_ms: u64,
    max_samples: u64,
    next_index: u64,
    lost: u64,
    blocks: VecDeque<Block>,
    /// Nothing before it is owed: the user was muted there.
    floor: u64,
    /// What is lost before it has been counted.
    counted: u64,
    /// What is sent next; `None` = no path takes audio.
    cursor: Option<u64>,
    /// What was there when a path began is not let go for a while.
    owed: Option<Owed>,
}

#[derive(Clone, Copy, Debug)]
struct Owed {
    until_ms: u64,
    end: u64,
}

impl KeptCapture {
    /// Nothing captured and no path. `sample_rate` is that of the user's audio, Hz; `kept_ms` how
    /// long it is kept ([`KEPT_MS`]).
    #[must_use]
    pub fn new(sample_rate: u32, kept_ms: u64) -> Self {
        let rate = u64::from(sample_rate);
        Self {
            rate,
            kept_ms,
            max_samples: kept_ms * rate / 1000,
            next_index: 0,
            lost: 0,
            blocks: VecDeque::new(),
            floor: 0,
            counted: 0,
            cursor: None,
            owed: None,
        }
    }

    /// Number of the sample that is captured next.
    #[must_use]
    pub const fn next_index(&self) -> u64 {
        self.next_index
    }

    /// Samples that the server will never have because they became too old to be kept.
    #[must_use]
    pub const fn lost_samples(&self) -> u64 {
        self.lost
    }

    /// Samples that a path has yet to send; 0 without a path.
    #[must_use]
    pub fn waiting_samples(&self) -> u64 {
        self.cursor.map_or(0, |cursor| self.next_index - cursor)
    }

    /// Takes what the microphone gave at `now_ms`, int16 mono; kept, not copied.
    pub fn capture(&mut self, samples: impl Into<Arc<[i16]>>, now_ms: u64) {
        let samples: Arc<[i16]> = samples.into();
        if !samples.is_empty() {
            let block = Block { index: self.next_index, samples, at_ms: now_ms };
            self.next_index = block.end();
            self.blocks.push_back(block);
        }
        self.trim(now_ms);
    }

    /// The user is not heard: the count goes on by `num_samples`, nothing is kept, what waited is
    /// forgotten.
    pub fn mute(&mut self, num_samples: u64) {
        self.next_index += num_samples;
        self.floor = self.next_index;
        self.blocks.clear();
        if self.cursor.is_some() {
            self.cursor = Some(self.next_index);
        }
    }

    /// No path takes audio any more.
    pub const fn park(&mut self) {
        self.cursor = None;
    }

    /// A path takes audio, and the server wants it from `index` on, the number of a sample.
    ///
    /// Returns how many samples from there on are not kept any more; they count as lost. The rest
    /// is kept until a path that sends it at once has done so.
    pub fn resume(&mut self, index: u64, now_ms: u64) -> u64 {
        (self.cursor, self.owed) = (None, None);
        self.trim(now_ms);
        let start = index.max(self.floor).min(self.next_index);
        let first = self.blocks.front().map_or(self.next_index, |block| block.index);
        let cursor = start.max(first);
        self.cursor = Some(cursor);
        self.owed = Some(Owed { until_ms: now_ms.saturating_add(GRACE_MS), end: self.next_index });
        self.count(start, cursor);
        cursor - start
    }

    /// The same where the server knows only how long ago the newest of its audio came.
    pub fn resume_after(&mut self, age_ms: u64, now_ms: u64) -> u64 {
        let back = age_ms.saturating_sub(SEAM_MS).saturating_mul(self.rate) / 1000;
        self.resume(self.next_index.saturating_sub(back), now_ms)
    }

    /// A path takes audio from now on; nothing is sent again.
    pub const fn follow(&mut self) {
        self.cursor = Some(self.next_index);
    }

    /// What is to be sent next, at most one block as it was captured; `None` = nothing.
    pub fn peek(&mut self, now_ms: u64) -> Option<Piece> {
        self.trim(now_ms);
        let cursor = self.cursor?;
        let block = self.blocks.iter().find(|block| block.end() > cursor)?;
        // A block behind the cursor is handed out as of its own first sample.
        let index = cursor.max(block.index);
        let offset = usize::try_from(index - block.index).ok()?;
        Some(Piece { index, block: Arc::clone(&block.samples), offset })
    }

    /// What [`peek`](Self::peek) returned is on its way.
    pub fn sent(&mut self, piece: &Piece) {
        self.cursor = self.cursor.map(|cursor| cursor.max(piece.end()));
    }

    /// Lets go of what is too old or too much; the newest block stays while it is young.
    fn trim(&mut self, now_ms: u64) {
        let owed_end = self.owed.filter(|owed| now_ms < owed.until_ms).map_or(0, |owed| owed.end);
        while let Some(oldest) = self.blocks.front() {
            let young = now_ms.saturating_sub(oldest.at_ms) <= self.kept_ms;
            let few = self.next_index - oldest.index <= self.max_samples;
            if (young && (self.blocks.len() == 1 || few)) || oldest.end() <= owed_end {
                break;
            }
            let end = oldest.end();
            self.blocks.pop_front();
            if let Some(cursor) = self.cursor
                && end > cursor
            {
                self.count(cursor, end);
                self.cursor = Some(end);
            }
        }
    }

    /// Counts what is lost, once.
    fn count(&mut self, start: u64, end: u64) {
        self.lost += end.saturating_sub(start.max(self.counted));
        self.counted = self.counted.max(end);
    }
}
