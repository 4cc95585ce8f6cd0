//! Puts RTP audio packets back in order and says what has to be concealed.
//!
//! A packet that is next in order is handed over at once: on a quiet network the buffer adds no
//! delay. Only a hole costs time. It is waited for at most the target after the first packet behind
//! it came; then it becomes a [`Gap`]. The target follows the 95th percentile of the jitter of the
//! last 5 s and the lateness of packets that came after their gap was declared (that part fades
//! within 5 s).
//!
//! No clock is read: every `now_ms` is milliseconds, with fractions, of one monotonic clock, of any
//! origin. What is handed over goes to a decoder, and from there to [`playout`](crate::playout).

mod target;

use std::collections::{BTreeMap, BTreeSet};

use target::Target;

// RFC 3550 A.1: a larger step is taken for a restart of the sender once the next number confirms it.
const MAX_DROPOUT: i64 = 3000;
const MAX_MISORDER: i64 = 100;

/// Concealment fades to silence within this time, milliseconds.
const MAX_GAP_MS: u32 = 120;

/// A packet in its place in the stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packet {
    /// As on the wire.
    pub sequence_number: u16,
    /// RTP timestamp of the first sample, in ticks of the clock rate.
    pub timestamp: u32,
    /// What was pushed, unchanged.
    pub payload: Vec<u8>,
}

/// Audio that did not arrive in time. In what [`JitterBuffer::pop`] returns, a packet always
/// follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gap {
    /// RTP timestamp of the first missing sample.
    pub timestamp: u32,
    /// How much to conceal, in ticks of the clock rate, at most 120 ms of them; what a longer
    /// outage lost beyond that shows as a jump of the timestamp only.
    pub samples: u32,
}

/// What is handed over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Item {
    /// A packet, in order.
    Packet(Packet),
    /// A hole that is not waited for any more.
    Gap(Gap),
}

/// Counters since the start, in packets unless the name says otherwise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JitterStats {
    /// Everything that was pushed.
    pub received: u64,
    /// Packets declared missing, those that came too late included.
    pub lost: u64,
    /// Dropped because their gap had been declared, they precede the first packet, do not belong to
    /// the stream, or there was no room.
    pub late: u64,
    /// Dropped because the same packet was here already.
    pub duplicates: u64,
    /// Audio handed out as [`Gap`], milliseconds.
    pub concealed_ms: u64,
    /// How long a hole is waited for now, milliseconds.
    pub target_ms: u64,
}

/// What a [`JitterBuffer`] is made with.
#[derive(Clone, Copy, Debug)]
pub struct JitterOptions {
    /// Ticks of the RTP timestamp per second (Opus: 48000, whatever is decoded).
    pub clock_rate: u32,
    /// Duration of a payload in ticks; 0 means unknown (the previous one is taken). Without it
    /// every packet holds 20 ms.
    pub samples_of: Option<fn(&[u8]) -> u32>,
    /// The target on a quiet network; one packet, so that neighbours may swap.
    pub min_target_ms: f64,
    /// The longest that a hole is waited for.
    pub max_target_ms: f64,
    /// Packets held behind a hole; when reached, the hole is given up.
    pub capacity: usize,
}

impl Default for JitterOptions {
    fn default() -> Self {
        Self {
            clock_rate: 48_000,
            samples_of: None,
            min_target_ms: 20.0,
            max_target_ms: 160.0,
            capacity: 64,
        }
    }
}

/// Orders the packets of one RTP audio stream; waits for holes, never for packets in order.
///
/// Memory is bounded: at most `capacity` packets, 512 jitter samples and 200 sequence numbers.
#[derive(Debug)]
pub struct JitterBuffer {
    options: JitterOptions,
    ticks_per_ms: f64,
    // A position is a sequence number without wrap-around, counted over restarts of the sender.
    highest: Option<(u16, i64)>,
    restart_sequence: Option<u16>,
    next: i64,
    waiting: BTreeMap<i64, Waiting>,
    declared_lost: BTreeSet<i64>,
    packet_ticks: u32,
    end_timestamp: u32,
    target: Target,
    counted: JitterStats,
    concealed_ticks: u64,
}

#[derive(Debug)]
struct Waiting {
    packet: Packet,
    arrived_ms: f64,
}

impl JitterBuffer {
    /// A buffer that has received nothing.
    #[must_use]
    pub fn new(options: JitterOptions) -> Self {
        let ticks_per_ms = f64::from(options.clock_rate) / 1000.0;
        Self {
            ticks_per_ms,
            highest: None,
            restart_sequence: None,
            next: 0,
            waiting: BTreeMap::new(),
            declared_lost: BTreeSet::new(),
            packet_ticks: options.clock_rate / 50,
            end_timestamp: 0,
            target: Target::new(ticks_per_ms, options.min_target_ms, options.max_target_ms),
            counted: JitterStats::default(),
            concealed_ticks: 0,
            options,
        }
    }

    /// When [`pop`](Self::pop) has something to do without another packet; `None` while no hole is
    /// pending.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<f64> {
        if self.waiting.contains_key(&self.next) {
            return None;
        }
        self.due_ms()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> JitterStats {
        let concealed_ms = self.concealed_ticks as f64 / self.ticks_per_ms;
        JitterStats {
            concealed_ms: concealed_ms.round_ties_even() as u64,
            target_ms: self.target.ms().round_ties_even() as u64,
            ..self.counted
        }
    }

    /// Takes in one packet, which arrived at `now_ms`; late and duplicate ones are counted and
    /// dropped. Numbers and timestamps may wrap.
    pub fn push(&mut self, packet: Packet, now_ms: f64) {
        self.counted.received += 1;
        let Some(position) = self.place(packet.sequence_number) else {
            self.counted.late += 1;
            return;
        };
        if position < self.next {
            self.count_old(position, packet.timestamp, now_ms);
        } else if self.waiting.contains_key(&position) {
            self.counted.duplicates += 1;
        } else if self.waiting.len() >= self.options.capacity {
            self.counted.late += 1;
        } else {
            self.target.arrived(packet.timestamp, now_ms);
            self.waiting.insert(position, Waiting { packet, arrived_ms: now_ms });
        }
    }

    /// Hands over what is ready: packets in order, and gaps that are not waited for any more.
    /// `now_ms` is the present, not before the last [`push`](Self::push).
    pub fn pop(&mut self, now_ms: f64) -> Vec<Item> {
        let mut items = Vec::new();
        while let Some(due_ms) = self.due_ms() {
            let Some(Waiting { packet, .. }) = self.waiting.remove(&self.next) else {
                if now_ms < due_ms && self.waiting.len() < self.options.capacity {
                    break;
                }
                items.extend(self.give_up_hole().map(Item::Gap));
                continue;
            };
            let said = self.options.samples_of.map_or(0, |samples_of| samples_of(&packet.payload));
            if said != 0 {
                self.packet_ticks = said;
            }
            self.end_timestamp = packet.timestamp.wrapping_add(self.packet_ticks);
            self.next += 1;
            items.push(Item::Packet(packet));
        }
        items
    }

    /// When the pending hole is given up; `None` when no packet waits.
    fn due_ms(&self) -> Option<f64> {
        let arrivals = self.waiting.values().map(|waiting| waiting.arrived_ms);
        arrivals.min_by(f64::total_cmp).map(|arrived_ms| arrived_ms + self.target.ms())
    }

    /// The position of a sequence number; `None` for one far outside the stream.
    fn place(&mut self, sequence_number: u16) -> Option<i64> {
        let Some((highest_sequence, highest_position)) = self.highest else {
            self.highest = Some((sequence_number, 0));
            return Some(0);
        };
        // The difference of wrapped counters as the shortest signed step.
        let mut step = i64::from(sequence_number.wrapping_sub(highest_sequence).cast_signed());
        if (-MAX_MISORDER..=MAX_DROPOUT).contains(&step) {
            self.restart_sequence = None;
        } else if self.restart_sequence == Some(sequence_number) {
            step = 1; // the sender started over: its new numbers continue the stream
            self.restart_sequence = None;
        } else {
            self.restart_sequence = Some(sequence_number.wrapping_add(1));
            return None;
        }
        let position = highest_position + step;
        if step > 0 {
            self.highest = Some((sequence_number, position));
        }
        Some(position)
    }

    /// Counts a packet whose place has been passed.
    fn count_old(&mut self, position: i64, timestamp: u32, now_ms: f64) {
        if self.declared_lost.remove(&position) {
            self.counted.late += 1;
            self.target.came_late(timestamp, now_ms);
        } else if position < 0 {
            self.counted.late += 1;
        } else {
            self.counted.duplicates += 1;
        }
    }

    /// Declares everything before the first waiting packet missing.
    fn give_up_hole(&mut self) -> Option<Gap> {
        let (&first, waiting) = self.waiting.first_key_value()?;
        let following = waiting.packet.timestamp;
        let count = first - self.next;
        let oldest = first - MAX_MISORDER;
        self.declared_lost = self.declared_lost.split_off(&oldest);
        self.declared_lost.extend(self.next.max(oldest)..first);
        self.counted.lost += count.unsigned_abs();
        self.next = first;

        // Sender silence inside the hole makes `missing` longer than the packets that were lost; a
        // change of the packet size, shorter.
        let missing = i64::from(following.wrapping_sub(self.end_timestamp).cast_signed());
        let lost = count * i64::from(self.packet_ticks);
        let max_gap = i64::from(self.options.clock_rate) * i64::from(MAX_GAP_MS) / 1000;
        let samples =
            u32::try_from(missing.min(lost).min(max_gap)).ok().filter(|ticks| *ticks > 0)?;
        let timestamp =
            if lost > max_gap { self.end_timestamp } else { following.wrapping_sub(samples) };
        self.concealed_ticks += u64::from(samples);
        Some(Gap { timestamp, samples })
    }
}
