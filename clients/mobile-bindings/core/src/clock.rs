//! The peer's clock: offset and round trip from four timestamps (RFC 5905 §8).
//!
//! Times are microseconds of each side's own monotonic clock; nothing here reads one.

use std::collections::VecDeque;

use crate::wire::{Ping, Pong};

const BURST_PINGS: u32 = 5;
const BURST_INTERVAL_MS: u64 = 200;
const INTERVAL_MS: u64 = 10_000;
const WINDOW: usize = 8;

/// One exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sample {
    /// Peer's clock minus ours, microseconds, rounded down.
    pub offset_us: i64,
    /// Round trip without the peer's own delay, microseconds.
    pub rtt_us: u64,
}

/// Estimates the peer's clock from pings that this side sends.
#[derive(Debug, Default)]
pub struct ClockSync {
    number: u32,
    last_ping_ms: Option<u64>,
    /// Number and time of pings without an answer, oldest first.
    open: VecDeque<(u32, u64)>,
    samples: VecDeque<Sample>,
}

impl ClockSync {
    /// An estimate without samples.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Peer's clock minus ours, microseconds, from the fastest of the last 8 exchanges.
    #[must_use]
    pub fn offset_us(&self) -> Option<i64> {
        self.best().map(|sample| sample.offset_us)
    }

    /// Shortest round trip of the last 8 exchanges, microseconds.
    #[must_use]
    pub fn rtt_us(&self) -> Option<u64> {
        self.best().map(|sample| sample.rtt_us)
    }

    /// Returns the next ping, to be sent at `now_us`, which is now.
    pub fn ping(&mut self, now_us: u64) -> Ping {
        self.number = self.number.wrapping_add(1);
        self.last_ping_ms = Some(now_us / 1000);
        self.open.push_back((self.number, now_us));
        if self.open.len() > WINDOW {
            self.open.pop_front();
        }
        Ping { number: self.number, t0_us: now_us }
    }

    /// Returns the answer to a ping of the peer that arrived at `received_us`.
    #[must_use]
    pub const fn pong(ping: &Ping, received_us: u64, now_us: u64) -> Pong {
        Pong { number: ping.number, t0_us: ping.t0_us, t1_us: received_us, t2_us: now_us }
    }

    /// Takes the answer to one of our last 8 pings, which arrived at `now_us`.
    ///
    /// Returns what it measured, or `None` when it answers no open ping or cannot be true.
    pub fn receive(&mut self, pong: &Pong, now_us: u64) -> Option<Sample> {
        let asked = (pong.number, pong.t0_us);
        let at = self.open.iter().position(|open| *open == asked)?;
        self.open.remove(at);
        let delay_us = pong.t2_us.checked_sub(pong.t1_us)?;
        let rtt_us = now_us.checked_sub(pong.t0_us)?.checked_sub(delay_us)?;
        let out_us = i128::from(pong.t1_us) - i128::from(pong.t0_us);
        let back_us = i128::from(pong.t2_us) - i128::from(now_us);
        let offset_us = i64::try_from((out_us + back_us).div_euclid(2)).ok()?;
        let sample = Sample { offset_us, rtt_us };
        self.samples.push_back(sample);
        if self.samples.len() > WINDOW {
            self.samples.pop_front();
        }
        Some(sample)
    }

    /// When the next ping is due, milliseconds on the clock of [`ping`](Self::ping): five in the
    /// first second, then one every 10 s. Not after `now_ms` when it is due.
    #[must_use]
    pub fn next_ping_ms(&self, now_ms: u64) -> u64 {
        let interval_ms = if self.number < BURST_PINGS { BURST_INTERVAL_MS } else { INTERVAL_MS };
        self.last_ping_ms.map_or(now_ms, |last_ms| last_ms + interval_ms)
    }

    fn best(&self) -> Option<&Sample> {
        self.samples.iter().min_by_key(|sample| sample.rtt_us)
    }
}
