//! A session without sockets, tasks and clocks: what it takes, what it gives, when it wants to be
//! called again. Every `now_us` is microseconds of one monotonic clock, of any origin.

mod addresses;
mod attempt;
mod cues;
mod deadline;
mod ending;
mod greeting;
mod inbox;
mod ladder;
mod link;
mod media;
mod memory;
mod outbox;
mod paths;
mod patience;
mod player;
mod position;
mod requests;
mod second;
#[cfg(test)]
mod tests;
mod tools;
mod url;
mod user_audio;
mod webrtc;

use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};

use voxwire_core::playout::Block;
use voxwire_core::wire::{
    AudioChunk, BotState, Envelope, ErrorCode, Mute, Payload, PlayoutReport, SessionEnded,
    StateChanged, UserState, Welcome,
};

pub(crate) use deadline::Deadline;
use ending::Farewell;
pub(crate) use greeting::{Again, BUSY, Greeting, Wanted, backoff_ms, expired, is_final};
pub(crate) use link::{Attach, Link};
pub(crate) use memory::{CarrierMemory, Remembered};
use outbox::Outbox;
use paths::Paths;
pub(crate) use paths::PathsWanted;
use player::Player;
pub(crate) use requests::Requests;
pub(crate) use second::Step;
pub(crate) use tools::{Command, Tools};
pub(crate) use url::Url;
use user_audio::UserAudio;

use crate::error::Error;
use crate::event::{ConnectionState, Event, EventsSkipped};
use crate::options::Tap;

/// Everything that a session consists of. `Debug` shows nothing of it: it has secrets, and what was
/// said.
pub(crate) struct Core {
    pub(crate) deadline: Deadline,
    pub(crate) link: Link,
    pub(crate) requests: Requests,
    pub(crate) tools: Tools,
    tap: Option<Tap>,
    outbox: Outbox,
    pub(crate) paths: Paths,
    player: Option<Player>,
    user: UserAudio,
    /// Of the user's audio, what was kept ahead of a path with audio of its own, and where that goes
    /// on; it goes over the control channel.
    untold: VecDeque<AudioChunk>,
    /// The newest one.
    welcome: Welcome,
    connection: ConnectionState,
    /// As the speaker has reached it.
    state: StateChanged,
    /// What was said before the session was up.
    early: Vec<Payload>,
    early_skip: Option<EventsSkipped>,
    /// Number of the path in use, or of the last one.
    path_id: u32,
    /// Number of the path that the last flush was about.
    flushed_on: u32,
    /// Answers to flushes that wait for a path.
    unreported: Vec<PlayoutReport>,
    last_error: Option<Error>,
    /// Why there is no connection now.
    trouble: Option<Error>,
    fatal: Option<Error>,
    ended: Option<SessionEnded>,
    /// Bye was said: it is said again if it was lost.
    leaving: bool,
    /// When the session was over.
    over_us: Option<u64>,
    idle_blocks: u32,
    /// Whether the socket is closed with a word.
    farewell: Farewell,
    /// The end was told.
    closed: bool,
}

impl Debug for Core {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Core").finish_non_exhaustive()
    }
}

impl Core {
    /// A session that is not dialled yet.
    pub(crate) fn new(
        greeting: Greeting,
        deadline: Deadline,
        wanted: PathsWanted,
        tap: Option<Tap>,
    ) -> Self {
        Self {
            deadline,
            link: Link::new(greeting),
            requests: Requests::default(),
            tools: Tools::default(),
            tap,
            outbox: Outbox::default(),
            paths: Paths::new(wanted),
            player: None,
            user: UserAudio::new(),
            untold: VecDeque::new(),
            welcome: Welcome::default(),
            connection: ConnectionState::Connected,
            state: StateChanged::default(),
            early: Vec::new(),
            early_skip: None,
            path_id: 0,
            flushed_on: 0,
            unreported: Vec::new(),
            last_error: None,
            trouble: None,
            fatal: None,
            ended: None,
            leaving: false,
            over_us: None,
            idle_blocks: 0,
            farewell: Farewell::Unasked,
            closed: false,
        }
    }

    /// What the server said when it welcomed this client last.
    pub(crate) const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Whether the control channel is there.
    pub(crate) const fn connection(&self) -> ConnectionState {
        self.connection
    }

    /// True once the session was up.
    pub(crate) const fn is_ready(&self) -> bool {
        self.player.is_some()
    }

    /// True once it is over, or as good as over: nothing is dialled again.
    pub(crate) const fn is_over(&self) -> bool {
        self.over_us.is_some()
    }

    /// True once the end was told: nothing of it is left.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Rate of the blocks, Hz; `None` before the session is up.
    pub(crate) fn playout_rate(&self) -> Option<u32> {
        self.player.as_ref().map(Player::sample_rate)
    }

    /// Position of the sample that sounds now, milliseconds of the media clock.
    pub(crate) fn position_ms(&mut self, now_us: u64) -> u64 {
        self.player.as_mut().map_or(0, |player| player.position_ms(now_us))
    }

    /// Audio made up so far, milliseconds.
    pub(crate) fn concealed_ms(&self) -> u64 {
        self.player.as_ref().map_or(0, Player::concealed_ms)
    }

    /// The next event for the program: see [`Outbox::take`].
    pub(crate) fn take_event(&mut self) -> Option<Result<Option<Event>, Error>> {
        self.outbox.take()
    }

    /// Sends what the program asks for.
    ///
    /// # Errors
    ///
    /// `INVALID_STATE` when the session is over, `CAPACITY` when too much waits.
    pub(crate) fn send(&mut self, payload: Payload, now_us: u64) -> Result<(), Error> {
        if self.is_over() {
            return Err(Error::new(ErrorCode::InvalidState, "the session has ended"));
        }
        self.link.send(payload, now_us / 1000).map(|_| ())
    }

    /// Closes or opens the microphone.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub(crate) fn mute(&mut self, muted: bool, now_us: u64) -> Result<(), Error> {
        self.send(Payload::Mute(Mute { muted }), now_us)?;
        self.user.mute(muted);
        Ok(())
    }

    /// Takes what the microphone gave, int16 mono at 16 kHz.
    pub(crate) fn push(&mut self, samples: &[i16], now_us: u64) {
        self.user.capture(samples, now_us / 1000);
        if self.user.muted()
            && let Some(rtc) = self.paths.live()
        {
            rtc.push(&vec![0; samples.len()], now_us);
        }
        self.send_audio(now_us);
    }

    /// Hands out the block that sounds from `at_us` on: silence before the session is up.
    pub(crate) fn pull(&mut self, num_samples: usize, at_us: u64, now_us: u64) -> Block {
        let Some(player) = &mut self.player else {
            return Block { samples: vec![0; num_samples], spans: Vec::new(), position: 0 };
        };
        let block = player.pull(num_samples, at_us, now_us);
        self.idle_blocks = if player.is_idle() { self.idle_blocks + 1 } else { 0 };
        self.tell(now_us);
        block
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now_us: u64) {
        self.tick_paths(now_us);
        if let Some(player) = &mut self.player {
            player.happen(now_us);
            self.tell(now_us);
        }
    }

    /// When [`tick`](Self::tick) has something to do, or something is to be written.
    ///
    /// Paths with connections of their own have somebody who looks after all paths.
    pub(crate) fn next_due_us(&self) -> Option<u64> {
        let player = self.player.as_ref().and_then(Player::next_due_us);
        let paths = if self.paths.has_peers() { None } else { self.media_due_us() };
        [player, paths].into_iter().flatten().min()
    }

    /// True when there is something to write, or to tell.
    pub(crate) fn has_news(&self) -> bool {
        !self.link.is_flushed() || !self.outbox.is_empty()
    }

    /// Passes on what happened at the speaker.
    fn tell(&mut self, now_us: u64) {
        let Some(player) = &mut self.player else { return };
        let happened = player.take_happened();
        for event in happened.events {
            if let Event::StateChanged(state) = event {
                self.state = state;
            }
            self.outbox.put(event);
        }
        for mut report in happened.reports {
            let waits = self.paths.open().is_none() || self.flushed_on > self.path_id;
            if report.flush_id != 0 && waits {
                self.unreported.push(report);
                continue;
            }
            report.path_id = self.path_id;
            self.say([Payload::PlayoutReport(report)], now_us);
        }
    }

    /// True when nobody speaks, nothing is owed, and nothing of the bot's is to be played.
    fn is_quiet(&self) -> bool {
        let idle = self.state.bot() == BotState::Idle && self.state.user() != UserState::Speaking;
        idle && self.player.as_ref().is_some_and(Player::is_idle)
    }

    /// Says whether another socket is to be dialled beside the one in use.
    pub(crate) fn look(&mut self, stalled: bool, now_us: u64) -> Step {
        let quiet = self.is_quiet();
        self.link.look(stalled, quiet, now_us / 1000)
    }

    /// Sends what the session itself has to say. What cannot be sent any more is not missed: the
    /// server reads nothing, and the socket is about to go.
    fn say(&mut self, payloads: impl IntoIterator<Item = Payload>, now_us: u64) {
        for payload in payloads {
            let _ = self.link.send(payload, now_us / 1000);
        }
    }

    /// The Hello for a socket that was dialled.
    pub(crate) fn hello(&mut self) -> Envelope {
        self.link.hello()
    }
}
