//! Whatever a network and a server do: packets come in order and once, positions never lie, a word
//! fires once, and what was heard is a prefix.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::*;
use voxwire_core::jitter::{Item, JitterBuffer, JitterOptions, Packet};
use voxwire_core::playout::{PlayoutBuffer, PlayoutOptions};
use voxwire_core::timeline::{TimedWord, Timeline};
use voxwire_core::wire::TimingSource;

/// A failure is printed with the least that makes it; nothing is written.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

/// 20 ms at 48 kHz.
const TICKS: u32 = 960;

fn packet(index: u32, first: u16) -> Packet {
    Packet {
        sequence_number: first.wrapping_add(index as u16),
        timestamp: index.wrapping_mul(TICKS).wrapping_sub(TICKS * 7),
        payload: index.to_be_bytes().to_vec(),
    }
}

fn number(packet: &Packet) -> u32 {
    u32::from_be_bytes(packet.payload[..].try_into().unwrap())
}

/// When each packet arrives: `None` = never; some come twice.
fn arrivals() -> impl Strategy<Value = Vec<(Option<u32>, bool)>> {
    let late = prop_oneof![6 => 0..15_u32, 2 => 0..120_u32, 1 => 0..400_u32];
    vec((proptest::option::weighted(0.9, late), proptest::bool::weighted(0.1)), 1..150)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn packets_come_in_order_once_and_a_hole_waits_no_longer_than_the_longest_target(
        arrivals in arrivals(),
        first in any::<u16>(),
    ) {
        let mut events = Vec::new();
        for (index, (late_ms, twice)) in (0_u32..).zip(&arrivals) {
            if let Some(late_ms) = late_ms {
                events.push((index * 20 + late_ms, index));
                if *twice {
                    events.push((index * 20 + late_ms + 30, index));
                }
            }
        }
        events.sort_unstable();
        let mut buffer = JitterBuffer::new(JitterOptions::default());
        let mut handed: Vec<u32> = Vec::new();
        let mut last_was_gap = false;
        let end_ms = events.last().map_or(0, |event| event.0) + 1000;
        let mut next = events.into_iter().peekable();
        for now_ms in 0..=end_ms {
            while let Some((_, index)) = next.next_if(|event| event.0 <= now_ms) {
                buffer.push(packet(index, first), now_ms.into());
            }
            for item in buffer.pop(now_ms.into()) {
                match item {
                    Item::Packet(packet) => {
                        prop_assert!(handed.last().is_none_or(|last| *last < number(&packet)));
                        handed.push(number(&packet));
                        last_was_gap = false;
                    }
                    Item::Gap(gap) => {
                        prop_assert!(!last_was_gap && gap.samples > 0);
                        prop_assert!(gap.samples <= 48 * 120);
                        last_was_gap = true;
                    }
                }
            }
            prop_assert!(!last_was_gap, "a packet follows a gap");
            if let Some(due_ms) = buffer.next_due_ms() {
                prop_assert!(due_ms > f64::from(now_ms) && due_ms <= f64::from(now_ms) + 160.0);
            }
        }
        let stats = buffer.stats();
        prop_assert_eq!(stats.received, handed.len() as u64 + stats.late + stats.duplicates);
        if let (Some(one), Some(last)) = (handed.first(), handed.last()) {
            prop_assert_eq!(handed.len() as u64 + stats.lost, u64::from(last - one) + 1);
        }
    }

    #[test]
    fn any_packets_at_any_time_leave_it_bounded(
        packets in vec((any::<u16>(), any::<u32>(), 0..1_000_u32), 0..300),
    ) {
        let mut buffer = JitterBuffer::new(JitterOptions { capacity: 8, ..JitterOptions::default() });
        let mut now_ms = 0.0;
        let (mut received, mut handed) = (0, 0);
        for (sequence_number, timestamp, step_ms) in packets {
            now_ms += f64::from(step_ms) / 10.0;
            buffer.push(Packet { sequence_number, timestamp, payload: Vec::new() }, now_ms);
            received += 1;
            let items = buffer.pop(now_ms);
            handed += items.iter().filter(|item| matches!(item, Item::Packet(_))).count() as u64;
            let stats = buffer.stats();
            prop_assert_eq!(stats.received, received);
            let waiting = received - handed - stats.late - stats.duplicates;
            prop_assert!(waiting <= 8 && stats.target_ms <= 160);
        }
    }
}

/// What a server and a speaker do to a playout buffer; positions are relative to its own.
#[derive(Clone, Debug)]
enum Playout {
    Push { ahead: i64, samples: usize },
    Pull(usize),
    Flush(i64),
    Restart,
}

fn playout() -> impl Strategy<Value = Playout> {
    prop_oneof![
        4 => (-100..900_i64, 0..100_usize)
            .prop_map(|(ahead, samples)| Playout::Push { ahead, samples }),
        6 => (1..60_usize).prop_map(Playout::Pull),
        1 => (-50..400_i64).prop_map(Playout::Flush),
        1 => Just(Playout::Restart),
    ]
}

/// A sample that tells its position.
fn told(position: u64) -> i16 {
    100 + (position % 30_000) as i16
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_block_is_always_full_and_each_sample_stands_at_its_position(
        events in vec(playout(), 0..150),
    ) {
        let mut buffer = PlayoutBuffer::new(PlayoutOptions::new(1000));
        let mut void_until = 0;
        let mut sounded: HashSet<u64> = HashSet::new();
        for event in events {
            let before = buffer.position();
            match event {
                Playout::Push { ahead, samples } => {
                    let start = before.saturating_add_signed(ahead);
                    let audio: Vec<i16> = (start..).take(samples).map(told).collect();
                    buffer.push(start, &audio);
                }
                Playout::Pull(samples) => {
                    let block = buffer.pull(samples);
                    prop_assert_eq!(block.samples.len(), samples);
                    prop_assert_eq!(block.position, buffer.position());
                    let mut filled = 0;
                    for span in &block.spans {
                        prop_assert_eq!(span.offset, filled);
                        filled += span.length;
                        for at in 0..if span.kind.moves() { span.length } else { 0 } {
                            let position = span.position + at as u64;
                            let sample = block.samples[span.offset + at];
                            // Silence of a pause, the sample itself, or it fades before a flush.
                            prop_assert!((0..=told(position)).contains(&sample));
                            prop_assert!(sounded.insert(position), "{position} sounds twice");
                            prop_assert!(sample != told(position) || position >= void_until
                                || position < before);
                        }
                    }
                    prop_assert_eq!(filled, samples);
                }
                Playout::Flush(ahead) => {
                    let until = before.saturating_add_signed(ahead);
                    let stopped = buffer.flush(until);
                    prop_assert!(stopped >= before && stopped - before <= 10);
                    if until > before {
                        void_until = void_until.max(until);
                    }
                }
                Playout::Restart => buffer.restart(40, false),
            }
            prop_assert!(buffer.position() >= before, "it went back");
            prop_assert!((40..=200).contains(&buffer.target_ms()));
            prop_assert!(buffer.buffered_ms() <= 30_000);
        }
    }
}

/// What a server and a speaker do to a timeline with three utterances.
#[derive(Clone, Debug)]
enum Word {
    Add { utterance: u8, index: u32, start_ms: u64, revision: u32 },
    Begin(u8, u64),
    Advance(u64),
    Cut(u64),
    End(u8),
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        8 => (0..3_u8, 0..12_u32, 0..2_000_u64, 0..3_u32).prop_map(
            |(utterance, index, start_ms, revision)| {
                Word::Add { utterance, index, start_ms, revision }
            }
        ),
        1 => (0..3_u8, 0..2_000_u64).prop_map(|(utterance, ms)| Word::Begin(utterance, ms)),
        6 => (0..200_u64).prop_map(Word::Advance),
        1 => (0..300_u64).prop_map(Word::Cut),
        1 => (0..3_u8).prop_map(Word::End),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_word_fires_once_in_order_and_never_behind_a_cut(events in vec(word(), 0..120)) {
        let mut timeline = Timeline::new();
        let mut now_ms = 0;
        let mut fired: HashSet<(String, u32)> = HashSet::new();
        let mut last: [Option<u32>; 3] = [None; 3];
        let mut cut_ms: [Option<u64>; 3] = [None; 3];
        for event in events {
            match event {
                Word::Add { utterance, index, start_ms, revision } => {
                    let word = TimedWord {
                        utterance_id: utterance.to_string(),
                        index,
                        text: "x".into(),
                        char_start: index * 2,
                        char_end: index * 2 + 1,
                        start_ms,
                        end_ms: start_ms + 50,
                        end_estimated: false,
                        source: TimingSource::ProviderWord,
                    };
                    timeline.add([word], revision);
                }
                Word::Begin(utterance, ms) => timeline.begin(&utterance.to_string(), ms),
                Word::Advance(step_ms) => {
                    now_ms += step_ms;
                    for word in timeline.advance(now_ms) {
                        let at: usize = word.utterance_id.parse().unwrap();
                        prop_assert!(word.start_ms <= now_ms);
                        prop_assert!(last[at].is_none_or(|index| index < word.index));
                        prop_assert!(cut_ms[at].is_none_or(|ms| word.start_ms < ms));
                        last[at] = Some(word.index);
                        prop_assert!(fired.insert((word.utterance_id, word.index)));
                    }
                    prop_assert!(timeline.next_due_ms().is_none_or(|due_ms| due_ms > now_ms));
                }
                Word::Cut(after_ms) => {
                    for heard in timeline.cut(now_ms, now_ms + after_ms) {
                        let at: usize = heard.utterance_id.parse().unwrap();
                        let known = cut_ms[at].unwrap_or(u64::MAX);
                        cut_ms[at] = Some(known.min(now_ms));
                        let again = timeline.heard(&heard.utterance_id, now_ms + 9_999);
                        prop_assert_eq!((again.words, again.char_end), (heard.words, heard.char_end));
                    }
                }
                Word::End(utterance) => timeline.end(&utterance.to_string()),
            }
            for utterance in ["0", "1", "2"] {
                let words = timeline.words(utterance);
                prop_assert!(words.is_sorted_by(|one, next| one.index < next.index));
                let heard = timeline.heard(utterance, now_ms);
                prop_assert!(heard.words <= words.len());
                let end = heard.words.checked_sub(1).map_or(0, |at| words[at].char_end);
                prop_assert_eq!(heard.char_end, end);
            }
        }
    }
}
