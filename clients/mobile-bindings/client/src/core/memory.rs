//! Which servers WebRTC did not come about to, so that the next session does not wait for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::ladder::Fallback;

/// How long a failure counts: networks heal, and phones are carried elsewhere.
const HELD: Duration = Duration::from_secs(300);

/// Most servers that are remembered; the oldest give way.
const MAX_SERVERS: usize = 64;

/// The failures of WebRTC by server, of the sessions of one program.
#[derive(Debug, Default)]
pub(crate) struct CarrierMemory(Mutex<VecDeque<(String, Instant, Fallback)>>);

/// The failure of one server, if there is a recent one.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    memory: Arc<CarrierMemory>,
    server: String,
}

impl Remembered {
    /// What is known of a server, which is named by scheme, host and port.
    pub(crate) const fn new(memory: Arc<CarrierMemory>, server: String) -> Self {
        Self { memory, server }
    }

    /// Why WebRTC did not come about; `None` when it did last, or nobody has tried lately.
    pub(crate) fn failure(&self, now: Instant) -> Option<Fallback> {
        self.with(|failures| {
            let (_, until, why) = failures.iter().find(|(server, ..)| *server == self.server)?;
            (now < *until).then(|| why.clone())
        })
    }

    /// WebRTC did not come about.
    pub(crate) fn failed(&self, why: &Fallback, now: Instant) {
        self.worked();
        self.with(|failures| {
            failures.push_back((self.server.clone(), now + HELD, why.clone()));
            if failures.len() > MAX_SERVERS {
                failures.pop_front();
            }
        });
    }

    /// WebRTC came about.
    pub(crate) fn worked(&self) {
        self.with(|failures| failures.retain(|(server, ..)| *server != self.server));
    }

    fn with<T>(&self, act: impl FnOnce(&mut VecDeque<(String, Instant, Fallback)>) -> T) -> T {
        act(&mut self.memory.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{CarrierMemory, HELD, MAX_SERVERS, Remembered};
    use crate::core::ladder::Fallback;
    use crate::event::FallbackReason;

    #[test]
    fn a_failure_is_remembered_for_five_minutes_or_until_it_works() {
        let memory = Arc::new(CarrierMemory::default());
        let of = |server: &str| Remembered::new(Arc::clone(&memory), server.to_owned());
        let now = Instant::now();
        let why = Fallback { reason: FallbackReason::IceFailed, detail: "x".into() };
        of("a").failed(&why, now);
        assert_eq!(of("a").failure(now), Some(why.clone()));
        assert_eq!(of("b").failure(now), None);
        assert_eq!(of("a").failure(now + HELD), None, "long ago");
        of("a").worked();
        assert_eq!(of("a").failure(now), None);
        for number in 0..=MAX_SERVERS as u64 {
            of(&number.to_string()).failed(&why, now + Duration::from_millis(number));
        }
        assert_eq!(of("0").failure(now), None, "the oldest gave way");
        assert!(of("1").failure(now).is_some());
    }
}
