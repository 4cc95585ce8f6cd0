//! The media paths of a session: the one in use, those that are tried, and what comes when it
//! breaks. WebRTC first, and WebSocket audio beside it when that takes long; whatever is ready
//! first carries the conversation (`protocol/adr/0031-webrtc-with-a-head-start.md`).

mod climb;
mod peers;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use voxwire_core::wire::{
    AudioChunk, Carrier, ErrorCode, PathAnswer, PathClose, PathReady, Payload,
};

use self::climb::Climb;
use super::attempt::{Attempt, given_up_reason};
use super::ladder::{Fallback, is_of_the_network};
use super::memory::Remembered;
use super::webrtc::WebRtc;
use crate::error::Error;

/// Waits before the ladder is climbed again, microseconds; when it fails once more the session does.
const RETRY_US: [u64; 5] = [0, 500_000, 1_000_000, 2_000_000, 4_000_000];

/// After this long on WebSocket audio WebRTC is tried again; then after twice as long, ...
const UPGRADE_US: u64 = 15_000_000;

const MAX_UPGRADE_US: u64 = 120_000_000;

const OVERTAKEN: &str = "the server went over to a path that was given up";

/// A path that carries audio both ways.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) path_id: u32,
    pub(crate) carrier: Carrier,
    /// Of the bot's audio, Hz.
    pub(crate) sample_rate: u32,
    pub(crate) ready: PathReady,
    /// Audio that came before it was ready.
    pub(crate) early: VecDeque<AudioChunk>,
    /// The path that it replaces, where the server does not know yet that it is no more.
    pub(crate) replaces: Option<u32>,
    /// Why it is not WebRTC, where that was to be tried.
    pub(crate) fallback: Option<Fallback>,
}

/// The path in use, or the last one.
#[derive(Debug)]
struct InUse {
    path_id: u32,
    carrier: Carrier,
    rtc: Option<Box<WebRtc>>,
    fallback: Option<Fallback>,
}

/// Why the path in use is to be replaced.
#[derive(Debug)]
struct Broken {
    error: Error,
    /// The server knows that it is no more.
    known: bool,
}

/// When WebRTC is tried again behind a path that is none.
#[derive(Debug)]
struct Upgrade {
    /// The session had it before.
    had_webrtc: bool,
    /// How long it is waited for next.
    wait_us: u64,
    at_us: Option<u64>,
}

/// What a session wants of its paths.
#[derive(Debug)]
pub(crate) struct PathsWanted {
    /// What may carry the audio, best first.
    pub(crate) carriers: Vec<Carrier>,
    /// False = a path that breaks is the end.
    pub(crate) keep: bool,
    /// Whether WebRTC came about to this server before.
    pub(crate) remembered: Remembered,
    /// The moment 0 of every `now_us`.
    pub(crate) zero: Instant,
    /// A random number.
    pub(crate) seed: u32,
}

/// Keeps a path for a session.
#[derive(Debug)]
pub(crate) struct Paths {
    wanted: PathsWanted,
    /// Where the control channel goes.
    server: Option<IpAddr>,
    attached: bool,
    welcomed: bool,
    /// Number of the path that was asked for last.
    path_id: u32,
    attempts: Vec<Attempt>,
    /// How many paths the server has put in use.
    ready_count: u32,
    climb: Option<Climb>,
    in_use: Option<InUse>,
    /// Why the path in use is to be replaced.
    broken: Option<Broken>,
    /// The server went over to a path that is not in use here.
    overtaken: bool,
    sample_rate: Option<u32>,
    failures: usize,
    upgrade: Upgrade,
    /// What is to be sent.
    out: Vec<Payload>,
}

impl Paths {
    /// No path; the first one is asked for together with the session.
    pub(crate) const fn new(wanted: PathsWanted) -> Self {
        Self {
            wanted,
            server: None,
            attached: true,
            welcomed: false,
            path_id: 0,
            attempts: Vec::new(),
            ready_count: 0,
            climb: None,
            in_use: None,
            broken: None,
            overtaken: false,
            sample_rate: None,
            failures: 0,
            upgrade: Upgrade { had_webrtc: false, wait_us: UPGRADE_US, at_us: None },
            out: Vec::new(),
        }
    }

    /// The path that carries audio now. WebRTC that is to be replaced does while it can.
    pub(crate) fn open(&self) -> Option<u32> {
        let in_use = self.in_use.as_ref()?;
        (self.broken.is_none() || in_use.rtc.is_some()).then_some(in_use.path_id)
    }

    /// True once a path was there.
    pub(crate) const fn was_open(&self) -> bool {
        self.in_use.is_some()
    }

    /// The carrier of the path that was asked for last.
    pub(crate) fn asked(&self) -> Option<Carrier> {
        self.attempts.last().map(|attempt| attempt.carrier)
    }

    /// What is known to be wrong with WebRTC that is not there.
    pub(crate) fn trouble(&self, now_us: u64) -> Option<Error> {
        self.attempts.iter().find_map(|attempt| attempt.late(now_us))
    }

    /// The control channel goes to this address.
    pub(crate) const fn server_at(&mut self, address: Option<IpAddr>) {
        self.server = address;
    }

    /// The session was welcomed for the first time: what was asked for can be answered from now on.
    pub(crate) fn welcome(&mut self, now_us: u64) {
        self.welcomed = true;
        for attempt in &mut self.attempts {
            attempt.asked_us.get_or_insert(now_us);
        }
    }

    /// The control channel is gone, and with it audio over WebSocket and what was asked for.
    pub(crate) fn detached(&mut self) {
        self.attached = false;
        match &mut self.in_use {
            Some(InUse { rtc: Some(rtc), .. }) => rtc.doubt(),
            Some(_) => self.break_off(lost("the control channel that carried the audio"), true),
            None => {}
        }
        self.abandon();
    }

    /// The control channel is there. `anew` = positions may have been lost: open another path.
    pub(crate) fn attached(&mut self, anew: bool) {
        self.attached = true;
        if anew && self.in_use.is_some() {
            self.break_off(Error::lost("the session went on from a snapshot"), false);
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn next_due_us(&self) -> Option<u64> {
        if !self.out.is_empty() {
            return Some(0);
        }
        [self.peers_due_us(), self.climb_due_us()].into_iter().flatten().min()
    }

    /// What is to be sent.
    pub(crate) fn take_out(&mut self) -> Vec<Payload> {
        std::mem::take(&mut self.out)
    }

    /// Does what is due; returns a path that is to be used from now on.
    ///
    /// # Errors
    ///
    /// None is to be had.
    pub(crate) fn tick(&mut self, now_us: u64) -> Result<Option<Opened>, Error> {
        self.tick_peers(now_us);
        self.climb(now_us)
    }

    /// Takes the server's answer to what was asked.
    pub(crate) fn answered(&mut self, answer: &PathAnswer, now_us: u64) {
        if let Some(attempt) = self.attempt(answer.path_id) {
            attempt.answered(answer, now_us);
        }
    }

    /// Takes word that a path is ready.
    pub(crate) fn ready(&mut self, ready: PathReady) {
        let number = self.ready_count + 1;
        let path_id = ready.path_id;
        let replaces = self.in_use.as_ref().is_some_and(|in_use| in_use.path_id != path_id);
        if let Some(attempt) = self.attempt(path_id) {
            attempt.ready = Some((number, ready));
            self.ready_count = number;
            self.overtaken |= replaces;
        } else if replaces {
            self.overtaken = true; // to the server it has replaced the one in use
            self.break_off(Error::lost(OVERTAKEN), true);
            self.end_rtc();
        }
    }

    /// The server gives a path up.
    pub(crate) fn closed(&mut self, close: &PathClose) {
        if self.in_use.as_ref().is_some_and(|in_use| in_use.path_id == close.path_id) {
            self.break_off(Error::lost(given_up_reason(close)), true);
            self.end_rtc();
        } else if let Some(attempt) = self.attempt(close.path_id) {
            attempt.closed(close);
        }
    }

    /// An error of the server about what was asked for.
    pub(crate) fn refused(&mut self, code: i32, reason: &str, subject_id: &str) {
        let asked = self.path_id.to_string();
        let subject = if subject_id.is_empty() { &asked } else { subject_id };
        let Ok(path_id) = subject.parse() else { return };
        let close = PathClose { path_id, code, reason: reason.to_owned() };
        if let Some(attempt) = self.attempt(path_id) {
            attempt.closed(&close);
        }
    }

    /// Keeps audio of a path that is not ready yet; returns what belongs to the one in use.
    pub(crate) fn audio(&mut self, chunk: AudioChunk) -> Option<AudioChunk> {
        if chunk.track_id != 0 {
            return None;
        }
        if self.open() == Some(chunk.path_id) {
            return Some(chunk);
        }
        if let Some(attempt) = self.attempt(chunk.path_id) {
            attempt.keep(chunk);
        }
        None
    }

    fn attempt(&mut self, path_id: u32) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.path_id == path_id)
    }

    const fn is_broken(&self) -> bool {
        self.in_use.is_none() || self.broken.is_some()
    }

    /// Notes that the path in use is to be replaced. `known` = the server knows it.
    fn break_off(&mut self, error: Error, known: bool) {
        self.broken.get_or_insert(Broken { error, known: false }).known |= known;
        self.upgrade.at_us = None;
        if self.climb.as_ref().is_some_and(Climb::is_upgrade) {
            self.abandon();
        }
    }

    /// The connection in use carries nothing any more.
    fn end_rtc(&mut self) {
        if let Some(in_use) = &mut self.in_use {
            in_use.rtc = None;
        }
    }

    /// Puts a path in use; the one before is given up.
    fn take(
        &mut self,
        won: Attempt,
        fallback: Option<Fallback>,
        now_us: u64,
    ) -> Result<Opened, Error> {
        let Attempt { path_id, carrier, sample_rate, ready, early, mut rtc, given_up, .. } = won;
        if self.sample_rate.is_some_and(|before| before != sample_rate) {
            self.out.push(close_of(path_id));
            return Err(Error::lost(format!("the audio has changed to {sample_rate} Hz")));
        }
        self.sample_rate = Some(sample_rate);
        if let Some(rtc) = &mut rtc {
            rtc.begin(now_us);
        }
        let in_use = InUse { path_id, carrier, rtc, fallback: fallback.clone() };
        let before = self.in_use.replace(in_use);
        let known = self.broken.take().is_some_and(|broken| broken.known);
        let replaces = before.filter(|_| !known).map(|before| before.path_id);
        (self.overtaken, self.failures) = (false, 0);
        self.plan_upgrade(now_us);
        if let Some(close) = given_up {
            self.closed(&close); // right behind PathReady
        }
        let ready = ready.map(|(_, ready)| ready).unwrap_or_default();
        Ok(Opened { path_id, carrier, sample_rate, ready, early, replaces, fallback })
    }

    /// WebRTC that was had and lost, or that the network kept away, is tried again later.
    fn plan_upgrade(&mut self, now_us: u64) {
        self.upgrade.at_us = None;
        let Some(in_use) = &self.in_use else { return };
        if in_use.carrier == Carrier::Webrtc {
            (self.upgrade.wait_us, self.upgrade.had_webrtc) = (UPGRADE_US, true);
            return;
        }
        let fallback = in_use.fallback.as_ref();
        let blocked = fallback.is_some_and(|fallback| is_of_the_network(fallback.reason));
        let wanted = self.wanted.carriers.contains(&Carrier::Webrtc);
        if wanted && (self.upgrade.had_webrtc || blocked) && !self.is_late() {
            self.upgrade.at_us = Some(now_us + self.upgrade.wait_us);
            self.upgrade.wait_us = MAX_UPGRADE_US.min(2 * self.upgrade.wait_us);
        }
    }

    /// True while WebRTC is being tried behind a path that was ready before it.
    fn is_late(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.carrier == Carrier::Webrtc)
    }

    /// The moment that a time stands for.
    fn moment(&self, now_us: u64) -> Instant {
        self.wanted.zero + Duration::from_micros(now_us)
    }
}

/// Gives a path up.
pub(crate) fn close_of(path_id: u32) -> Payload {
    Payload::PathClose(PathClose { path_id, ..PathClose::default() })
}

fn lost(what: &str) -> Error {
    Error::new(ErrorCode::ConnectionLost, format!("{what} was lost")).retryable()
}

#[cfg(test)]
mod tests;
