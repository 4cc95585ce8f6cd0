//! Audio that waits to be played, by position.

use std::collections::VecDeque;

/// Audio at its position.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) samples: Vec<i16>,
}

impl Piece {
    pub(super) fn end(&self) -> u64 {
        self.start + self.samples.len() as u64
    }

    /// Moves its first samples to `out`, as many as fit; returns how many.
    pub(super) fn take(&mut self, out: &mut [i16]) -> usize {
        let length = out.len().min(self.samples.len());
        out[..length].copy_from_slice(&self.samples[..length]);
        self.drop_first(length);
        length
    }

    fn drop_first(&mut self, length: usize) {
        self.samples.drain(..length);
        self.start += length as u64;
    }
}

/// Pieces by ascending position that do not overlap; none is empty.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pieces: VecDeque<Piece>,
    samples: u64,
}

impl Queue {
    /// How many samples wait.
    pub(super) const fn samples(&self) -> u64 {
        self.samples
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Position of the first sample.
    pub(super) fn start(&self) -> Option<u64> {
        self.pieces.front().map(|piece| piece.start)
    }

    /// Adds what is not there yet.
    pub(super) fn insert(&mut self, start: u64, samples: &[i16]) {
        let end = start + samples.len() as u64;
        let mut cursor = start;
        let mut at = self.pieces.partition_point(|known| known.end() <= start);
        while let Some(known) = self.pieces.get(at)
            && known.start < end
        {
            let (known_start, known_end) = (known.start, known.end());
            if known_start > cursor {
                let part = &samples[(cursor - start) as usize..(known_start - start) as usize];
                self.put(at, cursor, part);
                at += 1;
            }
            cursor = cursor.max(known_end);
            at += 1;
        }
        if cursor < end {
            self.put(at, cursor, &samples[(cursor - start) as usize..]);
        }
    }

    /// Moves the first samples to `out`, as many as fit and the first piece has; returns how many.
    pub(super) fn take(&mut self, out: &mut [i16]) -> usize {
        let Some(first) = self.pieces.front_mut() else { return 0 };
        let length = first.take(out);
        self.samples -= length as u64;
        if first.samples.is_empty() {
            self.pieces.pop_front();
        }
        length
    }

    /// The samples from a position on, as far as they follow each other, at most so many.
    pub(super) fn contiguous(&self, position: u64, num_samples: usize) -> Vec<i16> {
        let mut found: Vec<i16> = Vec::new();
        for piece in &self.pieces {
            let need = num_samples - found.len();
            if need == 0 || piece.start != position + found.len() as u64 {
                break;
            }
            found.extend(piece.samples.iter().take(need));
        }
        found
    }

    /// Takes out the first piece if it is such a one.
    pub(super) fn pop_if(&mut self, wanted: impl Fn(&Piece) -> bool) -> Option<Piece> {
        if !wanted(self.pieces.front()?) {
            return None;
        }
        let first = self.pieces.pop_front()?;
        self.samples -= first.samples.len() as u64;
        Some(first)
    }

    /// Drops everything before a position.
    pub(super) fn keep_from(&mut self, position: u64) {
        for piece in &mut self.pieces {
            let before = position.saturating_sub(piece.start).min(piece.samples.len() as u64);
            piece.drop_first(before as usize);
        }
        self.settle();
    }

    /// Drops everything from a position on.
    pub(super) fn keep_before(&mut self, position: u64) {
        for piece in &mut self.pieces {
            piece.samples.truncate(position.saturating_sub(piece.start) as usize);
        }
        self.settle();
    }

    fn put(&mut self, at: usize, start: u64, samples: &[i16]) {
        self.samples += samples.len() as u64;
        self.pieces.insert(at, Piece { start, samples: samples.to_vec() });
    }

    fn settle(&mut self) {
        self.pieces.retain(|piece| !piece.samples.is_empty());
        self.samples = self.pieces.iter().map(|piece| piece.samples.len() as u64).sum();
    }
}
