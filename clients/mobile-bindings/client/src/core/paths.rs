//! The media paths of a session: the one in use, the one that is asked for, and what comes when it
//! breaks. The carrier is the control channel, so that a path breaks with it.

use std::collections::VecDeque;

use voxwire_core::wire::{
    AudioChunk, AudioFormat, Carrier, Codec, ErrorCode, PathAnswer, PathClose, PathOpen, PathReady,
    Payload,
};

use crate::error::{Error, known_code};
use crate::{BLOCK_MS, CAPTURE_RATE, PLAYOUT_RATE};

/// How long a path may take once the session is up, microseconds. Before that, the caller of
/// `connect` has a deadline.
const LAST_US: u64 = 8_000_000;

/// Waits before a path is asked for again, microseconds; when it fails once more the session does.
const RETRY_US: [u64; 5] = [0, 500_000, 1_000_000, 2_000_000, 4_000_000];

/// Chunks of audio that are kept until their path is ready.
const MAX_EARLY: usize = 250;

/// A path that carries audio both ways.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) path_id: u32,
    /// Of the bot's audio, Hz.
    pub(crate) sample_rate: u32,
    pub(crate) ready: PathReady,
    /// Audio that came before it was ready.
    pub(crate) early: VecDeque<AudioChunk>,
    /// The path that it replaces, where the server does not know yet that it is no more.
    pub(crate) replaces: Option<u32>,
}

/// A path that was asked for.
#[derive(Debug)]
struct Asked {
    path_id: u32,
    sample_rate: u32,
    early: VecDeque<AudioChunk>,
    deadline_us: Option<u64>,
}

/// Keeps a path for a session.
#[derive(Debug)]
pub(crate) struct Paths {
    attached: bool,
    /// Number of the path that was asked for last.
    path_id: u32,
    asked: Option<Asked>,
    open: Option<u32>,
    /// The path that broke without the server's knowing it.
    unknown_broken: Option<u32>,
    sample_rate: Option<u32>,
    failures: usize,
    ask_at_us: Option<u64>,
    /// What was asked for and is not wanted any more.
    given_up: Vec<u32>,
    /// False = a path that breaks is the end.
    keep: bool,
}

impl Paths {
    /// No path; the first one is asked for together with the session.
    pub(crate) const fn new(keep: bool) -> Self {
        Self {
            attached: true,
            path_id: 0,
            asked: None,
            open: None,
            unknown_broken: None,
            sample_rate: None,
            failures: 0,
            ask_at_us: Some(0),
            given_up: Vec::new(),
            keep,
        }
    }

    /// The path that carries audio now.
    pub(crate) const fn open(&self) -> Option<u32> {
        self.open
    }

    /// True once a path was there.
    pub(crate) const fn was_open(&self) -> bool {
        self.sample_rate.is_some()
    }

    /// The control channel is gone, and with it audio and what was asked for.
    pub(crate) fn detached(&mut self) {
        self.attached = false;
        self.given_up.extend(self.asked.take().map(|asked| asked.path_id));
        if self.open.take().is_some() || self.ask_at_us.is_none() {
            self.ask_at_us = Some(0);
        }
    }

    /// The control channel is there. `anew` = positions may have been lost: open another path.
    pub(crate) fn attached(&mut self, anew: bool) {
        self.attached = true;
        if anew && let Some(open) = self.open.take() {
            self.unknown_broken = Some(open);
            self.ask_at_us = Some(0);
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn next_due_us(&self) -> Option<u64> {
        if !self.given_up.is_empty() {
            return Some(0);
        }
        let asked = self.asked.as_ref().map(|asked| asked.deadline_us);
        asked.unwrap_or(self.ask_at_us.filter(|_| self.attached))
    }

    /// What is to be sent now: a path is asked for, or one that took too long is given up.
    ///
    /// # Errors
    ///
    /// None is to be had.
    pub(crate) fn tick(&mut self, now_us: u64) -> Result<Vec<Payload>, Error> {
        let late = |asked: &mut Asked| asked.deadline_us.is_some_and(|due_us| now_us >= due_us);
        if let Some(asked) = self.asked.take_if(late) {
            self.given_up.push(asked.path_id);
            self.fail(Error::lost("no media path became ready in time"), now_us)?;
        }
        let mut out: Vec<Payload> = self.given_up.drain(..).map(close_of).collect();
        if self.attached && self.asked.is_none() && self.ask_at_us.is_some_and(|at| now_us >= at) {
            out.push(Payload::PathOpen(self.ask(now_us)));
        }
        Ok(out)
    }

    /// Takes the server's answer to what was asked.
    pub(crate) fn answered(&mut self, answer: &PathAnswer) {
        if let Some(asked) = self.asked.as_mut().filter(|it| it.path_id == answer.path_id) {
            let said = answer.playout.map_or(0, |format| format.sample_rate);
            asked.sample_rate = if said == 0 { PLAYOUT_RATE } else { said };
        }
    }

    /// Takes word that a path is ready; returns it if it is to be used from now on.
    ///
    /// # Errors
    ///
    /// The server plays at a rate that is not to be had, or changes it.
    pub(crate) fn ready(&mut self, ready: PathReady) -> Result<Option<Opened>, Error> {
        let Some(asked) = self.asked.take_if(|asked| asked.path_id == ready.path_id) else {
            return Ok(None);
        };
        let Asked { path_id, sample_rate, early, .. } = asked;
        if !(8000..=48_000).contains(&sample_rate) {
            let reason = format!("the server plays at {sample_rate} Hz; 8-48 kHz work");
            return Err(Error::new(ErrorCode::UnsupportedFormat, reason));
        }
        if self.sample_rate.is_some_and(|before| before != sample_rate) {
            return Err(Error::lost(format!("the audio has changed to {sample_rate} Hz")));
        }
        self.sample_rate = Some(sample_rate);
        (self.open, self.ask_at_us, self.failures) = (Some(path_id), None, 0);
        let replaces = self.unknown_broken.take();
        Ok(Some(Opened { path_id, sample_rate, ready, early, replaces }))
    }

    /// The server gives a path up; true if it was the one in use.
    ///
    /// # Errors
    ///
    /// None is to be had.
    pub(crate) fn closed(&mut self, close: &PathClose, now_us: u64) -> Result<bool, Error> {
        if self.open == Some(close.path_id) {
            self.open = None;
            let reason = or(&close.reason, "the server gave the media path up");
            if !self.keep {
                return Err(Error::lost(reason));
            }
            self.ask_at_us = Some(now_us);
            return Ok(true);
        }
        if self.asked.take_if(|asked| asked.path_id == close.path_id).is_some() {
            let code =
                if close.code == 0 { ErrorCode::Unsupported } else { known_code(close.code) };
            let reason = or(&close.reason, "the server gave the media path up");
            self.fail(Error::new(code, reason), now_us)?;
        }
        Ok(false)
    }

    /// An error of the server about what was asked for.
    ///
    /// # Errors
    ///
    /// None is to be had.
    pub(crate) fn refused(
        &mut self,
        code: i32,
        reason: &str,
        subject_id: &str,
        now_us: u64,
    ) -> Result<(), Error> {
        let Some(asked) = &self.asked else { return Ok(()) };
        let path_id = asked.path_id;
        if subject_id.is_empty() || subject_id == path_id.to_string() {
            let close = PathClose { path_id, code, reason: reason.to_owned() };
            self.closed(&close, now_us)?;
        }
        Ok(())
    }

    /// Keeps audio of a path that is not ready yet; returns what belongs to the one in use.
    pub(crate) fn audio(&mut self, chunk: AudioChunk) -> Option<AudioChunk> {
        if chunk.track_id != 0 {
            return None;
        }
        if self.open == Some(chunk.path_id) {
            return Some(chunk);
        }
        if let Some(asked) = self.asked.as_mut().filter(|it| it.path_id == chunk.path_id) {
            if asked.early.len() == MAX_EARLY {
                asked.early.pop_front();
            }
            asked.early.push_back(chunk);
        }
        None
    }

    fn ask(&mut self, now_us: u64) -> PathOpen {
        self.path_id += 1;
        self.ask_at_us = None;
        self.asked = Some(Asked {
            path_id: self.path_id,
            sample_rate: PLAYOUT_RATE,
            early: VecDeque::new(),
            deadline_us: self.was_open().then_some(now_us + LAST_US),
        });
        PathOpen {
            path_id: self.path_id,
            carrier: Carrier::Websocket.into(),
            capture: Some(format(CAPTURE_RATE)),
            playout: Some(format(PLAYOUT_RATE)),
            ..PathOpen::default()
        }
    }

    /// Notes that a path was not to be had; the first one has to be.
    fn fail(&mut self, error: Error, now_us: u64) -> Result<(), Error> {
        self.failures += 1;
        if !self.was_open() || !self.keep || self.failures == RETRY_US.len() {
            return Err(error);
        }
        self.ask_at_us = Some(now_us + RETRY_US[self.failures]);
        Ok(())
    }
}

/// Gives a path up.
pub(crate) fn close_of(path_id: u32) -> Payload {
    Payload::PathClose(PathClose { path_id, ..PathClose::default() })
}

fn format(sample_rate: u32) -> AudioFormat {
    let codec = Codec::PcmS16le.into();
    AudioFormat { codec, sample_rate, num_channels: 1, block_ms: BLOCK_MS }
}

fn or(said: &str, otherwise: &str) -> String {
    if said.is_empty() { otherwise } else { said }.to_owned()
}

#[cfg(test)]
mod tests {
    use voxwire_core::wire::{
        AudioChunk, AudioFormat, ErrorCode, PathAnswer, PathClose, PathReady, Payload,
    };

    use super::{Paths, close_of};

    fn asks(paths: &mut Paths, now_us: u64) -> Option<u32> {
        let out = paths.tick(now_us).unwrap();
        out.into_iter().find_map(|payload| match payload {
            Payload::PathOpen(open) => Some(open.path_id),
            _ => None,
        })
    }

    fn opened() -> Paths {
        let mut paths = Paths::new(true);
        assert_eq!(asks(&mut paths, 0), Some(1));
        let ready = PathReady { path_id: 1, ..PathReady::default() };
        assert_eq!(paths.ready(ready).unwrap().unwrap().sample_rate, 24_000);
        paths
    }

    #[test]
    fn audio_that_comes_before_its_path_is_ready_is_kept() {
        let mut paths = Paths::new(true);
        asks(&mut paths, 0);
        let chunk = |path_id| AudioChunk { path_id, ..AudioChunk::default() };
        assert_eq!(paths.audio(chunk(1)), None);
        assert_eq!(paths.audio(chunk(2)), None, "no such path");
        let playout = Some(AudioFormat { sample_rate: 16_000, ..AudioFormat::default() });
        paths.answered(&PathAnswer { path_id: 1, playout, ..PathAnswer::default() });
        let ready = PathReady { path_id: 1, ..PathReady::default() };
        let opened = paths.ready(ready).unwrap().unwrap();
        assert_eq!((opened.early.len(), opened.sample_rate), (1, 16_000));
        assert!(paths.audio(chunk(1)).is_some());
    }

    #[test]
    fn a_path_that_the_server_gives_up_is_replaced_and_the_first_one_has_to_be_had() {
        let close = |path_id| PathClose { path_id, ..PathClose::default() };
        let mut paths = opened();
        assert!(paths.closed(&close(1), 5).unwrap());
        assert_eq!(asks(&mut paths, 5), Some(2));
        let mut first = Paths::new(true);
        asks(&mut first, 0);
        assert_eq!(first.closed(&close(1), 0).unwrap_err().code, ErrorCode::Unsupported);
    }

    #[test]
    fn with_the_control_channel_goes_the_path_and_another_one_is_asked_for_when_it_is_back() {
        let mut paths = opened();
        paths.detached();
        assert_eq!((paths.open(), asks(&mut paths, 10)), (None, None));
        paths.attached(false);
        assert_eq!(asks(&mut paths, 20), Some(2));
        assert_eq!(asks(&mut paths, 20), None, "asked for already");
        paths.detached();
        paths.attached(false);
        let out = paths.tick(30).unwrap();
        assert_eq!(out[0], close_of(2), "what was asked for is given up");
        assert!(matches!(&out[1..], [Payload::PathOpen(open)] if open.path_id == 3));
    }

    #[test]
    fn a_path_that_never_becomes_ready_is_asked_for_again_and_then_it_is_the_end() {
        let mut paths = opened();
        paths.detached();
        paths.attached(false);
        let mut now_us = 0;
        let mut tries = 0_usize;
        let error = loop {
            match paths.tick(now_us) {
                Ok(out) => {
                    tries += out.iter().filter(|it| matches!(it, Payload::PathOpen(_))).count();
                }
                Err(error) => break error,
            }
            now_us = paths.next_due_us().unwrap();
        };
        assert_eq!(error.code, ErrorCode::ConnectionLost);
        assert!(tries >= 5, "{tries}");
    }
}
