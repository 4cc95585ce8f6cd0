//! Audio that comes over RTP: in order, decoded at once, what is missing made up.

use voxwire_core::jitter::{Gap, Item, JitterBuffer, JitterOptions, JitterStats, Packet};

use crate::opus::{CLOCK_RATE, Decoder, OpusError, has_copy, packet_samples};

/// Decoded audio.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sound {
    /// RTP timestamp of its first sample, 48 kHz. Audio is behind its timestamp by the sender's
    /// look-ahead ([`LOOKAHEAD_TICKS`](crate::opus::LOOKAHEAD_TICKS)).
    pub timestamp: u32,
    /// int16 mono at the rate of the [`Inbound`].
    pub samples: Vec<i16>,
}

/// What happened on the way in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InboundStats {
    /// Counters of the jitter buffer.
    pub jitter: JitterStats,
    /// Of [`JitterStats::concealed_ms`], what was recovered from the copy in the packet behind a
    /// loss; the rest was made up. Milliseconds.
    pub covered_ms: u64,
    /// Packets that were no Opus; they are skipped.
    pub decode_errors: u64,
}

/// The receive path of one audio stream at a time.
#[derive(Debug)]
pub struct Inbound {
    buffer: JitterBuffer,
    decoder: Decoder,
    rate: u32,
    /// The source of the stream.
    ssrc: Option<u32>,
    /// Of the streams before this one.
    before: JitterStats,
    covered_ticks: u64,
    decode_errors: u64,
}

impl Inbound {
    /// Nothing has come; what comes is delivered at `sample_rate`, Hz.
    ///
    /// # Errors
    ///
    /// Opus has no such rate.
    pub fn new(sample_rate: u32) -> Result<Self, OpusError> {
        Ok(Self {
            buffer: buffer(),
            decoder: Decoder::new(sample_rate)?,
            rate: sample_rate,
            ssrc: None,
            before: JitterStats::default(),
            covered_ticks: 0,
            decode_errors: 0,
        })
    }

    /// Takes a packet of the source `ssrc` that came at `now_us`. Another source has its own
    /// numbers and its own state of the codec.
    ///
    /// # Errors
    ///
    /// The codec failed.
    pub fn push(&mut self, ssrc: u32, packet: Packet, now_us: u64) -> Result<(), OpusError> {
        if self.ssrc.is_some_and(|before| before != ssrc) {
            self.before = sum(self.before, self.buffer.stats());
            self.buffer = buffer();
            self.decoder = Decoder::new(self.rate)?;
        }
        self.ssrc = Some(ssrc);
        self.buffer.push(packet, ms(now_us));
        Ok(())
    }

    /// Hands out what is ready. Timestamps never go back; a jump is silence of the sender, or an
    /// outage longer than what is concealed.
    pub fn pop(&mut self, now_us: u64) -> Vec<Sound> {
        let items = self.buffer.pop(ms(now_us));
        let mut sounds = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            match item {
                Item::Gap(gap) => sounds.push(self.replace(*gap, items.get(at + 1))),
                Item::Packet(packet) => match self.decoder.decode(&packet.payload) {
                    Ok(samples) => sounds
                        .push(Sound { timestamp: packet.timestamp, samples: samples.to_vec() }),
                    Err(_) => self.decode_errors += 1,
                },
            }
        }
        sounds
    }

    /// When [`pop`](Self::pop) has something to do without another packet, microseconds.
    #[must_use]
    pub fn next_due_us(&self) -> Option<u64> {
        self.buffer.next_due_ms().map(|due_ms| (due_ms * 1000.0).ceil() as u64)
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> InboundStats {
        InboundStats {
            jitter: sum(self.before, self.buffer.stats()),
            covered_ms: self.covered_ticks * 1000 / u64::from(CLOCK_RATE),
            decode_errors: self.decode_errors,
        }
    }

    /// What stands for a loss: from the packet behind it, where that follows and has a copy.
    fn replace(&mut self, gap: Gap, following: Option<&Item>) -> Sound {
        let num_samples =
            (u64::from(gap.samples) * u64::from(self.rate) / u64::from(CLOCK_RATE)) as usize;
        let end = gap.timestamp.wrapping_add(gap.samples);
        let samples = match following {
            Some(Item::Packet(packet)) if packet.timestamp == end => {
                if has_copy(&packet.payload) {
                    let ticks = packet_samples(&packet.payload).min(gap.samples);
                    self.covered_ticks += u64::from(ticks);
                }
                self.decoder.decode_fec(&packet.payload, num_samples)
            }
            _ => self.decoder.conceal(num_samples),
        };
        Sound { timestamp: gap.timestamp, samples }
    }
}

fn buffer() -> JitterBuffer {
    JitterBuffer::new(JitterOptions {
        clock_rate: CLOCK_RATE,
        samples_of: Some(packet_samples),
        ..JitterOptions::default()
    })
}

fn ms(now_us: u64) -> f64 {
    now_us as f64 / 1000.0
}

/// The counters of two streams one behind the other.
fn sum(one: JitterStats, two: JitterStats) -> JitterStats {
    JitterStats {
        received: one.received + two.received,
        lost: one.lost + two.lost,
        late: one.late + two.late,
        duplicates: one.duplicates + two.duplicates,
        concealed_ms: one.concealed_ms + two.concealed_ms,
        target_ms: two.target_ms,
    }
}

#[cfg(test)]
mod tests {
    use voxwire_core::jitter::Packet;

    use super::{Inbound, Sound};
    use crate::opus::Encoder;

    fn packets(count: u16) -> Vec<Packet> {
        let mut encoder = Encoder::new(16_000, 20).unwrap();
        let mut phase = 0.0_f64;
        (0..count)
            .map(|number| {
                let block: Vec<i16> = (0..320)
                    .map(|_| {
                        phase += std::f64::consts::TAU * 200.0 / 16_000.0;
                        (9000.0 * phase.sin()) as i16
                    })
                    .collect();
                Packet {
                    sequence_number: number.wrapping_sub(5),
                    timestamp: (u32::from(number) * 960).wrapping_sub(4800),
                    payload: encoder.encode(&block).unwrap(),
                }
            })
            .collect()
    }

    fn take(inbound: &mut Inbound, packet: &Packet, now_us: u64) -> Vec<Sound> {
        inbound.push(1, packet.clone(), now_us).unwrap();
        inbound.pop(now_us)
    }

    fn take_all(inbound: &mut Inbound, packets: &[Packet]) {
        for (number, packet) in packets.iter().enumerate() {
            take(inbound, packet, 20_000 * number as u64);
        }
    }

    #[test]
    fn a_packet_in_order_is_heard_in_the_call_that_received_it() {
        let mut inbound = Inbound::new(24_000).unwrap();
        for (number, packet) in packets(10).iter().enumerate() {
            let sounds = take(&mut inbound, packet, 20_000 * number as u64);
            let heard: Vec<_> =
                sounds.iter().map(|sound| (sound.timestamp, sound.samples.len())).collect();
            assert_eq!(heard, [(packet.timestamp, 480)]);
        }
        assert_eq!(inbound.next_due_us(), None);
    }

    #[test]
    fn a_hole_is_waited_for_and_then_covered_from_the_packet_behind_it() {
        let mut inbound = Inbound::new(24_000).unwrap();
        let packets = packets(10);
        take_all(&mut inbound, &packets[..5]);
        assert!(take(&mut inbound, &packets[6], 120_000).is_empty(), "it may only be late");
        let due_us = inbound.next_due_us().unwrap();
        assert_eq!(due_us, 140_000);
        let sounds = inbound.pop(due_us);
        let heard: Vec<_> = sounds.iter().map(|sound| sound.timestamp).collect();
        assert_eq!(heard, [packets[5].timestamp, packets[6].timestamp]);
        assert!(sounds[0].samples.iter().any(|sample| sample.unsigned_abs() > 1000));
        let stats = inbound.stats();
        assert_eq!((stats.jitter.lost, stats.jitter.concealed_ms, stats.covered_ms), (1, 20, 20));
    }

    #[test]
    fn of_a_longer_loss_only_the_last_packet_is_covered() {
        let mut inbound = Inbound::new(24_000).unwrap();
        let packets = packets(10);
        take_all(&mut inbound, &packets[..4]);
        take(&mut inbound, &packets[7], 140_000);
        let sounds = inbound.pop(inbound.next_due_us().unwrap());
        assert_eq!(sounds[0].samples.len(), 3 * 480);
        let stats = inbound.stats();
        assert_eq!((stats.jitter.lost, stats.jitter.concealed_ms, stats.covered_ms), (3, 60, 20));
    }

    #[test]
    fn another_source_begins_anew_and_the_counters_go_on() {
        let mut inbound = Inbound::new(24_000).unwrap();
        let packets = packets(3);
        take(&mut inbound, &packets[0], 0);
        inbound.push(2, packets[0].clone(), 20_000).unwrap();
        assert_eq!(inbound.pop(20_000).len(), 1, "the same number, and no duplicate");
        assert_eq!(inbound.stats().jitter.received, 2);
    }

    #[test]
    fn what_is_no_opus_is_counted_and_passed_over() {
        let mut inbound = Inbound::new(24_000).unwrap();
        let packets = packets(3);
        take(&mut inbound, &packets[0], 0);
        let bad = Packet { payload: vec![0xFF], ..packets[1].clone() };
        assert!(take(&mut inbound, &bad, 20_000).is_empty());
        assert_eq!(take(&mut inbound, &packets[2], 40_000).len(), 1);
        assert_eq!(inbound.stats().decode_errors, 1);
    }
}
