//! When is it the user's turn? Events in, time as an argument.

use std::collections::HashSet;

use voxwire_client::event::{ConnectionState, Event};
use voxwire_client::wire::{BotState, UserState};

/// The bot's turn has ended when it has been quiet for this long, milliseconds.
const SETTLE_MS: u64 = 600;

/// A bot that is idle for this long without having spoken does not answer, milliseconds.
const NO_ANSWER_MS: u64 = 10_000;

/// Follows the bot's turn through fillers, tools, several utterances and interruptions.
#[derive(Debug, Default)]
pub(crate) struct TurnWatch {
    bot: BotState,
    user: UserState,
    /// Nothing is heard of the bot: the connection is lost.
    away: bool,
    /// Utterances, responses and tools that have not ended.
    open: HashSet<(char, String)>,
    /// Every utterance so far.
    known: HashSet<String>,
    /// Those that do not belong to this turn.
    before: HashSet<String>,
    quiet_since_ms: Option<u64>,
    /// The bot has spoken in this turn.
    pub(crate) spoke: bool,
    /// When its first word was heard, milliseconds.
    first_word_ms: Option<u64>,
}

impl TurnWatch {
    /// The user does something now: what the bot says from here on is its next turn.
    pub(crate) fn arm(&mut self, now_ms: u64) {
        self.before.clone_from(&self.known);
        self.spoke = false;
        self.first_word_ms = None;
        self.quiet_since_ms = self.quiet_from(now_ms);
    }

    /// Takes an event.
    pub(crate) fn feed(&mut self, event: &Event, now_ms: u64) {
        match event {
            Event::ConnectionChanged(it) => self.away = it.state == ConnectionState::Reconnecting,
            Event::EventsSkipped(_) => self.open.clear(), // what is open follows
            Event::StateChanged(it) => (self.bot, self.user) = (it.bot(), it.user()),
            Event::Interrupted(_) => {
                self.open.clear();
                self.arm(now_ms);
            }
            Event::BotWord(it) if !self.before.contains(&it.utterance_id) => {
                self.spoke = true;
                self.first_word_ms.get_or_insert(now_ms);
            }
            Event::UtteranceStarted(it) => {
                self.known.insert(it.utterance_id.clone());
                self.open.insert(('u', it.utterance_id.clone()));
                self.spoke = true;
            }
            Event::BotResponseStarted(it) => self.begin('r', &it.response_id),
            Event::ToolCallStarted(it) => self.begin('t', &it.call_id),
            Event::UtteranceEnded(it) => self.end('u', &it.utterance_id),
            Event::BotResponseEnded(it) => self.end('r', &it.response_id),
            Event::ToolCallEnded(it) => self.end('t', &it.call_id),
            _ => return,
        }
        self.quiet_since_ms = self.quiet_from(now_ms);
    }

    /// True when the turn is over: the bot spoke and is quiet, or will not speak any more.
    pub(crate) fn ended(&self, now_ms: u64) -> bool {
        let limit_ms = if self.spoke { SETTLE_MS } else { NO_ANSWER_MS };
        self.quiet_since_ms.is_some_and(|since_ms| now_ms - since_ms >= limit_ms)
    }

    /// True when the bot has been heard for so long in this turn, or says nothing in it: its answer
    /// may be cut before its first word, by a listener that stands still.
    pub(crate) fn barges_in(&self, delay_ms: u64, now_ms: u64) -> bool {
        match self.first_word_ms {
            Some(first_ms) => now_ms >= first_ms + delay_ms,
            None => self.ended(now_ms),
        }
    }

    fn begin(&mut self, kind: char, id: &str) {
        self.open.insert((kind, id.to_owned()));
    }

    fn end(&mut self, kind: char, id: &str) {
        self.open.remove(&(kind, id.to_owned()));
    }

    /// Since when nothing goes on; every event about the bot starts it anew.
    fn quiet_from(&self, now_ms: u64) -> Option<u64> {
        let quiet = matches!(self.bot, BotState::Idle | BotState::Listening);
        let busy = self.away || self.user == UserState::Speaking || !self.open.is_empty();
        (quiet && !busy).then_some(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use voxwire_client::Event;
    use voxwire_client::event::{ConnectionChanged, ConnectionState, placed_words};
    use voxwire_client::wire::{
        BotState, Interrupted, StateChanged, UtteranceEnded, UtteranceStarted, UtteranceWords, Word,
    };

    use super::TurnWatch;

    fn state(bot: BotState) -> Event {
        Event::StateChanged(StateChanged { bot: bot.into(), ..StateChanged::default() })
    }

    #[test]
    fn a_turn_goes_on_while_something_is_open_and_settles_behind_it() {
        let mut watch = TurnWatch::default();
        watch.arm(0);
        let started = UtteranceStarted { utterance_id: "u".into(), ..Default::default() };
        watch.feed(&Event::UtteranceStarted(started), 100);
        watch.feed(&state(BotState::Idle), 200);
        assert!(!watch.ended(10_000), "it is still speaking");
        let ended = UtteranceEnded { utterance_id: "u".into(), ..Default::default() };
        watch.feed(&Event::UtteranceEnded(ended), 300);
        assert!(!watch.ended(899));
        assert!(watch.ended(900));
    }

    #[test]
    fn a_turn_does_not_end_while_the_connection_is_lost_and_a_silent_bot_is_waited_for() {
        let mut watch = TurnWatch::default();
        watch.feed(&state(BotState::Listening), 0);
        assert!(!watch.ended(9_999));
        assert!(watch.ended(10_000));
        let away = ConnectionChanged {
            state: ConnectionState::Reconnecting,
            attempt: 1,
            epoch: 1,
            after_ms: 0,
        };
        watch.feed(&Event::ConnectionChanged(away), 5_000);
        assert!(!watch.ended(100_000));
    }

    #[test]
    fn a_barge_in_waits_for_a_word_but_not_for_one_that_nobody_says() {
        let mut watch = TurnWatch::default();
        watch.arm(0);
        let utterance_id = || "u".to_owned();
        let started = UtteranceStarted { utterance_id: utterance_id(), ..Default::default() };
        watch.feed(&Event::UtteranceStarted(started), 200);
        watch.feed(&state(BotState::Speaking), 200);
        assert!(!watch.barges_in(1500, 60_000));
        let words = UtteranceWords {
            utterance_id: utterance_id(),
            text: "w".into(),
            words: vec![Word { char_end: 1, ..Default::default() }],
            ..Default::default()
        };
        let word = placed_words(&words).remove(0);
        watch.feed(&Event::BotWord(word), 1000);
        assert!(!watch.barges_in(1500, 2499));
        assert!(watch.barges_in(1500, 2500));
        let cut = Interrupted { utterance_id: utterance_id(), ..Interrupted::default() };
        watch.feed(&Event::Interrupted(cut), 2600);
        watch.feed(&state(BotState::Idle), 2600);
        assert!(!watch.barges_in(1500, 12_599), "it may say something yet");
        assert!(watch.barges_in(1500, 12_600));
    }
}
