//! The ladder: which carrier is asked for when, and what becomes of those that are not ready.

use std::collections::VecDeque;

use voxwire_core::wire::{AudioFormat, Carrier, Codec, PathOpen, Payload};

use super::{Opened, Paths, RETRY_US, close_of};
use crate::core::attempt::Attempt;
use crate::core::ladder::{Fallback, next_due_us};
use crate::core::webrtc::WebRtc;
use crate::error::Error;
use crate::{BLOCK_MS, CAPTURE_RATE, PLAYOUT_RATE};

/// One way up the ladder, until a path is ready or none is to be had.
#[derive(Debug)]
pub(super) struct Climb {
    /// When it begins.
    at_us: u64,
    /// It is for the first path of the session: the caller has a deadline for the last carrier.
    first: bool,
    /// Another path carries the audio meanwhile.
    upgrade: bool,
    carriers: Vec<Carrier>,
    /// What is still to be asked for; `None` = it has not begun.
    waiting: Option<VecDeque<Carrier>>,
    /// The carrier that is tried for as long as the caller waits.
    endless: Option<Carrier>,
    failures: Vec<(Carrier, Error)>,
    why: Option<Fallback>,
}

impl Climb {
    pub(super) const fn is_upgrade(&self) -> bool {
        self.upgrade
    }
}

/// What has become of a climb.
enum Step {
    Wait,
    Won(Attempt, Option<Fallback>),
    Failed(Error),
}

impl Paths {
    /// Climbs as far as is due; returns a path that is ready.
    ///
    /// # Errors
    ///
    /// None is to be had.
    pub(super) fn climb(&mut self, now_us: u64) -> Result<Option<Opened>, Error> {
        loop {
            let climb = match self.climb.take() {
                None => self.next_climb(now_us)?,
                climbing => climbing,
            };
            let Some(mut climb) = climb else { return Ok(None) };
            match self.step(&mut climb, now_us) {
                Step::Wait => {
                    self.climb = Some(climb);
                    return Ok(None);
                }
                Step::Won(won, fallback) => return self.take(won, fallback, now_us).map(Some),
                Step::Failed(error) => {
                    self.drop_attempts();
                    if climb.first {
                        return Err(error);
                    }
                    self.fail(error, now_us)?;
                }
            }
        }
    }

    /// When a climb has something to do.
    pub(super) fn climb_due_us(&self) -> Option<u64> {
        if !self.attached {
            return None;
        }
        let Some(climb) = &self.climb else {
            let wanted = self.is_broken() || self.is_late();
            return if wanted { Some(0) } else { self.upgrade.at_us };
        };
        let Some(waiting) = &climb.waiting else { return Some(climb.at_us) };
        if self.newest().is_some_and(Attempt::is_done)
            || self.attempts.iter().any(|attempt| attempt.failure.is_some())
        {
            return Some(0);
        }
        let next = if waiting.is_empty() { None } else { self.carrier_due_us(!climb.first) };
        let late = self.attempts.iter().filter(|attempt| Some(attempt.carrier) != climb.endless);
        late.filter_map(Attempt::late_us).chain(next).min()
    }

    /// The climb that is to be begun, if any.
    fn next_climb(&self, now_us: u64) -> Result<Option<Climb>, Error> {
        if !self.attached {
            return Ok(None);
        }
        if let Some(broken) = self.broken.as_ref().filter(|_| !self.wanted.keep) {
            return Err(broken.error.clone());
        }
        let carriers = if self.is_broken() {
            self.wanted.carriers.clone()
        } else if self.is_late() || self.upgrade.at_us.is_some_and(|at_us| now_us >= at_us) {
            vec![Carrier::Webrtc]
        } else {
            return Ok(None);
        };
        Ok(Some(Climb {
            at_us: now_us + RETRY_US[self.failures],
            first: self.in_use.is_none(),
            upgrade: !self.is_broken(),
            carriers,
            waiting: None,
            endless: None,
            failures: Vec::new(),
            why: None,
        }))
    }

    fn step(&mut self, climb: &mut Climb, now_us: u64) -> Step {
        if now_us < climb.at_us {
            return Step::Wait;
        }
        if climb.waiting.is_none() {
            self.begin(climb, now_us);
        }
        loop {
            self.drop_failed(climb, now_us);
            if self.newest().is_some_and(Attempt::is_done) {
                return self.won(climb, now_us);
            }
            let waiting = climb.waiting.get_or_insert_default();
            let due_us = self.carrier_due_us(!climb.first);
            if due_us.is_some_and(|due_us| now_us >= due_us)
                && let Some(carrier) = waiting.pop_front()
            {
                self.ask(carrier, now_us);
            } else if self.attempts.is_empty() {
                let lowest = climb.carriers.last();
                let found = climb.failures.iter().find(|(carrier, _)| Some(carrier) == lowest);
                let none = || Error::lost("no media path is to be had");
                return Step::Failed(found.map_or_else(none, |(_, error)| error.clone()));
            } else {
                return Step::Wait;
            }
        }
    }

    /// Decides the order: what has failed lately comes last.
    fn begin(&self, climb: &mut Climb, now_us: u64) {
        climb.why = self.wanted.remembered.failure(self.moment(now_us));
        let mut order = climb.carriers.clone();
        if let Some(why) = climb.why.as_mut().filter(|_| order.len() > 1) {
            order.reverse();
            why.detail = format!("not tried first, since it failed lately: {}", why.detail);
        }
        climb.endless = order.last().copied().filter(|_| climb.first);
        let under_way = |carrier: &Carrier| self.attempts.iter().any(|it| it.carrier == *carrier);
        climb.waiting = Some(order.into_iter().filter(|carrier| !under_way(carrier)).collect());
    }

    /// Gives up what came to nothing, or takes too long.
    fn drop_failed(&mut self, climb: &mut Climb, now_us: u64) {
        for attempt in std::mem::take(&mut self.attempts) {
            let endless = Some(attempt.carrier) == climb.endless;
            let late = || if endless { None } else { attempt.late(now_us) };
            let Some(error) = attempt.failure.clone().or_else(late) else {
                self.attempts.push(attempt);
                continue;
            };
            if attempt.carrier == Carrier::Webrtc {
                self.remember(climb, &attempt, Some(&error), now_us);
            }
            climb.failures.push((attempt.carrier, error));
            self.out.push(close_of(attempt.path_id));
        }
    }

    /// The one that the server put in use last: it has replaced those before it.
    fn newest(&self) -> Option<&Attempt> {
        let ready = |attempt: &&Attempt| attempt.ready.as_ref().map(|(number, _)| *number);
        self.attempts.iter().filter(|attempt| ready(attempt).is_some()).max_by_key(ready)
    }

    /// Takes the path that is ready; WebRTC that may still be is tried on.
    fn won(&mut self, climb: &mut Climb, now_us: u64) -> Step {
        let path_id = self.newest().map(|attempt| attempt.path_id);
        let Some(at) = self.attempts.iter().position(|attempt| Some(attempt.path_id) == path_id)
        else {
            return Step::Wait;
        };
        let won = self.attempts.remove(at);
        if won.carrier == Carrier::Webrtc {
            self.wanted.remembered.worked();
            climb.why = None;
        }
        for other in std::mem::take(&mut self.attempts) {
            if other.carrier == Carrier::Webrtc && other.ready.is_none() {
                self.remember(climb, &other, None, now_us);
                self.attempts.push(other);
            } else {
                self.out.push(close_of(other.path_id));
            }
        }
        let fallback = climb.why.take().filter(|_| climb.carriers.contains(&Carrier::Webrtc));
        Step::Won(won, fallback)
    }

    fn remember(&self, climb: &mut Climb, tried: &Attempt, error: Option<&Error>, now_us: u64) {
        let why = tried.why_not(error);
        self.wanted.remembered.failed(&why, self.moment(now_us));
        climb.why = Some(why);
    }

    /// When the next carrier is asked for; `None` = not before something happens.
    fn carrier_due_us(&self, again: bool) -> Option<u64> {
        let Some(last) = self.attempts.last() else { return Some(0) };
        last.tried().map(|tried| next_due_us(tried, again))
    }

    /// Asks for a path.
    fn ask(&mut self, carrier: Carrier, now_us: u64) {
        self.path_id += 1;
        let asked_us = self.welcomed.then_some(now_us);
        let mut attempt = Attempt::new(self.path_id, carrier, asked_us);
        if carrier == Carrier::Webrtc {
            let origin = self.wanted.seed.wrapping_mul(self.path_id | 1);
            let zero = self.wanted.zero;
            match WebRtc::offer(self.path_id, zero, origin, self.server, now_us) {
                Ok((rtc, open)) => {
                    attempt.rtc = Some(Box::new(rtc));
                    self.out.push(Payload::PathOpen(open));
                }
                Err(error) => attempt.failure = Some(error),
            }
        } else {
            self.out.push(Payload::PathOpen(PathOpen {
                path_id: self.path_id,
                carrier: carrier.into(),
                capture: Some(format(CAPTURE_RATE)),
                playout: Some(format(PLAYOUT_RATE)),
                ..PathOpen::default()
            }));
        }
        self.attempts.push(attempt);
    }

    /// Notes that the ladder led nowhere.
    ///
    /// # Errors
    ///
    /// It did so too often.
    fn fail(&mut self, error: Error, now_us: u64) -> Result<(), Error> {
        if !self.is_broken() {
            if self.overtaken {
                // The server had taken what only this side gave up.
                self.break_off(Error::lost(super::OVERTAKEN), true);
                self.end_rtc();
            } else {
                self.plan_upgrade(now_us);
            }
            return Ok(());
        }
        self.failures += 1;
        if self.failures == RETRY_US.len() { Err(error) } else { Ok(()) }
    }

    /// Ends the climb that is going on.
    pub(super) fn abandon(&mut self) {
        if self.climb.take().is_some() || !self.attempts.is_empty() {
            self.drop_attempts();
        }
    }

    fn drop_attempts(&mut self) {
        self.out.extend(self.attempts.drain(..).map(|attempt| close_of(attempt.path_id)));
    }
}

fn format(sample_rate: u32) -> AudioFormat {
    let codec = Codec::PcmS16le.into();
    AudioFormat { codec, sample_rate, num_channels: 1, block_ms: BLOCK_MS }
}
