//! A media path that is asked for and not ready yet.

use std::collections::VecDeque;

use voxwire_core::wire::{AudioChunk, Carrier, ErrorCode, PathAnswer, PathClose, PathReady};

use super::ladder::{Fallback, LATE_US, Progress, Tried, why};
use super::webrtc::WebRtc;
use crate::PLAYOUT_RATE;
use crate::error::{Error, known_code};

/// Chunks of audio that are kept until their path is ready.
const MAX_EARLY: usize = 250;

/// One path on its way to be ready.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) path_id: u32,
    pub(crate) carrier: Carrier,
    /// Since when the server could have answered; `None` = there is no session yet.
    pub(crate) asked_us: Option<u64>,
    answered_us: Option<u64>,
    /// What the server said when it was ready, and how many it had put in use by then.
    pub(crate) ready: Option<(u32, PathReady)>,
    /// The server's word that it gave the path up, ready or not.
    pub(crate) given_up: Option<PathClose>,
    /// Why it will not be ready.
    pub(crate) failure: Option<Error>,
    /// Of the bot's audio, Hz.
    pub(crate) sample_rate: u32,
    /// Audio that came before it was ready.
    pub(crate) early: VecDeque<AudioChunk>,
    /// The connection, where it has one of its own.
    pub(crate) rtc: Option<Box<WebRtc>>,
}

impl Attempt {
    pub(crate) const fn new(path_id: u32, carrier: Carrier, asked_us: Option<u64>) -> Self {
        Self {
            path_id,
            carrier,
            asked_us,
            answered_us: None,
            ready: None,
            given_up: None,
            failure: None,
            sample_rate: PLAYOUT_RATE,
            early: VecDeque::new(),
            rtc: None,
        }
    }

    /// How far it has come.
    pub(crate) fn progress(&self) -> Progress {
        match &self.rtc {
            Some(rtc) if self.answered_us.is_some() => rtc.progress(),
            _ => Progress::Asked,
        }
    }

    /// True when audio can flow both ways.
    pub(crate) fn is_done(&self) -> bool {
        let connected = self.rtc.is_none() || self.progress() == Progress::Connected;
        self.ready.is_some() && connected && self.failure.is_none()
    }

    /// How far it has come, with its times; `None` = the session is not welcomed yet.
    pub(crate) fn tried(&self) -> Option<Tried> {
        let (answered_us, progress) = (self.answered_us, self.progress());
        self.asked_us.map(|asked_us| Tried { asked_us, answered_us, progress })
    }

    /// Takes the server's answer.
    pub(crate) fn answered(&mut self, answer: &PathAnswer, now_us: u64) {
        if self.answered_us.is_some() {
            return; // the first one counts
        }
        self.answered_us = Some(now_us);
        if let Some(rtc) = &mut self.rtc {
            self.failure = rtc.answered(&answer.sdp_answer, now_us).err();
            return;
        }
        let said = answer.playout.map_or(0, |format| format.sample_rate);
        self.sample_rate = if said == 0 { PLAYOUT_RATE } else { said };
        if !(8000..=48_000).contains(&self.sample_rate) {
            let reason = format!("the server plays at {} Hz; 8-48 kHz work", self.sample_rate);
            self.failure = Some(Error::new(ErrorCode::UnsupportedFormat, reason));
        }
    }

    /// Takes word that the server gives it up.
    pub(crate) fn closed(&mut self, close: &PathClose) {
        if self.ready.is_none() && self.failure.is_none() {
            let code =
                if close.code == 0 { ErrorCode::Unsupported } else { known_code(close.code) };
            self.failure = Some(Error::new(code, given_up_reason(close)));
        }
        self.given_up = Some(close.clone());
    }

    /// Keeps audio that came before it was ready.
    pub(crate) fn keep(&mut self, chunk: AudioChunk) {
        if self.early.len() == MAX_EARLY {
            self.early.pop_front();
        }
        self.early.push_back(chunk);
    }

    /// When it has been tried for too long.
    pub(crate) fn late_us(&self) -> Option<u64> {
        self.asked_us.map(|asked_us| asked_us + LATE_US)
    }

    /// The error of one that has been tried for too long; `None` = it has not.
    pub(crate) fn late(&self, now_us: u64) -> Option<Error> {
        self.late_us().filter(|late_us| now_us >= *late_us)?;
        if self.progress() == Progress::Answered {
            let reason = "no network path for WebRTC was found: try the transport websocket";
            return Some(Error::new(ErrorCode::IceFailed, reason).retryable());
        }
        let reason = "no media path became ready in time";
        Some(Error::new(ErrorCode::Timeout, reason).retryable())
    }

    /// Why it does not carry the audio: it failed so, or (`None`) takes long.
    pub(crate) fn why_not(&self, error: Option<&Error>) -> Fallback {
        why(error, self.progress(), self.given_up.is_some())
    }
}

/// Why the server gave a path up.
pub(crate) fn given_up_reason(close: &PathClose) -> &str {
    match close.reason.as_str() {
        "" => "the server gave the media path up",
        said => said,
    }
}
