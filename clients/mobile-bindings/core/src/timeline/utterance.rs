//! One utterance on a timeline.

use super::{Heard, TimedWord};

/// `words` by ascending index; those before `delivered` were delivered. A cut shortens `words`,
/// possibly below `delivered`; nothing is pending then.
#[derive(Debug)]
pub(super) struct Utterance {
    pub(super) utterance_id: String,
    pub(super) start_ms: Option<u64>,
    pub(super) words: Vec<TimedWord>,
    revisions: Vec<u32>,
    delivered: usize,
    pub(super) closed: bool,
    cut_ms: Option<u64>,
    pub(super) text: String,
}

impl Utterance {
    pub(super) fn new(utterance_id: &str) -> Self {
        Self {
            utterance_id: utterance_id.to_owned(),
            start_ms: None,
            words: Vec::new(),
            revisions: Vec::new(),
            delivered: 0,
            closed: false,
            cut_ms: None,
            text: String::new(),
        }
    }

    pub(super) const fn delivered(&self) -> usize {
        self.delivered
    }

    /// The next word to deliver.
    pub(super) fn pending(&self) -> Option<&TimedWord> {
        self.words.get(self.delivered)
    }

    /// Onset of its last word.
    pub(super) fn last_ms(&self) -> Option<u64> {
        self.words.last().map(|word| word.start_ms)
    }

    pub(super) fn deliver(&mut self) -> Option<TimedWord> {
        let word = self.pending().cloned()?;
        self.delivered += 1;
        Some(word)
    }

    pub(super) fn skip(&mut self, words: usize) {
        self.delivered = self.delivered.max(words.min(self.words.len()));
    }

    pub(super) fn put(&mut self, word: TimedWord, revision: u32) {
        let place = self.words.binary_search_by_key(&word.index, |known| known.index);
        let (Ok(at) | Err(at)) = place;
        if at < self.delivered {
            return; // delivered, or a later one was
        }
        if place.is_err() {
            self.words.insert(at, word);
            self.revisions.insert(at, revision);
        } else if revision > self.revisions[at] {
            self.words[at] = word;
            self.revisions[at] = revision;
        }
    }

    pub(super) fn heard(&self, media_ms: u64) -> Heard {
        let media_ms = self.cut_ms.map_or(media_ms, |cut_ms| cut_ms.min(media_ms));
        let words = self.heard_words(media_ms);
        let char_end = words.checked_sub(1).map_or(0, |last| self.words[last].char_end);
        Heard { utterance_id: self.utterance_id.clone(), words, char_end, media_ms }
    }

    pub(super) fn cut(&mut self, media_ms: u64) {
        let count = self.heard_words(media_ms);
        self.words.truncate(count);
        self.revisions.truncate(count);
        self.closed = true;
        self.cut_ms = Some(self.cut_ms.map_or(media_ms, |cut_ms| cut_ms.min(media_ms)));
    }

    pub(super) fn begins_before(&self, media_ms: u64) -> bool {
        let first_ms = || self.words.first().map(|word| word.start_ms);
        self.start_ms.or_else(first_ms).is_some_and(|start_ms| start_ms < media_ms)
    }

    /// How many words there are before the first one with an onset at or after a position.
    fn heard_words(&self, media_ms: u64) -> usize {
        self.words.iter().take_while(|word| word.start_ms < media_ms).count()
    }
}
