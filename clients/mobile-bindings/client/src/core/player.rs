//! Hands a speaker its blocks and says where it is: words, states, flushes, reports.

use voxwire_core::playout::{Block, PlayoutBuffer, PlayoutOptions, SpanKind};
use voxwire_core::wire::{Carrier, Flush, Payload, PlayoutReport, Snapshot};

use super::cues::Cues;
use super::position::{PositionClock, Reached};
use crate::event::{Event, Flushed};

/// A report goes out this often while the bot speaks, microseconds.
const REPORT_US: u64 = 100_000;

/// Peak (of 32768) at or below which a block of a stream is its idle silence.
const QUIET: u16 = 16;

/// The delay that a buffer starts with, milliseconds; WebRTC has a jitter buffer in front of it.
const fn target_ms(carrier: Carrier) -> u32 {
    if is_continuous(carrier) { 20 } else { 40 }
}

/// True for a carrier that brings silence too.
const fn is_continuous(carrier: Carrier) -> bool {
    matches!(carrier, Carrier::Webrtc)
}

/// What happened at the speaker since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    /// For the program, in order.
    pub(crate) events: Vec<Event>,
    /// For the server, in order; the path is filled in by whoever sends them.
    pub(crate) reports: Vec<PlayoutReport>,
}

/// Plays one track. Owned by one session.
#[derive(Debug)]
pub(crate) struct Player {
    buffer: PlayoutBuffer,
    rate: u32,
    position: PositionClock,
    cues: Cues,
    continuous: bool,
    sounding: bool,
    /// When the next report is due while the bot speaks.
    report_at_us: u64,
    reported_ms: u64,
    shown_ms: u64,
    happened: Happened,
}

impl Player {
    /// A player at position 0; `sample_rate` is that of the bot's audio, Hz.
    pub(crate) fn new(sample_rate: u32, carrier: Carrier) -> Self {
        let (target_ms, continuous) = (target_ms(carrier), is_continuous(carrier));
        let options = PlayoutOptions { target_ms, continuous, ..PlayoutOptions::new(sample_rate) };
        Self {
            buffer: PlayoutBuffer::new(options),
            rate: sample_rate,
            position: PositionClock::new(sample_rate),
            cues: Cues::default(),
            continuous,
            sounding: false,
            report_at_us: 0,
            reported_ms: 0,
            shown_ms: 0,
            happened: Happened::default(),
        }
    }

    /// Rate of the blocks, Hz.
    pub(crate) const fn sample_rate(&self) -> u32 {
        self.rate
    }

    /// Position of the sample that sounds now, milliseconds of the media clock; only grows.
    pub(crate) fn position_ms(&mut self, now_us: u64) -> u64 {
        self.shown_ms = self.shown_ms.max(self.position.position_ms(now_us) as u64);
        self.shown_ms
    }

    /// Audio made up so far to hide that the bot's audio was late, milliseconds.
    pub(crate) const fn concealed_ms(&self) -> u64 {
        self.buffer.concealed_ms()
    }

    /// True when nothing is buffered and nothing sounds; a stream always has something buffered.
    pub(crate) const fn is_idle(&self) -> bool {
        !self.sounding && (self.continuous || self.buffer.buffered_ms() == 0)
    }

    /// Another path is in use from here on: drops the audio of the one before. The position stays,
    /// words and states keep waiting for theirs. Reports where it really is.
    pub(crate) fn take_over(&mut self, carrier: Carrier, now_us: u64) {
        self.continuous = is_continuous(carrier);
        self.buffer.restart(target_ms(carrier), self.continuous);
        self.sounding = false;
        self.report(now_us);
    }

    /// Goes on from what the server says is the case, in place of what was announced here.
    pub(crate) fn restore(&mut self, snapshot: &Snapshot, now_us: u64) {
        self.cues.restore(snapshot);
        self.happen(now_us);
    }

    /// Takes audio, int16 mono, at its position on the media clock, samples.
    pub(crate) fn push(&mut self, sample_index: u64, samples: &[i16]) {
        self.buffer.push(sample_index, samples);
    }

    /// Takes back what was pushed at `misplaced` and behind it: see [`PlayoutBuffer::rewind`].
    pub(crate) fn rewind(&mut self, sample_index: u64, misplaced: u64) {
        self.buffer.rewind(sample_index, misplaced);
    }

    /// Hands out the block that sounds from `at_us` on.
    pub(crate) fn pull(&mut self, num_samples: usize, at_us: u64, now_us: u64) -> Block {
        self.release(self.position.reached(at_us), now_us);
        let block = self.buffer.pull(num_samples);
        self.position.note(at_us, &block);
        let sounding = self.sounds(&block);
        if sounding != self.sounding {
            self.sounding = sounding;
            self.report(now_us);
        } else if (sounding || self.cues.speaking()) && now_us >= self.report_at_us {
            self.report(now_us);
        }
        self.happen(now_us);
        block
    }

    /// Takes what the server says about utterances, words, states and silence.
    pub(crate) fn handle(&mut self, payload: &Payload, now_us: u64) {
        match payload {
            Payload::UtteranceStarted(message) => self.cues.begin(message),
            Payload::UtteranceWords(message) => self.cues.add(message),
            Payload::UtteranceEnded(message) => self.cues.end(message),
            Payload::StateChanged(message) => {
                self.happened.events.extend(self.cues.change(*message, now_us));
            }
            Payload::Flush(message) => self.flush(message, now_us),
            _ => return,
        }
        self.happen(now_us);
    }

    /// Lets everything happen that was reached.
    pub(crate) fn happen(&mut self, now_us: u64) {
        self.release(self.position.reached(now_us), now_us);
    }

    /// When something happens within the block that sounds now; `None` = not before the next.
    pub(crate) fn next_due_us(&self) -> Option<u64> {
        self.position.time_of(self.cues.next_ms()?)
    }

    /// What happened since it was last asked.
    pub(crate) fn take_happened(&mut self) -> Happened {
        std::mem::take(&mut self.happened)
    }

    /// True when the block has bot audio in it; a stream's idle silence is none.
    fn sounds(&self, block: &Block) -> bool {
        if !block.spans.iter().any(|span| span.kind == SpanKind::Played) {
            return false;
        }
        let loud = |sample: &i16| sample.unsigned_abs() > QUIET;
        !self.continuous || self.cues.speaking() || block.samples.iter().any(loud)
    }

    fn release(&mut self, reached: Reached, now_us: u64) {
        self.happened.events.extend(self.cues.due(reached, now_us));
    }

    /// Reports where playout is.
    fn report(&mut self, now_us: u64) {
        let reached_ms = self.position.position_ms(now_us);
        let reached_ms = if self.sounding { reached_ms.floor() } else { reached_ms.ceil() };
        self.send_report(reached_ms as u64, 0, now_us);
    }

    fn send_report(&mut self, media_ms: u64, flush_id: u32, now_us: u64) {
        self.report_at_us = now_us + REPORT_US;
        self.reported_ms = self.reported_ms.max(media_ms);
        self.happened.reports.push(PlayoutReport {
            media_ms: self.reported_ms,
            buffered_ms: u32::try_from(self.buffer.buffered_ms()).unwrap_or(u32::MAX),
            concealed_ms: u32::try_from(self.buffer.concealed_ms()).unwrap_or(u32::MAX),
            flush_id,
            playing: self.sounding && flush_id == 0,
            ..PlayoutReport::default()
        });
    }

    /// Falls silent at once and says where.
    fn flush(&mut self, message: &Flush, now_us: u64) {
        let until = message.until_media_ms.saturating_mul(self.rate.into()) / 1000;
        let stop = self.buffer.flush(until);
        let media_ms = (stop * 1000).div_ceil(self.rate.into());
        self.sounding = self.sounding && self.buffer.is_playing();
        self.send_report(media_ms, message.flush_id, now_us);
        self.happened.events.extend(self.cues.cut(media_ms, message.until_media_ms));
        self.happened.events.push(Event::Flushed(Flushed {
            media_ms,
            flush_id: message.flush_id,
            until_media_ms: message.until_media_ms,
        }));
    }
}

#[cfg(test)]
mod tests {
    use voxwire_core::wire::{
        Carrier, Flush, Payload, UtteranceEnded, UtteranceStarted, UtteranceWords, Word,
    };

    use super::Player;
    use crate::event::Event;

    const BLOCK_US: u64 = 20_000;

    /// A player that has a second of sound and a word every 100 ms.
    fn speaking() -> Player {
        let mut player = Player::new(1000, Carrier::Websocket);
        let started = UtteranceStarted { utterance_id: "u".into(), ..Default::default() };
        player.handle(&Payload::UtteranceStarted(started), 0);
        let word = |at: u32| Word {
            char_start: at,
            char_end: at + 1,
            start_ms: 100 * at,
            ..Word::default()
        };
        let words = UtteranceWords {
            utterance_id: "u".into(),
            text: "0123456789".into(),
            words: (0..10).map(word).collect(),
            ..Default::default()
        };
        player.handle(&Payload::UtteranceWords(words), 0);
        player.push(0, &[1000; 1000]);
        player
    }

    fn play(player: &mut Player, blocks: std::ops::Range<u64>) {
        for block in blocks {
            player.pull(20, block * BLOCK_US, block * BLOCK_US);
        }
    }

    #[test]
    fn a_word_fires_when_its_sample_sounds_and_not_before() {
        let mut player = speaking();
        player.pull(20, 1_000_000, 990_000);
        assert!(player.take_happened().events.is_empty(), "the block sounds later");
        let due_us = player.next_due_us().unwrap();
        assert_eq!(due_us, 1_000_000);
        player.happen(due_us);
        assert_eq!(player.take_happened().events.len(), 1);
    }

    #[test]
    fn reports_come_every_100_ms_while_the_bot_speaks_and_never_go_back() {
        let mut player = speaking();
        play(&mut player, 0..60);
        let reports = player.take_happened().reports;
        let told: Vec<u64> = reports.iter().map(|report| report.media_ms).collect();
        assert_eq!(told[..5], [0, 100, 200, 300, 400]);
        assert!(told.is_sorted());
        let last = reports.last().unwrap();
        assert_eq!((told.last(), last.playing), (Some(&1000), false));
    }

    #[test]
    fn a_flush_is_silence_at_once_and_a_report_of_where_it_stopped() {
        let mut player = speaking();
        play(&mut player, 0..21);
        player.take_happened();
        let flush = Flush { flush_id: 7, until_media_ms: 1000, ..Flush::default() };
        player.handle(&Payload::Flush(flush), 21 * BLOCK_US);
        let happened = player.take_happened();
        let [report] = &happened.reports[..] else { panic!("{happened:?}") };
        assert_eq!((report.flush_id, report.playing), (7, false));
        assert!(
            matches!(happened.events.last(), Some(Event::Flushed(it)) if it.media_ms == report.media_ms)
        );
        let tail = player.pull(20, 21 * BLOCK_US, 21 * BLOCK_US);
        assert_eq!(tail.samples[11..], [0; 9]);
        play(&mut player, 22..70);
        let words = player.take_happened().events;
        assert!(words.is_empty(), "{words:?}");
    }

    #[test]
    fn the_idle_silence_of_a_stream_is_no_sound_of_the_bot() {
        let mut player = Player::new(1000, Carrier::Webrtc);
        let play = |player: &mut Player, block: u64, sample: i16| {
            player.push(20 * block, &[sample; 20]);
            player.pull(20, block * BLOCK_US, block * BLOCK_US);
            player.take_happened().reports.last().map(|report| report.playing)
        };
        assert_eq!(play(&mut player, 0, 3), None);
        assert_eq!((play(&mut player, 1, 3), player.is_idle()), (None, true));
        assert_eq!((play(&mut player, 2, 900), player.is_idle()), (Some(true), false));
        assert_eq!(play(&mut player, 3, 3), Some(false));
        let utterance_id = String::from("u");
        let started = UtteranceStarted { utterance_id: utterance_id.clone(), ..Default::default() };
        player.handle(&Payload::UtteranceStarted(started), 0);
        assert_eq!(play(&mut player, 4, 3), Some(true), "a pause while it speaks is its own");
        let ended = UtteranceEnded { utterance_id, ..Default::default() };
        player.handle(&Payload::UtteranceEnded(ended), 0);
        assert_eq!(play(&mut player, 5, 3), Some(false));
    }
}
