//! How a session ends: in order, for a reason, or before it is up.

use std::time::Duration;

use voxwire_core::wire::{Carrier, ErrorCode};

use super::Core;
use crate::error::Error;
use crate::event::Event;

/// How long audio that was received may still play after the session ended, microseconds.
const DRAIN_US: u64 = 2_000_000;

/// After this many blocks without sound everything has been played.
const IDLE_BLOCKS: u32 = 3;

/// Whether the socket is closed with a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Farewell {
    /// Nobody wants that yet.
    Unasked,
    /// It is to be.
    Asked,
    /// It was, or there is none.
    Said,
}

impl Core {
    /// The socket is to be closed with a word, if there is one.
    pub(crate) const fn hang_up(&mut self) {
        self.farewell = if self.link.is_connected() { Farewell::Asked } else { Farewell::Said };
    }

    /// True when the socket is to be closed with a word.
    pub(crate) fn is_hanging_up(&self) -> bool {
        self.farewell == Farewell::Asked
    }

    /// The socket was closed with a word.
    pub(crate) const fn hung_up(&mut self) {
        self.farewell = Farewell::Said;
    }

    /// True when nothing is to be said any more.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.farewell == Farewell::Said
    }

    /// The program leaves: what comes from here on is no failure.
    pub(crate) const fn leave(&mut self) {
        self.leaving = true;
    }

    /// The session is over: nothing is dialled again.
    pub(crate) fn finish(&mut self, now_us: u64) {
        self.link.finish();
        self.over_us.get_or_insert(now_us);
    }

    /// True when everything that was received has been played after the end, or nobody waits.
    pub(crate) fn is_drained(&self, now_us: u64) -> bool {
        let Some(over_us) = self.over_us else { return false };
        let heard_out = self.idle_blocks >= IDLE_BLOCKS;
        let hung_up = self.fatal.is_some() || self.leaving || self.player.is_none();
        hung_up || heard_out || now_us - over_us >= DRAIN_US
    }

    /// The wire is gone for good: the session fails with it, unless it was over already.
    pub(crate) fn fail(&mut self, error: Error, now_us: u64) {
        let told = self.leaving || self.ended.is_some() || self.fatal.is_some();
        if !told {
            self.fatal = Some(error);
        }
        self.finish(now_us);
    }

    /// Tells the end: nothing comes behind it.
    pub(crate) fn close(&mut self) {
        if self.fatal.is_none() && self.player.is_none() {
            self.fatal = Some(Error::lost("the session ended before it was ready"));
        }
        if let Some(ended) = self.ended.take() {
            self.outbox.put(Event::SessionEnded(ended));
        }
        let failure = self.fatal.clone();
        self.requests.close(failure.as_ref());
        self.outbox.close(failure);
        self.closed = true;
    }

    /// Why the session failed.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.fatal.as_ref()
    }

    /// Why there is no connection now; `None` = that is tried again.
    pub(crate) fn troubled(&mut self, trouble: Option<Error>) {
        self.trouble = trouble;
    }

    /// The error for a session that did not open in time: what is known to be wrong, else what was
    /// waited for.
    pub(crate) fn timed_out(&self, timeout: Duration, now_us: u64) -> Error {
        if let Some(place) = self.deadline.place() {
            let place = place.position;
            let reason = format!("the server had no place in time; {place} in its queue by then");
            return Error::new(ErrorCode::Timeout, reason).retryable();
        }
        if let Some(trouble) = self.trouble.clone().or_else(|| self.paths.trouble(now_us)) {
            return trouble;
        }
        let stage = match (self.welcome.session_id.as_str(), self.paths.asked()) {
            ("", _) => "the server did not answer Hello",
            (_, Some(Carrier::Webrtc)) => "the webrtc media path did not become ready",
            _ => "the websocket media path did not become ready",
        };
        let reason = format!("{stage} within {} s", timeout.as_secs_f64());
        Error::new(ErrorCode::Timeout, reason).retryable()
    }
}
