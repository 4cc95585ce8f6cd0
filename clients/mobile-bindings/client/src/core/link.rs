//! The control channel of one session as it stands on any socket: what is to be written, what was
//! acknowledged, when the server is silent or stuck.

use std::collections::VecDeque;

use voxwire_core::channel::{Channel, ChannelOptions, Received, ReplayLimits};
use voxwire_core::clock::ClockSync;
use voxwire_core::wire::{Envelope, ErrorCode, GoAway, Payload, Ping, Side, Welcome};

use super::greeting::{Greeting, Nonce, is_final};
use super::patience::Patience;
use super::second::{Look, Second, Step};
use super::url::Url;
use crate::error::Error;

/// Unsent messages above which audio and reports are dropped (1 s of 20 ms blocks).
const MAX_LOSSY_QUEUED: usize = 50;

/// Unsent messages above which nothing more is taken.
const MAX_QUEUED: usize = 4096;

/// Ping interval when the server names none, milliseconds.
const HEARTBEAT_MS: u64 = 5000;

/// A server that says nothing for this long, or for three heartbeats, is gone, milliseconds.
const SILENT_MS: u64 = 5000;

/// A close this long after an error of the server has that error as its reason, milliseconds.
const VERDICT_MS: u64 = 2000;

/// The largest envelope that a server may ask for, bytes.
const MAX_SEND_BYTES: u32 = 1 << 20;

/// A socket that was welcomed, and how it was had.
pub(crate) struct Attach {
    /// Where it was dialled.
    pub(crate) url: Url,
    pub(crate) welcome: Welcome,
    /// Number of the try since the loss; 0 = the first socket, or a second one that took over.
    pub(crate) attempt: u32,
    /// Time since the loss, milliseconds.
    pub(crate) after_ms: u64,
    /// What is queued is being written on this very socket already.
    pub(crate) eager: bool,
    /// Names the next attach.
    pub(crate) nonce: Nonce,
    /// By chance, from 0 to 1: when this one leaves, of all clients of a server that does.
    pub(crate) jitter: f64,
}

/// One `Channel` for the whole life of a session; sockets come and go.
pub(crate) struct Link {
    pub(crate) greeting: Greeting,
    pub(crate) clock: ClockSync,
    pub(crate) second: Second,
    patience: Patience,
    channel: Channel,
    queue: VecDeque<Vec<u8>>,
    /// True while there is a socket.
    connected: bool,
    /// Where the one in use was dialled.
    here: Option<Url>,
    jitter: f64,
    /// From here on a lost socket is the end.
    over: bool,
    /// The server will close this socket, and the session goes on whatever the close says.
    kept_whatever: bool,
    verdict: Option<(u64, Error)>,
    opened_ms: u64,
    heard_ms: u64,
    silent_ms: u64,
    ping_ms: u64,
    ping_at_ms: u64,
}

impl Link {
    /// Nothing is dialled yet.
    ///
    /// # Panics
    ///
    /// Never: the channel's own limits are used.
    pub(crate) fn new(greeting: Greeting) -> Self {
        // The grace of the session bounds the age of what is kept.
        let limits = ReplayLimits { age_ms: 600_000, ..ReplayLimits::DEFAULT };
        let options = ChannelOptions { limits, ..ChannelOptions::new(Side::Server) };
        Self {
            greeting,
            clock: ClockSync::new(),
            second: Second::default(),
            patience: Patience::new(),
            channel: Channel::new(options).expect("the default limits can be used"),
            queue: VecDeque::new(),
            connected: false,
            here: None,
            jitter: 0.0,
            over: false,
            kept_whatever: false,
            verdict: None,
            opened_ms: 0,
            heard_ms: 0,
            silent_ms: SILENT_MS,
            ping_ms: HEARTBEAT_MS,
            ping_at_ms: 0,
        }
    }

    /// The Hello for a socket that was dialled.
    pub(crate) fn hello(&mut self) -> Envelope {
        self.greeting.hello(self.channel.last_received())
    }

    /// A first socket is there, and Hello was said on it: what is queued follows without waiting.
    pub(crate) const fn opened(&mut self, now_ms: u64) {
        self.connected = true;
        (self.opened_ms, self.heard_ms) = (now_ms, now_ms);
    }

    /// True while there is a socket.
    pub(crate) const fn is_connected(&self) -> bool {
        self.connected
    }

    /// From here on a lost socket is the end.
    pub(crate) const fn finish(&mut self) {
        self.over = true;
        self.second.stay();
    }

    /// The server will close this socket, and the session goes on whatever the close says.
    pub(crate) const fn expect_close(&mut self) {
        self.kept_whatever = true;
    }

    /// The server will close this socket; the session goes on elsewhere if it says where.
    pub(crate) fn go_away(&mut self, notice: &GoAway, now_ms: u64) {
        let moves = self.greeting.addresses.sent_on(&notice.resume_url, self.here.as_ref());
        if moves && self.greeting.resumable && !self.over {
            self.second.plan_move(notice.time_left_ms.into(), self.jitter, now_ms);
        } else {
            self.second.stay();
        }
    }

    /// The first Hello was refused; it may be said again, on another socket.
    pub(crate) fn refused(&mut self) {
        self.connected = false;
        self.queue.clear();
    }

    /// The server says why it will close this socket; that counts, not the close code.
    pub(crate) fn condemn(&mut self, error: Error, now_ms: u64) {
        self.verdict = Some((now_ms, error));
    }

    /// Sends a message, or keeps it until the channel is back; false when it was not taken: audio
    /// and reports without a socket, or while it is more than 1 s behind.
    ///
    /// # Errors
    ///
    /// It is too large; `CAPACITY` when too much waits for the server.
    pub(crate) fn send(&mut self, payload: Payload, now_ms: u64) -> Result<bool, Error> {
        let message = Envelope::of(payload);
        let lossy = !message.kind().is_some_and(voxwire_core::wire::PayloadKind::is_reliable);
        if lossy && (!self.connected || self.queue.len() > MAX_LOSSY_QUEUED) {
            return Ok(false);
        }
        if !lossy && self.greeting.resumable && !self.channel.has_room(&message) {
            let reason = "too much waits for the server already";
            return Err(Error::new(ErrorCode::Capacity, reason).retryable());
        }
        if self.queue.len() > MAX_QUEUED {
            return Err(Error::lost("the server does not read what is sent to it"));
        }
        let data = self.channel.send(&message, now_ms)?;
        if self.connected {
            self.queue.extend(data);
        }
        Ok(true)
    }

    /// Takes bytes of the socket in use; returns what they deliver, and whether they were bad.
    pub(crate) fn receive(&mut self, data: &[u8], now_ms: u64) -> (Vec<Received>, bool) {
        self.heard_ms = now_ms;
        match self.channel.receive(data, now_ms) {
            Ok(delivered) => (delivered, false),
            Err(error) => (error.delivered, true),
        }
    }

    /// What is written next; it stays first until [`written`](Self::written).
    pub(crate) fn outgoing(&mut self, now_ms: u64) -> Option<&[u8]> {
        if self.connected {
            self.queue.extend(self.channel.outgoing(now_ms));
        }
        self.queue.front().map(Vec::as_slice)
    }

    /// What [`outgoing`](Self::outgoing) returned is on its way.
    pub(crate) fn written(&mut self) {
        self.queue.pop_front();
    }

    /// True when everything queued was written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    /// When an acknowledgement is due, milliseconds.
    pub(crate) const fn next_due_ms(&self) -> Option<u64> {
        self.channel.next_due_ms()
    }

    /// A welcomed socket is the one in use; what the server lacks is sent again. Returns how many
    /// messages were given up, because the session goes on from a snapshot.
    ///
    /// # Errors
    ///
    /// The Welcome cannot be true.
    pub(crate) fn attached(&mut self, attach: &Attach, now_ms: u64) -> Result<u64, Error> {
        let welcome = &attach.welcome;
        let first = self.greeting.first();
        self.connected = true;
        (self.opened_ms, self.heard_ms) = (now_ms, now_ms);
        (self.verdict, self.kept_whatever) = (None, false);
        (self.second, self.jitter) = (Second::default(), attach.jitter);
        self.here = Some(attach.url.clone());
        self.greeting.welcomed(welcome, attach.url.clone(), attach.nonce)?;
        self.take_limits(welcome)?;
        if attach.eager {
            return Ok(0);
        }
        self.channel.on_lost(now_ms);
        if welcome.resumed || (first && welcome.snapshot.is_none()) {
            let missing = self.channel.resume(welcome.last_seq, now_ms)?.ok_or_else(|| {
                let reason = "the server resumes from before what this side still has";
                Error::new(ErrorCode::Malformed, reason)
            })?;
            self.queue = missing.into();
            return Ok(0);
        }
        let unsent = self.channel.unacknowledged();
        self.channel.restart();
        self.queue.clear();
        Ok(unsent)
    }

    /// The socket is gone.
    ///
    /// # Errors
    ///
    /// Why the session is over with it.
    pub(crate) fn lose(&mut self, error: Error, now_ms: u64) -> Result<Error, Error> {
        self.connected = false;
        let error = match self.verdict.take() {
            Some((at_ms, verdict)) if now_ms.saturating_sub(at_ms) < VERDICT_MS => verdict,
            _ => error,
        };
        self.patience.reset();
        self.queue.clear();
        let ours = error.code == ErrorCode::Superseded && self.greeting.unanswered;
        let kept = self.greeting.first() || self.greeting.resumable;
        let kept_whatever = self.kept_whatever && error.code != ErrorCode::Superseded;
        let leaves = error.code == ErrorCode::GoingAway && self.greeting.resumable;
        let goes_on = ours || leaves || kept_whatever;
        if self.over || !kept || (is_final(&error, false) && !goes_on) {
            return Err(error);
        }
        self.channel.on_lost(now_ms);
        Ok(error)
    }

    /// The ping that is due.
    pub(crate) fn ping(&mut self, now_us: u64) -> Option<Ping> {
        let now_ms = now_us / 1000;
        if now_ms < self.clock.next_ping_ms(now_ms).min(self.ping_at_ms) {
            return None;
        }
        self.ping_at_ms = now_ms + self.ping_ms;
        Some(self.clock.ping(now_us))
    }

    /// How long the server has been silent, milliseconds, when that is too long.
    pub(crate) fn silent_ms(&self, now_ms: u64) -> Option<u64> {
        let silent_ms = now_ms.saturating_sub(self.heard_ms);
        (silent_ms > self.silent_ms).then_some(silent_ms)
    }

    /// Says whether another socket is to be dialled beside the one in use. `stalled` = this program
    /// stood still; `quiet` = nobody speaks and nothing is owed.
    pub(crate) fn look(&mut self, stalled: bool, quiet: bool, now_ms: u64) -> Step {
        let look = Look { stuck: self.is_stuck(now_ms), stalled, quiet };
        self.second.look(look, self.greeting.unanswered, now_ms)
    }

    /// The second socket was had, or was not to be had; true when there is none at all now.
    pub(crate) fn second_done(&mut self, had: bool) -> bool {
        if self.second.take() {
            self.patience.grow();
        }
        !had && self.second.is_last()
    }

    /// True for a loss that the Hello on a second socket has caused: its Welcome is on its way.
    pub(crate) fn has_caused(&mut self, error: &Error) -> bool {
        let ours = error.code == ErrorCode::Superseded && self.greeting.unanswered;
        self.second.has_caused(ours)
    }

    /// True when something waits and the server has acknowledged nothing for too long.
    fn is_stuck(&mut self, now_ms: u64) -> bool {
        let Some(since_ms) = self.channel.waiting_since_ms() else { return false };
        if !self.greeting.resumable || self.over {
            return false;
        }
        let acknowledged = self.channel.last_sent() - self.channel.unacknowledged();
        let since_ms = since_ms.max(self.opened_ms);
        let rtt_us = self.clock.rtt_us().unwrap_or(0);
        self.patience.is_over(now_ms, since_ms, acknowledged, rtt_us)
    }

    fn take_limits(&mut self, welcome: &Welcome) -> Result<(), Error> {
        if welcome.max_message_bytes != 0 {
            let max_bytes = welcome.max_message_bytes.clamp(128, MAX_SEND_BYTES);
            self.channel.set_max_send_bytes(max_bytes as usize)?;
        }
        let said_ms = match welcome.heartbeat_ms {
            0 => HEARTBEAT_MS,
            said => said.into(),
        };
        let heartbeat_ms = said_ms.clamp(500, 30_000);
        self.silent_ms = (3 * heartbeat_ms).min(SILENT_MS);
        self.ping_ms = heartbeat_ms.min(self.silent_ms / 3);
        Ok(())
    }
}
