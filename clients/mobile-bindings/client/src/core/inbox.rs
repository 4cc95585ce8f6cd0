//! What the server says, and what becomes of the connection: who takes it.

use voxwire_core::clock::ClockSync;
use voxwire_core::wire::{
    Bye, EndReason, Error as WireError, ErrorCode, Mute, Payload, RecoveryAction, Snapshot, Welcome,
};

use super::{Attach, Core};
use crate::error::Error;
use crate::event::{ConnectionChanged, ConnectionState, Event, EventsSkipped, PathChanged};

impl Core {
    /// Takes bytes of the socket in use.
    pub(crate) fn receive(&mut self, data: &[u8], now_us: u64) {
        let (delivered, _) = self.link.receive(data, now_us / 1000);
        for received in delivered {
            if let Some(tap) = &self.tap {
                tap.see(&received.envelope);
            }
            if let Some(payload) = received.envelope.payload {
                self.handle(payload, now_us);
            }
        }
    }

    /// A socket was welcomed.
    ///
    /// # Errors
    ///
    /// The Welcome cannot be true.
    pub(crate) fn attached(&mut self, attach: Attach, now_us: u64) -> Result<(), Error> {
        let unsent = self.link.attached(&attach, now_us / 1000)?;
        let Attach { welcome, attempt, after_ms, .. } = attach;
        let again = !self.welcome.session_id.is_empty();
        self.trouble = None;
        self.welcome = welcome;
        if again && attempt == 0 {
            self.detach();
        }
        self.change(ConnectionState::Connected, attempt, after_ms, again);
        let skipped = self.welcome.snapshot.is_some() || (again && !self.welcome.resumed);
        if skipped {
            let snapshot = self.welcome.snapshot.clone().unwrap_or_default();
            self.skip(&snapshot, unsent, now_us);
        }
        self.paths.welcome(now_us);
        self.paths.attached(skipped);
        self.tick(now_us);
        Ok(())
    }

    /// The socket is gone.
    ///
    /// # Errors
    ///
    /// Why the session is over with it.
    pub(crate) fn lose(&mut self, error: Error, now_us: u64) -> Result<Error, Error> {
        let error = self.link.lose(error, now_us / 1000)?;
        self.trouble = Some(error.clone());
        Ok(error)
    }

    /// The connection is dialled again, for this time since the loss.
    pub(crate) fn trying(&mut self, attempt: u32) {
        self.detach();
        self.change(ConnectionState::Reconnecting, attempt, 0, true);
    }

    fn detach(&mut self) {
        self.paths.detached();
        if self.paths.open().is_none() {
            self.user.park(); // a connection of its own lives on
        }
    }

    fn change(&mut self, state: ConnectionState, attempt: u32, after_ms: u64, again: bool) {
        self.connection = state;
        if again && self.player.is_some() {
            let epoch = self.welcome.epoch;
            let changed = ConnectionChanged { state, attempt, epoch, after_ms };
            self.outbox.put(Event::ConnectionChanged(changed));
        }
    }

    /// The session is up: tells so, and what came before it was.
    pub(super) fn begin(&mut self, changed: PathChanged, now_us: u64) {
        // What proves that the session is ours is nobody else's.
        let started = Welcome {
            resume_token: Vec::new(),
            ice_servers: Vec::new(),
            snapshot: None,
            ..self.welcome.clone()
        };
        self.outbox.put(Event::SessionStarted(Box::new(started)));
        self.outbox.put(Event::PathChanged(changed));
        if let Some(skipped) = self.early_skip.take() {
            self.outbox.put(Event::EventsSkipped(skipped));
        }
        for payload in std::mem::take(&mut self.early) {
            self.happen(&payload, now_us);
        }
    }

    /// Goes on from a snapshot, since what happened meanwhile is lost.
    fn skip(&mut self, snapshot: &Snapshot, unsent: u64, now_us: u64) {
        self.unreported.clear();
        let spoken = snapshot.utterance.iter().chain(&snapshot.queued_utterances);
        let mut said: Vec<Payload> = spoken.cloned().map(Payload::UtteranceStarted).collect();
        said.extend(snapshot.words.iter().cloned().map(Payload::UtteranceWords));
        said.extend(snapshot.tool_calls.iter().cloned().map(Payload::ToolCallStarted));
        let state = Payload::StateChanged(snapshot.state.unwrap_or_default());
        let muted = self.user.muted();
        let told_muted = snapshot.user_muted;
        let skipped =
            EventsSkipped { count: 0, unsent, snapshot: Some(Box::new(snapshot.clone())) };
        if let Some(player) = &mut self.player {
            self.outbox.put(Event::EventsSkipped(skipped));
            for event in said.into_iter().filter_map(Event::of) {
                self.outbox.put(event);
            }
            player.restore(snapshot, now_us);
            player.handle(&state, now_us);
            self.tell(now_us);
        } else {
            said.push(state);
            (self.early, self.early_skip) = (said, Some(skipped));
        }
        if told_muted != muted {
            self.say([Payload::Mute(Mute { muted })], now_us);
        }
        if self.leaving {
            self.say([Payload::Bye(Bye::default())], now_us);
        }
    }

    fn handle(&mut self, payload: Payload, now_us: u64) {
        if let Payload::GoAway(notice) = &payload {
            self.link.go_away(notice, now_us / 1000);
        }
        match payload {
            Payload::Ping(ping) => {
                self.say([Payload::Pong(ClockSync::pong(&ping, now_us, now_us))], now_us);
            }
            Payload::Pong(pong) => {
                self.link.clock.receive(&pong, now_us);
            }
            Payload::ToolRequest(request) => {
                let said = self.tools.request(request);
                self.say(said, now_us);
            }
            Payload::ToolCancel(cancel) => self.tools.withdraw(&cancel.call_id),
            Payload::Audio(chunk) => {
                if let Some(chunk) = self.paths.audio(chunk) {
                    self.play(&chunk);
                }
            }
            Payload::PathAnswer(answer) => {
                self.paths.answered(&answer, now_us);
                self.tick_paths(now_us);
            }
            Payload::PathReady(ready) => {
                self.paths.ready(ready);
                self.tick_paths(now_us);
            }
            Payload::PathClose(close) => {
                self.paths.closed(&close);
                self.tick_paths(now_us);
            }
            Payload::MediaAnchor(anchor) => {
                let puts = self.paths.anchor(&anchor);
                self.put_sound(puts);
            }
            // A server names its addresses in its answer, and no TURN server is used here.
            Payload::IceServersUpdate(_) | Payload::IceCandidate(_) => {}
            Payload::Error(_) | Payload::SessionEnded(_) => self.happen(&payload, now_us),
            payload if self.player.is_none() => self.early.push(payload),
            payload => self.happen(&payload, now_us),
        }
    }

    /// Takes what the program is told, or the speaker.
    fn happen(&mut self, payload: &Payload, now_us: u64) {
        if let Payload::Flush(flush) = payload {
            self.flushed_on = flush.path_id;
        }
        let at_the_speaker = matches!(payload, Payload::Flush(_) | Payload::StateChanged(_));
        match payload {
            Payload::Error(error) => self.fault(error, now_us),
            Payload::SessionEnded(message) => {
                if message.reason() == EndReason::Error {
                    let why = self.last_error.clone();
                    self.fatal = self
                        .fatal
                        .take()
                        .or(why)
                        .or_else(|| Some(Error::lost("the server ended the session")));
                }
                self.ended = Some(*message);
                self.finish(now_us);
                return;
            }
            _ => {}
        }
        if !at_the_speaker {
            self.put(payload.clone());
        }
        if let Some(player) = &mut self.player {
            player.handle(payload, now_us);
        }
        self.tell(now_us);
    }

    /// Tells the program, unless it is an answer that somebody waits for.
    fn put(&mut self, payload: Payload) {
        if let Some(payload) = self.requests.receive(payload)
            && let Some(event) = Event::of(payload)
        {
            self.outbox.put(event);
        }
    }

    fn fault(&mut self, message: &WireError, now_us: u64) {
        let error = Error::of_wire(message);
        self.last_error = Some(error.clone());
        if error.code == ErrorCode::Superseded {
            self.link.condemn(error, now_us / 1000); // unless this client itself moved over
        } else if error.action == RecoveryAction::Resume && self.link.greeting.resumable {
            self.link.expect_close();
        } else if message.fatal {
            self.fatal = Some(error);
            self.finish(now_us);
        } else if !self.paths.was_open() || !message.subject_id.is_empty() {
            self.paths.refused(message.code, &message.reason, &message.subject_id);
            self.tick_paths(now_us);
        }
    }
}
