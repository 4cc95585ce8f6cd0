//! Utterances and their words on the media clock: which are due, which were heard.
//!
//! All times are milliseconds of the media clock (protocol/spec/media-clock.md); all character
//! positions are Unicode code points of the utterance's text (protocol/spec/words.md).

mod timed_words;
mod utterance;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

pub use timed_words::{MixedWords, TimedWord, decode_words, encode_words};
use utterance::Utterance;

/// Utterances remembered after their last word was delivered.
pub const KEPT_UTTERANCES: usize = 32;

/// Longest text of an utterance that is kept, code points.
pub const MAX_TEXT_CHARS: usize = 262_144;

/// The heard prefix of one utterance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// The utterance.
    pub utterance_id: String,
    /// How many of its words were heard, from the first.
    pub words: usize,
    /// End of the heard text, code points; 0 = nothing.
    pub char_end: u32,
    /// Position that was heard up to, media clock.
    pub media_ms: u64,
}

/// Words of the bot on the media clock; owned by one session.
#[derive(Debug, Default)]
pub struct Timeline {
    /// Every utterance that is remembered, by the order in which they became known.
    known: BTreeMap<u64, Utterance>,
    orders: HashMap<String, u64>,
    /// Open, or with words to deliver.
    live: BTreeSet<u64>,
    /// Those that are not, in the order in which that came about.
    over: VecDeque<u64>,
    count: u64,
}

impl Timeline {
    /// A timeline without utterances.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes where an utterance begins: the position of its first sample. The first call for it
    /// counts.
    pub fn begin(&mut self, utterance_id: &str, media_ms: u64) {
        let order = self.order_of(utterance_id);
        if let Some(utterance) = self.known.get_mut(&order) {
            utterance.start_ms.get_or_insert(media_ms);
        }
    }

    /// Places words of any utterances, before or after [`begin`](Self::begin).
    ///
    /// A known word stays unless `revision` is higher and it was not delivered. Ignored are words
    /// of a closed utterance and words behind one that was delivered.
    pub fn add(&mut self, words: impl IntoIterator<Item = TimedWord>, revision: u32) {
        for word in words {
            let order = self.order_of(&word.utterance_id);
            if let Some(utterance) = self.known.get_mut(&order)
                && !utterance.closed
            {
                utterance.put(word, revision);
            }
        }
    }

    /// Returns the words that became due at a position of playout, each one once.
    ///
    /// Within an utterance words come by index, even where their times go back; between utterances
    /// by onset, then by which was known first. Going back delivers nothing again.
    pub fn advance(&mut self, media_ms: u64) -> Vec<TimedWord> {
        let mut due = Vec::new();
        while let Some((onset_ms, order)) = self.head()
            && onset_ms <= media_ms
        {
            let Some(utterance) = self.known.get_mut(&order) else { break };
            due.extend(utterance.deliver());
            self.settle(order);
        }
        due
    }

    /// Onset of the next word to deliver; `None` = no word is waiting.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        self.head().map(|(onset_ms, _)| onset_ms)
    }

    /// Onset of the last word that waits; `None` = no word is waiting.
    #[must_use]
    pub fn last_due_ms(&self) -> Option<u64> {
        let live = self.live.iter().filter_map(|order| self.known.get(order));
        live.filter(|utterance| utterance.pending().is_some()).filter_map(Utterance::last_ms).max()
    }

    /// Returns the prefix whose words began before a position of playout. What was cut stays
    /// unheard; an unknown utterance was not heard.
    #[must_use]
    pub fn heard(&self, utterance_id: &str, media_ms: u64) -> Heard {
        match self.find(utterance_id) {
            Some(utterance) => utterance.heard(media_ms),
            None => {
                Heard { utterance_id: utterance_id.to_owned(), words: 0, char_end: 0, media_ms }
            }
        }
    }

    /// Closes what is speaking: words with an onset at or after `media_ms`, the position that was
    /// heard up to, never come. Audio before `until_ms` is void.
    ///
    /// Concerns every utterance that begins before `until_ms` and is open, or ended with words
    /// still to deliver. Words with an onset before `media_ms` are still delivered. Returns the
    /// heard prefixes, oldest utterance first.
    pub fn cut(&mut self, media_ms: u64, until_ms: u64) -> Vec<Heard> {
        let live: Vec<u64> = self.live.iter().copied().collect();
        let mut prefixes = Vec::new();
        for order in live {
            let Some(utterance) = self.known.get_mut(&order) else { continue };
            if utterance.begins_before(until_ms) {
                utterance.cut(media_ms);
                prefixes.push(utterance.heard(media_ms));
                self.settle(order);
            }
        }
        prefixes
    }

    /// Closes an utterance: later words are ignored, those placed are still delivered.
    pub fn end(&mut self, utterance_id: &str) {
        let order = self.order_of(utterance_id);
        if let Some(utterance) = self.known.get_mut(&order) {
            utterance.closed = true;
        }
        self.settle(order);
    }

    /// How many words of an utterance [`advance`](Self::advance) has returned, or
    /// [`skip`](Self::skip) passed over.
    #[must_use]
    pub fn delivered(&self, utterance_id: &str) -> usize {
        self.find(utterance_id).map_or(0, Utterance::delivered)
    }

    /// Passes over the first words of an utterance, as far as they are known: they count as
    /// delivered. Fewer than were delivered change nothing.
    pub fn skip(&mut self, utterance_id: &str, words: usize) {
        let order = self.order_of(utterance_id);
        if let Some(utterance) = self.known.get_mut(&order) {
            utterance.skip(words);
        }
        self.settle(order);
    }

    /// Returns the words of an utterance as far as known, by index, without those cut.
    #[must_use]
    pub fn words(&self, utterance_id: &str) -> &[TimedWord] {
        self.find(utterance_id).map_or(&[], |utterance| &utterance.words)
    }

    /// Returns the text of an utterance as far as [`set_text`](Self::set_text) gave it.
    #[must_use]
    pub fn text(&self, utterance_id: &str) -> &str {
        self.find(utterance_id).map_or("", |utterance| &utterance.text)
    }

    /// Puts a piece of an utterance's text at its position, code points; a gap before it is filled
    /// with spaces. A piece that ends beyond [`MAX_TEXT_CHARS`] is ignored.
    pub fn set_text(&mut self, utterance_id: &str, offset: usize, text: &str) {
        let end = offset.saturating_add(text.chars().count());
        if end > MAX_TEXT_CHARS {
            return;
        }
        let order = self.order_of(utterance_id);
        if let Some(utterance) = self.known.get_mut(&order) {
            utterance.text = placed(&utterance.text, offset, text);
        }
    }

    fn find(&self, utterance_id: &str) -> Option<&Utterance> {
        self.known.get(self.orders.get(utterance_id)?)
    }

    /// The place of an utterance in `known`; it is there afterwards.
    fn order_of(&mut self, utterance_id: &str) -> u64 {
        if let Some(order) = self.orders.get(utterance_id) {
            return *order;
        }
        let order = self.count;
        self.count += 1;
        self.orders.insert(utterance_id.to_owned(), order);
        self.known.insert(order, Utterance::new(utterance_id));
        self.live.insert(order);
        order
    }

    /// Onset and utterance of the next word to deliver; of equals the one known first.
    fn head(&self) -> Option<(u64, u64)> {
        let pending = self.live.iter().filter_map(|order| {
            let word = self.known.get(order)?.pending()?;
            Some((word.start_ms, *order))
        });
        pending.min()
    }

    /// Moves an utterance that is closed and delivered to those soon forgotten.
    fn settle(&mut self, order: u64) {
        let done = self.known.get(&order).is_some_and(|one| one.closed && one.pending().is_none());
        if !done || !self.live.remove(&order) {
            return;
        }
        self.over.push_back(order);
        if self.over.len() > KEPT_UTTERANCES
            && let Some(forgotten) = self.over.pop_front().and_then(|at| self.known.remove(&at))
        {
            self.orders.remove(&forgotten.utterance_id);
        }
    }
}

/// A text with a piece put at a position, code points; what is missing before it is blank.
pub(crate) fn placed(text: &str, offset: usize, piece: &str) -> String {
    let have = text.chars().count();
    let mut out = String::with_capacity(text.len() + piece.len());
    out.extend(text.chars().take(offset));
    out.extend(std::iter::repeat_n(' ', offset.saturating_sub(have)));
    out.push_str(piece);
    out.extend(text.chars().skip(offset + piece.chars().count()));
    out
}
