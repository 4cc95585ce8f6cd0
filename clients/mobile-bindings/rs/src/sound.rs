//! The sound of a conversation in real time: a microphone of files, and a speaker that is written
//! down.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use voxwire_client::{BLOCK_MS, Block, CAPTURE_RATE, Session};

/// Length of a block.
const TICK: Duration = Duration::from_millis(BLOCK_MS as u64);

/// After a longer stall of the program the speaker does not catch up any more.
const MAX_BEHIND: Duration = Duration::from_secs(2);

/// After a stall at most this much of the user's audio is read at once.
const MAX_BURST: u32 = 10;

/// What the microphone gives: one file at a time, silence between them.
#[derive(Debug, Default)]
pub(crate) struct Microphone {
    waiting: VecDeque<i16>,
    /// The file was given whole.
    finished: Arc<Notify>,
}

impl Microphone {
    /// Speaks that, int16 mono at 16 kHz; what is returned is notified at its end.
    pub(crate) fn play(&mut self, samples: Vec<i16>) -> Arc<Notify> {
        self.waiting = samples.into();
        self.finished = Arc::default();
        if self.waiting.is_empty() {
            self.finished.notify_one();
        }
        Arc::clone(&self.finished)
    }

    fn read(&mut self, num_samples: usize) -> Vec<i16> {
        let spoke = !self.waiting.is_empty();
        let length = num_samples.min(self.waiting.len());
        let mut block: Vec<i16> = self.waiting.drain(..length).collect();
        block.resize(num_samples, 0);
        if spoke && self.waiting.is_empty() {
            self.finished.notify_one();
        }
        block
    }
}

/// Feeds a session in real time, 20 ms at a time, until cancelled; catches up if late.
///
/// `microphone` gives the user's audio, `None` = the user is not heard at all; `speaker` takes every
/// block of the bot and the moment at which it sounds.
pub(crate) async fn run(
    session: &Session,
    microphone: Option<&Mutex<Microphone>>,
    mut speaker: impl FnMut(&Block, Instant),
) {
    let num_samples = (session.playout_rate() * BLOCK_MS / 1000) as usize;
    let user_samples = (CAPTURE_RATE * BLOCK_MS / 1000) as usize;
    let mut due = Instant::now();
    let mut spoken = due;
    loop {
        tokio::time::sleep_until(due.into()).await;
        let now = Instant::now();
        if now.duration_since(due) > MAX_BEHIND {
            due = now;
        }
        let block = session.pull(num_samples, due);
        speaker(&block, due);
        due += TICK;
        let Some(microphone) = microphone else { continue };
        spoken = spoken.max(now.checked_sub(TICK * MAX_BURST).unwrap_or(now));
        while spoken <= now {
            spoken += TICK;
            let read = microphone.lock().unwrap_or_else(PoisonError::into_inner).read(user_samples);
            session.push(&read);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::Microphone;

    #[test]
    fn a_file_ends_with_its_last_sample_and_an_empty_one_at_once() {
        let mut microphone = Microphone::default();
        let finished = microphone.play(vec![1; 30]);
        let mut context = Context::from_waker(Waker::noop());
        let mut ended = pin!(finished.notified());
        assert_eq!(microphone.read(20), [1; 20]);
        assert_eq!(ended.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(microphone.read(20), [[1; 10], [0; 10]].concat());
        assert_eq!(ended.as_mut().poll(&mut context), Poll::Ready(()));
        let nothing = microphone.play(Vec::new());
        assert_eq!(pin!(nothing.notified()).poll(&mut context), Poll::Ready(()));
    }
}
