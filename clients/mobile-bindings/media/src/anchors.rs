//! From RTP timestamps to the media clock (`protocol/spec/media-clock.md`, "Carrying").
//!
//! RTP timestamps are 32 bits and wrap; they are compared as RFC 1982 serial numbers.

/// Anchors that are remembered.
const KEPT: usize = 64;

/// Anchors are whole milliseconds: a step this small within a stream is none.
const SNAP_MS: i64 = 2;

const CLOCK_RATE: i64 = 48_000;

/// A run of samples of a block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Piece {
    /// Where in the block it begins.
    pub start: usize,
    /// How long it is.
    pub length: usize,
    /// Its position on the media clock, samples.
    pub sample_index: u64,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    ticks: i64,
    media_ms: i64,
    clock_rate: i64,
}

/// The anchors of one path.
#[derive(Debug)]
pub struct AnchorMap {
    rate: i64,
    smear_ticks: i64,
    /// By ticks.
    anchors: Vec<Anchor>,
    /// The timestamp seen last, without wrap-around.
    newest: Option<i64>,
    /// Ticks and index behind the last piece.
    next: Option<(i64, i64)>,
}

impl AnchorMap {
    /// A map without anchors: nothing has a position yet.
    ///
    /// `sample_rate` is that of the positions, Hz; `smear_ticks` how far ahead of a sound its codec
    /// smears it, at 48 kHz: ahead of an anchor that jumps, that is no part of what came before.
    #[must_use]
    pub fn new(sample_rate: u32, smear_ticks: u32) -> Self {
        Self {
            rate: sample_rate.into(),
            smear_ticks: smear_ticks.into(),
            anchors: Vec::new(),
            newest: None,
            next: None,
        }
    }

    /// Takes an anchor: from that timestamp on, the media clock counts from `media_ms`.
    /// `clock_rate` is in ticks a second; 0 = the media clock stands still from there on, and what
    /// the stream carries is silence without a place.
    ///
    /// Returns the sample index that this timestamp had without the anchor; `None` = it had none.
    pub fn add(&mut self, rtp_timestamp: u32, media_ms: u64, clock_rate: u32) -> Option<u64> {
        let ticks = self.unwrap(rtp_timestamp);
        let (before, _) = self.around(ticks);
        let misplaced = before.filter(|anchor| anchor.clock_rate > 0);
        let misplaced = misplaced.map(|anchor| self.exact(anchor, ticks));
        let media_ms = i64::try_from(media_ms).unwrap_or(i64::MAX / CLOCK_RATE);
        self.anchors.retain(|anchor| anchor.ticks != ticks);
        let at = self.anchors.partition_point(|anchor| anchor.ticks < ticks);
        self.anchors.insert(at, Anchor { ticks, media_ms, clock_rate: clock_rate.into() });
        if self.anchors.len() > KEPT {
            self.anchors.remove(0);
        }
        misplaced.map(|index| u64::try_from(index).unwrap_or(0))
    }

    /// Returns where a block belongs; what comes before the first anchor has no place.
    pub fn place(&mut self, rtp_timestamp: u32, num_samples: usize) -> Vec<Piece> {
        let ticks = self.unwrap(rtp_timestamp);
        self.newest = self.newest.max(Some(ticks));
        let total = i64::try_from(num_samples).unwrap_or(i64::MAX);
        let mut pieces = Vec::new();
        let mut start = 0;
        while start < total {
            let at = ticks + start * CLOCK_RATE / self.rate;
            let (anchor, after) = self.around(at);
            let end = after.map_or(total, |after| {
                total.min(start + 1.max((after.ticks - at) * self.rate / CLOCK_RATE))
            });
            if let Some(anchor) = anchor.filter(|anchor| anchor.clock_rate > 0) {
                let index = self.index(anchor, at, end - start);
                let room = after.map_or(end - start, |after| self.end(anchor, after) - index);
                let length = room.min(end - start);
                if let (Ok(sample_index), true) = (u64::try_from(index), length > 0) {
                    pieces.push(Piece {
                        start: start as usize,
                        length: length as usize,
                        sample_index,
                    });
                }
            }
            start = end;
        }
        pieces
    }

    /// The anchor that holds at a timestamp, and the next one.
    fn around(&self, ticks: i64) -> (Option<Anchor>, Option<Anchor>) {
        let after = self.anchors.partition_point(|anchor| anchor.ticks <= ticks);
        let current = after.checked_sub(1).and_then(|at| self.anchors.get(at)).copied();
        (current, self.anchors.get(after).copied())
    }

    /// The sample index at which what an anchor holds ends: never behind the next position.
    fn end(&self, anchor: Anchor, after: Anchor) -> i64 {
        let there = after.media_ms * self.rate / 1000;
        let runs_on = self.exact(anchor, after.ticks);
        if (runs_on - there).abs() <= self.snap() {
            return there;
        }
        there.min(self.exact(anchor, after.ticks - self.smear_ticks))
    }

    /// The sample index at a timestamp, smoothed over the rounding of anchors.
    fn index(&mut self, anchor: Anchor, ticks: i64, num_samples: i64) -> i64 {
        let mut index = self.exact(anchor, ticks);
        if let Some((next_ticks, expected)) = self.next
            && next_ticks == ticks
            && (expected - index).abs() <= self.snap()
        {
            index = expected;
        }
        self.next = Some((ticks + num_samples * CLOCK_RATE / self.rate, index + num_samples));
        index
    }

    const fn snap(&self) -> i64 {
        SNAP_MS * self.rate / 1000
    }

    fn exact(&self, anchor: Anchor, ticks: i64) -> i64 {
        let since = (ticks - anchor.ticks) * self.rate;
        anchor.media_ms * self.rate / 1000 + since.div_euclid(anchor.clock_rate)
    }

    /// The timestamp as a number that does not wrap.
    fn unwrap(&mut self, rtp_timestamp: u32) -> i64 {
        let newest = *self.newest.get_or_insert(rtp_timestamp.into());
        let step = rtp_timestamp.wrapping_sub(newest as u32).cast_signed();
        newest + i64::from(step)
    }
}

#[cfg(test)]
mod tests {
    use super::{AnchorMap, Piece};

    const BLOCK: usize = 480;

    fn map() -> AnchorMap {
        AnchorMap::new(24_000, 0)
    }

    fn whole(sample_index: u64) -> Vec<Piece> {
        vec![Piece { start: 0, length: BLOCK, sample_index }]
    }

    #[test]
    fn nothing_has_a_place_before_the_first_anchor() {
        let mut map = map();
        assert_eq!(map.place(1000, BLOCK), []);
        assert_eq!(map.add(1960, 100, 48_000), None);
        assert_eq!(map.place(1000, BLOCK), [], "it came before");
        assert_eq!(map.place(1960, BLOCK), whole(2400));
        assert_eq!(map.place(2920, BLOCK), whole(2880));
    }

    #[test]
    fn timestamps_wrap() {
        let mut map = map();
        map.add(u32::MAX - 479, 0, 48_000);
        assert_eq!(map.place(u32::MAX - 479, BLOCK), whole(0));
        assert_eq!(map.place(480, BLOCK), whole(480));
        assert_eq!(map.add(1440, 5000, 48_000), Some(960));
        assert_eq!(map.place(1440, BLOCK), whole(120_000));
    }

    #[test]
    fn an_anchor_within_a_block_divides_it() {
        let mut map = map();
        map.add(0, 0, 48_000);
        map.add(480, 1000, 48_000);
        let pieces = map.place(0, BLOCK);
        let first = Piece { start: 0, length: 240, sample_index: 0 };
        let second = Piece { start: 240, length: 240, sample_index: 24_000 };
        assert_eq!(pieces, [first, second]);
    }

    #[test]
    fn where_the_media_clock_stands_still_silence_has_no_place() {
        let mut map = map();
        map.add(0, 0, 48_000);
        map.add(960, 20, 0);
        assert_eq!(map.place(960, BLOCK), []);
        assert_eq!(map.add(1920, 20, 48_000), None, "it had no place before");
        assert_eq!(map.place(1920, BLOCK), whole(480));
    }

    #[test]
    fn the_rounding_of_an_anchor_is_no_step() {
        let mut map = map();
        map.add(0, 0, 48_000);
        map.place(0, BLOCK);
        map.add(960, 21, 48_000);
        assert_eq!(map.place(960, BLOCK), whole(480));
        map.add(1920, 50, 48_000);
        assert_eq!(map.place(1920, BLOCK), whole(1200), "that is one");
    }

    #[test]
    fn what_a_codec_smears_ahead_of_a_jump_is_no_part_of_what_came_before() {
        let mut map = AnchorMap::new(24_000, 312);
        map.add(0, 0, 48_000);
        map.add(960, 1000, 48_000);
        let piece = Piece { start: 0, length: 480 - 156, sample_index: 0 };
        assert_eq!(map.place(0, BLOCK), [piece]);
    }

    #[test]
    fn the_past_is_never_placed_behind_what_follows() {
        let mut map = map();
        map.add(0, 0, 48_000);
        map.add(960, 10, 48_000);
        let piece = Piece { start: 0, length: 240, sample_index: 0 };
        assert_eq!(map.place(0, BLOCK), [piece]);
    }
}
