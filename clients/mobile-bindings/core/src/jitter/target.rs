//! How long a hole is worth waiting for, from how unevenly packets arrive.

use std::collections::VecDeque;

const WINDOW_MS: f64 = 5_000.0;
const WINDOW_PACKETS: usize = 512;

/// A longer step between arrivals is a pause of the sender, not jitter, milliseconds.
const PAUSE_MS: f64 = 500.0;

#[derive(Debug)]
pub(super) struct Target {
    ticks_per_ms: f64,
    min_ms: f64,
    max_ms: f64,
    ms: f64,
    /// Timestamp and arrival of the last packet that was welcome.
    last: Option<(u32, f64)>,
    /// Arrival and lateness of the newest packets.
    window: VecDeque<(f64, f64)>,
    /// Their lateness, ascending.
    sorted: Vec<f64>,
    late_ms: f64,
    late_at_ms: f64,
}

impl Target {
    pub(super) const fn new(ticks_per_ms: f64, min_ms: f64, max_ms: f64) -> Self {
        Self {
            ticks_per_ms,
            min_ms,
            max_ms,
            ms: min_ms,
            last: None,
            window: VecDeque::new(),
            sorted: Vec::new(),
            late_ms: 0.0,
            late_at_ms: 0.0,
        }
    }

    pub(super) const fn ms(&self) -> f64 {
        self.ms
    }

    /// Takes in the arrival of a packet that was still welcome.
    pub(super) fn arrived(&mut self, timestamp: u32, now_ms: f64) {
        self.add(self.lateness(timestamp, now_ms), now_ms);
        self.last = Some((timestamp, now_ms));
    }

    /// Takes in the arrival of a packet whose gap had been declared.
    pub(super) fn came_late(&mut self, timestamp: u32, now_ms: f64) {
        let lateness = self.lateness(timestamp, now_ms);
        if lateness >= self.faded(now_ms) {
            (self.late_ms, self.late_at_ms) = (lateness, now_ms);
        }
        self.add(lateness, now_ms);
    }

    /// How much later than the last packet, by their timestamps, this one came, milliseconds.
    fn lateness(&self, timestamp: u32, now_ms: f64) -> f64 {
        let Some((last_timestamp, last_ms)) = self.last else { return 0.0 };
        let ticks = timestamp.wrapping_sub(last_timestamp).cast_signed();
        let lateness = now_ms - last_ms - f64::from(ticks) / self.ticks_per_ms;
        if lateness > 0.0 && lateness <= PAUSE_MS { lateness } else { 0.0 }
    }

    /// What is left of the last late packet's lateness.
    fn faded(&self, now_ms: f64) -> f64 {
        self.late_ms * (1.0 - (now_ms - self.late_at_ms) / WINDOW_MS).max(0.0)
    }

    /// Adds a sample, forgets old ones, sets the target.
    fn add(&mut self, lateness: f64, now_ms: f64) {
        self.window.push_back((now_ms, lateness));
        let at = self.sorted.partition_point(|one| *one <= lateness);
        self.sorted.insert(at, lateness);
        while self.window.len() > WINDOW_PACKETS
            || self.window.front().is_some_and(|(at_ms, _)| *at_ms <= now_ms - WINDOW_MS)
        {
            let Some((_, old)) = self.window.pop_front() else { break };
            self.sorted.remove(self.sorted.partition_point(|one| *one < old));
        }
        let last = self.sorted.len().saturating_sub(1);
        let p95 = self.sorted.get(last.min(self.sorted.len() * 95 / 100)).copied().unwrap_or(0.0);
        self.ms = p95.max(self.faded(now_ms)).max(self.min_ms).min(self.max_ms);
    }
}
