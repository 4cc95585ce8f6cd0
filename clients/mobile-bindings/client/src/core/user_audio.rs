//! The user's side of a session's audio: what a path takes of it, muted or not.

use std::collections::VecDeque;

use voxwire_core::capture::{KEPT_MS, KeptCapture};
use voxwire_core::wire::{AudioChunk, PathReady, path_ready};

use crate::CAPTURE_RATE;

/// A chunk of what was kept is no longer, samples (200 ms).
const MAX_CHUNK_SAMPLES: usize = CAPTURE_RATE as usize / 5;

/// Of the user's audio of before, what a new path brings and what nothing brings, milliseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Resent {
    pub(crate) resent_ms: u64,
    pub(crate) lost_ms: u64,
}

/// The microphone of one session.
#[derive(Debug)]
pub(crate) struct UserAudio {
    kept: KeptCapture,
    muted: bool,
}

impl UserAudio {
    pub(crate) fn new() -> Self {
        Self { kept: KeptCapture::new(CAPTURE_RATE, KEPT_MS), muted: false }
    }

    /// True while the user is not heard; what waited then is not sent any more.
    pub(crate) const fn muted(&self) -> bool {
        self.muted
    }

    pub(crate) fn mute(&mut self, muted: bool) {
        self.muted = muted;
        if muted {
            self.kept.mute(0);
        }
    }

    /// Takes what was captured, int16 mono at 16 kHz.
    pub(crate) fn capture(&mut self, samples: &[i16], now_ms: u64) {
        if self.muted {
            self.kept.mute(samples.len() as u64);
        } else {
            self.kept.capture(samples, now_ms);
        }
    }

    /// A path takes audio: what of the past is sent first, and what is gone.
    pub(crate) fn resume(&mut self, ready: &PathReady, now_ms: u64) -> Resent {
        let lost = match ready.capture {
            Some(path_ready::Capture::CaptureIndex(index)) => self.kept.resume(index, now_ms),
            Some(path_ready::Capture::CaptureAgeMs(age_ms)) => {
                self.kept.resume_after(age_ms.into(), now_ms)
            }
            None => {
                self.kept.follow();
                0
            }
        };
        let ms = |samples: u64| samples * 1000 / u64::from(CAPTURE_RATE);
        Resent { resent_ms: ms(self.kept.waiting_samples()), lost_ms: ms(lost) }
    }

    /// No path takes audio any more.
    pub(crate) const fn park(&mut self) {
        self.kept.park();
    }

    /// Hands what waits to `send`, in chunks, until it takes no more (false).
    pub(crate) fn send(
        &mut self,
        path_id: u32,
        now_ms: u64,
        mut send: impl FnMut(AudioChunk) -> bool,
    ) {
        while let Some(piece) = self.kept.peek(now_ms) {
            if !send(chunk(path_id, piece.index, piece.samples())) {
                return;
            }
            self.kept.sent(&piece);
        }
    }

    /// Hands what waits to a path with audio of its own.
    pub(crate) fn send_live(&mut self, now_ms: u64, mut push: impl FnMut(&[i16])) {
        while let Some(piece) = self.kept.peek(now_ms) {
            push(piece.samples());
            self.kept.sent(&piece);
        }
    }

    /// Takes what waits ahead of a path with audio of its own, for the control channel: the chunks,
    /// and the RTP timestamp at which that path goes on (media-clock.md, "The user's audio").
    pub(crate) fn take_kept(
        &mut self,
        path_id: u32,
        rtp_timestamp: u32,
        now_ms: u64,
    ) -> VecDeque<AudioChunk> {
        let mut chunks = VecDeque::new();
        let mut held: Vec<i16> = Vec::new();
        let mut first = 0;
        while let Some(piece) = self.kept.peek(now_ms) {
            if !held.is_empty() && held.len() + piece.samples().len() > MAX_CHUNK_SAMPLES {
                chunks.push_back(chunk(path_id, first, &held));
                held.clear();
            }
            first = if held.is_empty() { piece.index } else { first };
            held.extend_from_slice(piece.samples());
            self.kept.sent(&piece);
        }
        if !held.is_empty() {
            chunks.push_back(chunk(path_id, first, &held));
        }
        chunks.push_back(AudioChunk {
            path_id,
            live_follows: true,
            rtp_timestamp: Some(rtp_timestamp),
            ..AudioChunk::default()
        });
        chunks
    }
}

/// Samples of the user in a chunk.
fn chunk(path_id: u32, sample_index: u64, samples: &[i16]) -> AudioChunk {
    let data = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    AudioChunk { path_id, sample_index, data, ..AudioChunk::default() }
}

#[cfg(test)]
mod tests {
    use voxwire_core::wire::{PathReady, path_ready};

    use super::{Resent, UserAudio};

    fn sent(user: &mut UserAudio, now_ms: u64) -> Vec<(u64, usize)> {
        let mut sent = Vec::new();
        user.send(1, now_ms, |chunk| {
            sent.push((chunk.sample_index, chunk.data.len()));
            true
        });
        sent
    }

    #[test]
    fn what_was_said_before_a_path_is_sent_when_it_is_ready() {
        let mut user = UserAudio::new();
        user.capture(&[1; 320], 0);
        assert!(sent(&mut user, 0).is_empty());
        let capture = Some(path_ready::Capture::CaptureIndex(0));
        let resent = user.resume(&PathReady { path_id: 1, capture }, 10);
        assert_eq!(resent, Resent { resent_ms: 20, lost_ms: 0 });
        assert_eq!(sent(&mut user, 10), [(0, 640)]);
    }

    #[test]
    fn a_muted_microphone_sends_nothing_and_its_samples_count() {
        let mut user = UserAudio::new();
        user.resume(&PathReady::default(), 0);
        user.capture(&[1; 320], 0);
        user.mute(true);
        user.capture(&[1; 320], 20);
        assert!(sent(&mut user, 20).is_empty(), "what waited is not sent any more");
        user.mute(false);
        user.capture(&[1; 320], 40);
        assert_eq!(sent(&mut user, 40), [(640, 640)]);
    }

    #[test]
    fn what_was_kept_goes_ahead_of_a_path_with_audio_of_its_own_and_is_not_sent_there_again() {
        let mut user = UserAudio::new();
        for at in 0..15 {
            user.capture(&[at; 320], u64::try_from(at).unwrap() * 20);
        }
        let capture = Some(path_ready::Capture::CaptureIndex(320));
        user.resume(&PathReady { path_id: 3, capture }, 300);
        let chunks = user.take_kept(3, 77, 300);
        let told: Vec<_> = chunks.iter().map(|it| (it.sample_index, it.data.len())).collect();
        assert_eq!(told, [(320, 6400), (320 + 3200, 4 * 640), (0, 0)]);
        let last = chunks.back().unwrap();
        assert_eq!((last.live_follows, last.rtp_timestamp, last.path_id), (true, Some(77), 3));
        let mut live = Vec::new();
        user.send_live(300, |samples| live.extend_from_slice(samples));
        assert!(live.is_empty());
        user.capture(&[99; 320], 320);
        user.send_live(320, |samples| live.extend_from_slice(samples));
        assert_eq!(live, [99; 320]);
    }
}
