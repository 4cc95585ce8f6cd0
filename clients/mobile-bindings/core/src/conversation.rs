//! The log of turns, as the server tells it: who said what, what of it was heard, which tools ran.
//!
//! A [`Conversation`] takes the messages of the server and what only this client knows: which words
//! its speaker reached, which calls it runs itself. Every verb says whether it changed something,
//! so that a program draws only what did.

mod turn;

use std::collections::VecDeque;

use crate::text_join::join_texts;
use crate::wire::{
    Payload, ResponseStarted, Snapshot, ToolCallEnded, ToolCallStarted, Transcript, Turn, TurnRole,
    UtteranceEnd, UtteranceStarted,
};
pub use turn::{
    BotTurn, CallStatus, LoggedEnd, LoggedToolCall, LoggedTurn, LoggedUtterance, LoggedWord,
    SnapshotText, UserTurn, WordState,
};

/// Turns that are kept; the oldest go first.
pub const MAX_TURNS: usize = 500;

/// Calls of this client that are remembered.
const MAX_OWN_CALLS: usize = 256;

/// Turns of the user that pieces may still come for.
const MAX_SAID: usize = 8;

/// Responses of which the turn is remembered.
const MAX_RESPONSES: usize = 64;

/// The turn log of one session.
#[derive(Clone, Debug)]
pub struct Conversation {
    turns: VecDeque<LoggedTurn>,
    skipped: u32,
    /// Pieces of what the user says, by turn.
    said: VecDeque<Said>,
    /// The last turn that the bot wrote or spoke in, or is to answer.
    bot_turn_id: String,
    /// Response and turn; one that only calls tools is not announced.
    turn_of: VecDeque<(String, String)>,
    /// Calls that this client was asked to run.
    own: VecDeque<String>,
}

/// The transcripts of a turn of the user, by their ids, in the order in which they began.
#[derive(Clone, Debug)]
struct Said {
    turn_id: String,
    pieces: Vec<(String, String)>,
}

impl Default for Conversation {
    fn default() -> Self {
        Self {
            turns: VecDeque::new(),
            skipped: 0,
            said: VecDeque::new(),
            bot_turn_id: "t0".to_owned(),
            turn_of: VecDeque::new(),
            own: VecDeque::new(),
        }
    }
}

impl Conversation {
    /// A log without turns, of a new session.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The turns, oldest first; at most [`MAX_TURNS`].
    #[must_use]
    pub fn turns(&self) -> impl DoubleEndedIterator<Item = &LoggedTurn> + ExactSizeIterator {
        self.turns.iter()
    }

    /// Number of times that messages were lost and a snapshot took their place.
    #[must_use]
    pub const fn skipped(&self) -> u32 {
        self.skipped
    }

    /// Takes a message of the server; what says nothing of the conversation changes nothing.
    ///
    /// `Welcome` is not looked at: the program begins a new log with a new session, or calls
    /// [`restore`](Self::restore) with the snapshot.
    pub fn apply(&mut self, payload: &Payload) -> bool {
        match payload {
            Payload::Transcript(message) => self.user_said(message),
            Payload::ResponseStarted(message) => self.response_started(message),
            Payload::UtteranceStarted(message) => self.utterance_started(message),
            Payload::UtteranceWords(message) => {
                self.in_utterance(&message.utterance_id, false, |one| one.add(message))
            }
            Payload::UtteranceEnded(message) => {
                let cut = message.end() == UtteranceEnd::Interrupted;
                self.in_utterance(&message.utterance_id, cut, |one| one.finish(message))
            }
            Payload::Interrupted(message) => {
                self.in_utterance(&message.utterance_id, true, |_| false)
            }
            Payload::ToolCallStarted(message) => self.called(message),
            Payload::ToolCallEnded(message) => self.call_ended(message),
            _ => false,
        }
    }

    /// This client's speaker reached a word.
    pub fn word_heard(&mut self, utterance_id: &str, index: u32) -> bool {
        self.in_utterance(utterance_id, false, |one| one.hear(index))
    }

    /// This client was asked to run a call; the server may announce it before or after.
    pub fn own_call(&mut self, call_id: &str) -> bool {
        if !self.own.iter().any(|known| known == call_id) {
            self.own.push_back(call_id.to_owned());
            if self.own.len() > MAX_OWN_CALLS {
                self.own.pop_front();
            }
        }
        self.in_call(call_id, |call| call.own = true)
    }

    /// What this client says about a call that it runs.
    pub fn own_progress(&mut self, call_id: &str, message: &str) -> bool {
        self.in_call(call_id, |call| call.progress = Some(message.to_owned()))
    }

    /// The session is over, whoever ended it: nothing is left open in a log that nothing is added
    /// to any more.
    pub fn over(&mut self) -> bool {
        let mut changed = false;
        for turn in &mut self.turns {
            match turn {
                LoggedTurn::User(turn) => {
                    changed |= !turn.is_final;
                    turn.is_final = true;
                }
                LoggedTurn::Bot(turn) => {
                    for utterance in &mut turn.utterances {
                        let cut = utterance.cut_short();
                        turn.interrupted |= cut;
                        changed |= cut;
                    }
                    for call in &mut turn.tool_calls {
                        if call.status == CallStatus::Running {
                            call.status = CallStatus::Cancelled;
                            changed = true;
                        }
                    }
                }
            }
        }
        changed
    }

    /// What a snapshot says takes the place of every turn; what goes on is told again behind it.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.turns.clear();
        for turn in &snapshot.turns {
            match turn.role() {
                TurnRole::User => self.restore_user(turn),
                TurnRole::Bot | TurnRole::Unspecified => self.restore_bot(turn),
            }
        }
        self.skipped += 1;
    }

    fn restore_user(&mut self, turn: &Turn) {
        let id = format!("{}:user", turn.turn_id);
        for known in &mut self.turns {
            if let LoggedTurn::User(same) = known
                && same.id == id
            {
                same.text = join_texts(&same.text, &turn.text);
                return;
            }
        }
        let text = turn.text.clone();
        self.push(LoggedTurn::User(UserTurn { id, text, is_final: true, typed: false }));
    }

    fn restore_bot(&mut self, turn: &Turn) {
        let bot = self.bot_turn(&turn.turn_id);
        bot.interrupted |= !turn.unheard_text.is_empty();
        let text = bot.from_snapshot.get_or_insert_default();
        text.add(&turn.text, &turn.unheard_text);
    }

    fn user_said(&mut self, message: &Transcript) -> bool {
        let pieces = self.pieces_of(&message.turn_id);
        match pieces.iter_mut().find(|(id, _)| *id == message.transcript_id) {
            Some((_, text)) => text.clone_from(&message.text),
            None => pieces.push((message.transcript_id.clone(), message.text.clone())),
        }
        let text = pieces.iter().fold(String::new(), |before, (_, text)| join_texts(&before, text));
        if message.r#final {
            self.bot_turn_id.clone_from(&message.turn_id);
        }
        let id = format!("{}:user", message.turn_id);
        let said = UserTurn { id, text, is_final: message.r#final, typed: message.typed };
        let known = self.turns.iter_mut().rev().find(|turn| turn.id() == said.id);
        match known {
            Some(turn) => *turn = LoggedTurn::User(said),
            None => self.push(LoggedTurn::User(said)),
        }
        true
    }

    /// The pieces of a turn of the user; there is such a turn afterwards.
    fn pieces_of(&mut self, turn_id: &str) -> &mut Vec<(String, String)> {
        let at = self.said.iter().position(|said| said.turn_id == turn_id);
        let at = at.unwrap_or_else(|| {
            if self.said.len() > MAX_SAID {
                self.said.pop_front();
            }
            self.said.push_back(Said { turn_id: turn_id.to_owned(), pieces: Vec::new() });
            self.said.len() - 1
        });
        &mut self.said[at].pieces
    }

    fn response_started(&mut self, message: &ResponseStarted) -> bool {
        if !message.turn_id.is_empty() {
            self.bot_turn_id.clone_from(&message.turn_id);
        }
        self.turn_of.retain(|(response_id, _)| *response_id != message.response_id);
        self.turn_of.push_back((message.response_id.clone(), message.turn_id.clone()));
        if self.turn_of.len() > MAX_RESPONSES {
            self.turn_of.pop_front();
        }
        false
    }

    fn utterance_started(&mut self, message: &UtteranceStarted) -> bool {
        if self.utterance(&message.utterance_id).is_some() {
            return false;
        }
        self.bot_turn_id.clone_from(&message.turn_id);
        let turn = self.bot_turn(&message.turn_id);
        turn.utterances.push(LoggedUtterance::new(&message.utterance_id));
        true
    }

    fn called(&mut self, message: &ToolCallStarted) -> bool {
        if self.call(&message.call_id).is_some() {
            return false;
        }
        let call = LoggedToolCall {
            id: message.call_id.clone(),
            name: message.name.clone(),
            arguments_json: shown(&message.arguments_json),
            status: CallStatus::Running,
            result_json: None,
            duration_ms: None,
            own: self.own.contains(&message.call_id),
            progress: None,
        };
        let turn_id = self.turn_of_call(&message.response_id);
        self.bot_turn(&turn_id).tool_calls.push(call);
        true
    }

    fn call_ended(&mut self, message: &ToolCallEnded) -> bool {
        self.in_call(&message.call_id, |call| {
            call.status = CallStatus::of(message.outcome());
            call.duration_ms = Some(message.duration_ms);
            if let Some(result_json) = shown(&message.result_json) {
                call.result_json = Some(result_json);
            }
        })
    }

    /// A call is often announced ahead of the response that asks for it: then it answers the user.
    fn turn_of_call(&self, response_id: &str) -> String {
        if let Some(LoggedTurn::User(last)) = self.turns.back() {
            return last.id.trim_end_matches(":user").to_owned();
        }
        let of_response = self.turn_of.iter().find(|(known, _)| known == response_id);
        match of_response {
            Some((_, turn_id)) if !turn_id.is_empty() => turn_id.clone(),
            _ => self.bot_turn_id.clone(),
        }
    }

    /// The bot's turn of that name; there is one afterwards.
    fn bot_turn(&mut self, turn_id: &str) -> &mut BotTurn {
        let id = format!("{turn_id}:bot");
        let known = self.turns.iter().rposition(|turn| turn.id() == id);
        let at = known.unwrap_or_else(|| {
            self.push(LoggedTurn::Bot(BotTurn { id, ..BotTurn::default() }));
            self.turns.len() - 1
        });
        match &mut self.turns[at] {
            LoggedTurn::Bot(turn) => turn,
            LoggedTurn::User(_) => unreachable!("a turn of the bot's name is the bot's"),
        }
    }

    fn push(&mut self, turn: LoggedTurn) {
        self.turns.push_back(turn);
        if self.turns.len() > MAX_TURNS {
            self.turns.pop_front();
        }
    }

    fn bot_turns(&mut self) -> impl Iterator<Item = &mut BotTurn> {
        self.turns.iter_mut().rev().filter_map(|turn| match turn {
            LoggedTurn::Bot(turn) => Some(turn),
            LoggedTurn::User(_) => None,
        })
    }

    fn utterance(&mut self, id: &str) -> Option<(&mut bool, &mut LoggedUtterance)> {
        self.bot_turns().find_map(|turn| {
            let utterance = turn.utterances.iter_mut().find(|one| one.id == id)?;
            Some((&mut turn.interrupted, utterance))
        })
    }

    fn call(&mut self, id: &str) -> Option<&mut LoggedToolCall> {
        self.bot_turns().find_map(|turn| turn.tool_calls.iter_mut().find(|call| call.id == id))
    }

    fn in_utterance(
        &mut self,
        id: &str,
        cut: bool,
        change: impl FnOnce(&mut LoggedUtterance) -> bool,
    ) -> bool {
        let Some((interrupted, utterance)) = self.utterance(id) else { return false };
        let newly_cut = cut && !*interrupted;
        *interrupted |= cut;
        change(utterance) || newly_cut
    }

    fn in_call(&mut self, id: &str, change: impl FnOnce(&mut LoggedToolCall)) -> bool {
        let Some(call) = self.call(id) else { return false };
        let before = call.clone();
        change(call);
        *call != before
    }
}

/// JSON that the server shows.
fn shown(json: &str) -> Option<String> {
    (!json.is_empty()).then(|| json.to_owned())
}
