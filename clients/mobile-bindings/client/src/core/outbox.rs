//! The bounded queue between a session and the program that reads its events.

use std::collections::VecDeque;

use crate::error::Error;
use crate::event::{Event, EventsSkipped};

/// Most events that wait to be read.
const MAX_QUEUED: usize = 8192;

/// First in, first out. What does not fit is counted and said: `EventsSkipped` takes its place.
/// The oldest events are given up, since the newest ones tell what is the case.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queued: VecDeque<Event>,
    skipped: u64,
    closed: bool,
    failure: Option<Error>,
}

impl Outbox {
    /// Adds an event; nothing after [`close`](Self::close).
    pub(crate) fn put(&mut self, event: Event) {
        if self.closed {
            return;
        }
        if self.queued.len() >= MAX_QUEUED {
            self.queued.pop_front();
            self.skipped += 1;
        }
        self.queued.push_back(event);
    }

    /// True when nothing waits to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Ends the queue: a reader gets what is queued, then the failure or the end.
    pub(crate) fn close(&mut self, failure: Option<Error>) {
        if !self.closed {
            self.closed = true;
            self.failure = failure;
        }
    }

    /// The next event; `Ok(None)` within `Some` at the end, `None` = nothing yet.
    ///
    /// # Errors
    ///
    /// The failure that the queue was closed with, once.
    pub(crate) fn take(&mut self) -> Option<Result<Option<Event>, Error>> {
        if self.skipped > 0 {
            let count = std::mem::take(&mut self.skipped);
            let skipped = EventsSkipped { count, ..EventsSkipped::default() };
            return Some(Ok(Some(Event::EventsSkipped(skipped))));
        }
        if let Some(event) = self.queued.pop_front() {
            return Some(Ok(Some(event)));
        }
        if !self.closed {
            return None;
        }
        Some(self.failure.take().map_or(Ok(None), Err))
    }
}

#[cfg(test)]
mod tests {
    use voxwire_core::wire::{ErrorCode, SessionEnded};

    use super::{MAX_QUEUED, Outbox};
    use crate::error::Error;
    use crate::event::{Event, EventsSkipped};

    #[test]
    fn what_does_not_fit_is_said_in_its_place() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.take(), None);
        for duration_ms in 0..MAX_QUEUED as u64 + 2 {
            outbox.put(Event::SessionEnded(SessionEnded { reason: 0, duration_ms }));
        }
        let skipped = EventsSkipped { count: 2, ..EventsSkipped::default() };
        assert_eq!(outbox.take(), Some(Ok(Some(Event::EventsSkipped(skipped)))));
        let next = SessionEnded { reason: 0, duration_ms: 2 };
        assert_eq!(outbox.take(), Some(Ok(Some(Event::SessionEnded(next)))));
    }

    #[test]
    fn a_failure_is_told_once_behind_the_events() {
        let mut outbox = Outbox::default();
        outbox.put(Event::SessionEnded(SessionEnded::default()));
        let failure = Error::new(ErrorCode::Internal, "x");
        outbox.close(Some(failure.clone()));
        assert!(matches!(outbox.take(), Some(Ok(Some(_)))));
        assert_eq!(outbox.take(), Some(Err(failure)));
        assert_eq!(outbox.take(), Some(Ok(None)));
    }
}
