//! A session's state, as its tasks, its program and its sound see it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::core::Core;

/// The state of one session, and who is woken by what.
#[derive(Debug)]
pub(crate) struct Shared {
    core: Mutex<Core>,
    zero: Instant,
    /// Something is to be written, or is due earlier than it was.
    pub(crate) wake: Notify,
    /// A media path may have something to send, or is due earlier than it was.
    pub(crate) media: Notify,
    /// Something has changed for whoever waits for the session: up, over, an event.
    pub(crate) changed: Notify,
    /// The socket in use is to be dropped, as a broken network would.
    pub(crate) dropped: Notify,
}

impl Shared {
    /// `zero` is the moment 0 of every `now_us`.
    pub(crate) fn new(core: Core, zero: Instant) -> Self {
        Self {
            core: Mutex::new(core),
            zero,
            wake: Notify::new(),
            media: Notify::new(),
            changed: Notify::new(),
            dropped: Notify::new(),
        }
    }

    /// Microseconds since the session was made.
    pub(crate) fn now_us(&self) -> u64 {
        self.us_of(Instant::now())
    }

    /// The same of a moment; one before the session was made is 0.
    pub(crate) fn us_of(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.zero).as_micros().try_into().unwrap_or(u64::MAX)
    }

    /// The moment that is so many microseconds from when the session was made.
    pub(crate) fn at_us(&self, us: u64) -> Instant {
        self.zero + Duration::from_micros(us)
    }

    /// Milliseconds since the session was made.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_us() / 1000
    }

    /// Looks at the state.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        // Nothing panics while it is held; if something does, what it left is still a session.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the state, now, and wakes everybody who may care.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Core, u64) -> T) -> T {
        let (result, media) = {
            let mut core = self.lock();
            (act(&mut core, self.now_us()), core.paths.has_peers())
        };
        self.wake.notify_one();
        if media {
            self.media.notify_one();
        }
        self.changed.notify_waiters();
        result
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, mut so: impl FnMut(&mut Core) -> bool) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable(); // what changes from here on is not missed
            if so(&mut self.lock()) {
                return;
            }
            changed.await;
        }
    }
}
