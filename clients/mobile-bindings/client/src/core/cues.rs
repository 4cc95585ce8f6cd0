//! What is to happen when the speaker reaches a position: words, and changes of state.

use std::collections::HashMap;

use voxwire_core::timeline::{TimedWord, Timeline, decode_words};
use voxwire_core::wire::{
    BotState, Snapshot, StateChanged, TimingSource, UtteranceEnded, UtteranceStarted,
    UtteranceWords,
};

use super::position::Reached;
use crate::event::Event;

/// A change of state is applied after this long, even if its position is never reached,
/// microseconds.
const HELD_US: u64 = 5_000_000;

/// A change of state that waits for its position.
#[derive(Clone, Copy, Debug)]
struct Held {
    change: StateChanged,
    since_us: u64,
    /// How many immediate changes had come before it.
    after_immediate: u64,
}

/// Words and changes of state of one session, by position.
#[derive(Debug, Default)]
pub(crate) struct Cues {
    timeline: Timeline,
    sources: HashMap<String, TimingSource>,
    /// By position; of equals, the one that came first.
    held: Vec<Held>,
    immediate: u64,
    user: i32,
    user_muted: bool,
}

impl Cues {
    /// True while an utterance is announced and has not ended.
    pub(crate) fn speaking(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Takes the announcement of an utterance.
    pub(crate) fn begin(&mut self, message: &UtteranceStarted) {
        self.sources.insert(message.utterance_id.clone(), message.source());
        self.timeline.begin(&message.utterance_id, message.media_ms);
    }

    /// Takes words of an utterance, ahead of their sound.
    pub(crate) fn add(&mut self, message: &UtteranceWords) {
        let id = &message.utterance_id;
        let source = self.sources.get(id).copied().unwrap_or(TimingSource::Unspecified);
        let words = decode_words(message, self.timeline.text(id), source);
        self.timeline.set_text(id, message.text_offset as usize, &message.text);
        self.timeline.add(words, message.revision);
    }

    /// Takes the end of an utterance; its words that are still to sound stay.
    pub(crate) fn end(&mut self, message: &UtteranceEnded) {
        self.sources.remove(&message.utterance_id);
        self.timeline.end(&message.utterance_id);
    }

    /// Takes a change of state; returns it if it applies at once.
    pub(crate) fn change(&mut self, change: StateChanged, now_us: u64) -> Option<Event> {
        let change = self.behind_speech(change);
        if change.media_ms == 0 {
            self.immediate += 1;
            (self.user, self.user_muted) = (change.user, change.user_muted);
            return Some(Event::StateChanged(change));
        }
        let at = self.held.partition_point(|held| held.change.media_ms <= change.media_ms);
        let held = Held { change, since_us: now_us, after_immediate: self.immediate };
        self.held.insert(at, held);
        None
    }

    /// Drops what a flush made void: everything from `media_ms`, where the sound stops, to
    /// `until_ms`. Returns the state that nothing newer replaces.
    pub(crate) fn cut(&mut self, media_ms: u64, until_ms: u64) -> Option<Event> {
        self.timeline.cut(media_ms, until_ms);
        let is_void = |held: &Held| (media_ms..=until_ms).contains(&held.change.media_ms);
        let last = self.held.iter().rfind(|held| is_void(held)).copied();
        self.held.retain(|held| !is_void(held));
        let last = last.filter(|held| held.after_immediate == self.immediate)?;
        Some(self.release(last))
    }

    /// Returns what playout has reached, in order of position.
    pub(crate) fn due(&mut self, reached: Reached, now_us: u64) -> Vec<Event> {
        let mut due = Vec::new();
        while let Some(&held) = self.held.first() {
            let position_ms = held.change.media_ms;
            let waited_us = now_us.saturating_sub(held.since_us);
            if limit_ms(&held, reached) < Some(position_ms) && waited_us < HELD_US {
                break;
            }
            // Words before it; none that has not sounded.
            let before_ms = reached.sounded_ms.map(|sounded_ms| sounded_ms.min(position_ms - 1));
            self.advance(before_ms, &mut due);
            due.push(self.release(held));
            self.held.remove(0);
        }
        self.advance(reached.sounded_ms, &mut due);
        due
    }

    /// Forgets everything but what a snapshot says. Words that were fired, and words before the
    /// snapshot's position that were not known here, do not fire any more.
    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        let before = std::mem::take(&mut self.timeline);
        self.sources.clear();
        self.held.clear();
        let Some(speaking) =
            snapshot.utterance.as_ref().filter(|utterance| !utterance.utterance_id.is_empty())
        else {
            return;
        };
        let spoken: Vec<&UtteranceStarted> =
            std::iter::once(speaking).chain(&snapshot.queued_utterances).collect();
        for started in &spoken {
            self.begin(started);
        }
        for message in &snapshot.words {
            self.add(message);
        }
        for started in spoken {
            let id = &started.utterance_id;
            let mut fired = before.delivered(id);
            if fired == before.words(id).len() {
                let passed = |word: &&TimedWord| word.start_ms <= snapshot.heard_media_ms;
                fired = fired.max(self.timeline.words(id).iter().filter(passed).count());
            }
            self.timeline.skip(id, fired);
        }
    }

    /// Position of the next word or change of state; `None` = nothing waits.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        let held = self.held.first().map(|held| held.change.media_ms);
        [held, self.timeline.next_due_ms()].into_iter().flatten().min()
    }

    fn advance(&mut self, media_ms: Option<u64>, due: &mut Vec<Event>) {
        if let Some(media_ms) = media_ms {
            due.extend(self.timeline.advance(media_ms).into_iter().map(Event::BotWord));
        }
    }

    /// A bot that the server takes for heard is not silent before it has spoken here: the server's
    /// clock may run ahead of a speaker that stalls.
    fn behind_speech(&self, change: StateChanged) -> StateChanged {
        let is_speech = change.bot() == BotState::Speaking;
        if change.media_ms != 0 || is_speech || change.user != self.user {
            return change;
        }
        let speech = self.held.iter().rfind(|held| held.change.bot() == BotState::Speaking);
        let begin_ms = speech.map(|held| held.change.media_ms);
        let word_ms = self.timeline.last_due_ms().map(|onset_ms| onset_ms + 1);
        StateChanged { media_ms: begin_ms.max(word_ms).unwrap_or(0), ..change }
    }

    /// The change as it applies now: what the user does, or may do, may have changed since.
    fn release(&mut self, held: Held) -> Event {
        let mut change = held.change;
        if held.after_immediate == self.immediate {
            (self.user, self.user_muted) = (change.user, change.user_muted);
        } else {
            (change.user, change.user_muted) = (self.user, self.user_muted);
        }
        Event::StateChanged(change)
    }
}

/// The bot speaks when a sample sounds; everything else happens once it is passed.
fn limit_ms(held: &Held, reached: Reached) -> Option<u64> {
    match held.change.bot() {
        BotState::Speaking => reached.sounded_ms,
        _ => Some(reached.passed_ms),
    }
}

#[cfg(test)]
mod tests {
    use voxwire_core::wire::{
        BotState, StateChanged, UserState, UtteranceStarted, UtteranceWords, Word,
    };

    use super::Cues;
    use crate::core::position::Reached;
    use crate::event::Event;

    const fn reached(ms: u64) -> Reached {
        Reached { sounded_ms: Some(ms), passed_ms: ms }
    }

    fn state(bot: BotState, media_ms: u64) -> StateChanged {
        let user = UserState::Silent.into();
        StateChanged { bot: bot.into(), user, media_ms, ..StateChanged::default() }
    }

    fn speaking() -> Cues {
        let mut cues = Cues::default();
        let begin =
            UtteranceStarted { utterance_id: "u".into(), media_ms: 100, ..Default::default() };
        cues.begin(&begin);
        let word = |at: u32| Word {
            char_start: at,
            char_end: at + 1,
            start_ms: 100 * at,
            ..Word::default()
        };
        cues.add(&UtteranceWords {
            utterance_id: "u".into(),
            base_media_ms: 100,
            text: "abc".into(),
            words: (0..3).map(word).collect(),
            ..Default::default()
        });
        cues
    }

    fn told(events: Vec<Event>) -> Vec<String> {
        let tell = |event| match event {
            Event::BotWord(word) => word.text,
            Event::StateChanged(change) => format!("{:?}", change.bot()),
            other => panic!("{other:?}"),
        };
        events.into_iter().map(tell).collect()
    }

    #[test]
    fn words_and_states_happen_in_order_of_position() {
        let mut cues = speaking();
        assert!(cues.change(state(BotState::Speaking, 100), 0).is_none());
        assert!(cues.change(state(BotState::Idle, 301), 0).is_none());
        assert_eq!(cues.next_ms(), Some(100));
        assert!(cues.due(reached(99), 0).is_empty());
        assert_eq!(told(cues.due(reached(200), 0)), ["Speaking", "a", "b"]);
        assert_eq!(told(cues.due(reached(400), 0)), ["c", "Idle"]);
    }

    #[test]
    fn a_state_whose_position_never_comes_is_applied_in_the_end() {
        let mut cues = Cues::default();
        cues.change(state(BotState::Idle, 900), 0);
        assert!(cues.due(reached(10), 4_999_999).is_empty());
        assert_eq!(told(cues.due(reached(10), 5_000_000)), ["Idle"]);
    }

    #[test]
    fn a_cut_drops_words_and_keeps_the_last_state_that_nothing_replaced() {
        let mut cues = speaking();
        cues.change(state(BotState::Idle, 400), 0);
        assert_eq!(told(cues.due(reached(150), 0)), ["a"]);
        assert_eq!(told(cues.cut(150, 500).into_iter().collect()), ["Idle"]);
        assert!(cues.due(reached(500), 0).is_empty());
        cues.change(state(BotState::Idle, 700), 0);
        cues.change(state(BotState::Thinking, 0), 0);
        assert_eq!(cues.cut(600, 800), None, "something newer is the case");
    }

    #[test]
    fn a_bot_that_the_server_takes_for_heard_is_not_silent_before_it_spoke() {
        let mut cues = Cues::default();
        cues.change(state(BotState::Thinking, 0), 0);
        cues.change(state(BotState::Speaking, 100), 0);
        assert!(cues.change(state(BotState::Idle, 0), 0).is_none());
        assert!(cues.due(Reached { sounded_ms: Some(99), passed_ms: 101 }, 0).is_empty());
        assert_eq!(told(cues.due(reached(100), 0)), ["Speaking", "Idle"]);
    }

    #[test]
    fn a_held_state_does_not_undo_what_the_user_does_meanwhile() {
        let mut cues = Cues::default();
        cues.change(state(BotState::Idle, 100), 0);
        let user = UserState::Speaking.into();
        cues.change(StateChanged { user, ..state(BotState::Listening, 0) }, 0);
        let events = cues.due(reached(200), 0);
        let [Event::StateChanged(change)] = events[..] else { panic!("{events:?}") };
        assert_eq!((change.bot(), change.user()), (BotState::Idle, UserState::Speaking));
    }

    #[test]
    fn nor_whether_the_bot_listens() {
        let mut cues = Cues::default();
        cues.change(state(BotState::Speaking, 100), 0);
        cues.change(StateChanged { user_muted: true, ..state(BotState::Speaking, 0) }, 0);
        let events = cues.due(reached(200), 0);
        let [Event::StateChanged(change)] = events[..] else { panic!("{events:?}") };
        assert!(change.user_muted);
    }
}
