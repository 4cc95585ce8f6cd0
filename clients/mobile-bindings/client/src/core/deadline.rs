//! How long a session may take until it is up; while it waits for a place another time runs.

use std::time::Duration;

use voxwire_core::wire::Waiting;

/// Nobody waits longer, microseconds.
const MAX_US: u64 = 365 * 86_400 * 1_000_000;

/// The deadline of a session that is being opened. It stands still while the server has the client
/// wait; all of that together has a bound of its own.
#[derive(Debug)]
pub(crate) struct Deadline {
    at_us: u64,
    waiting_left_us: u64,
    /// Since when it waits; `None` = it waits for no place.
    since_us: Option<u64>,
    waited_us: u64,
    place: Option<Waiting>,
}

impl Deadline {
    /// From 0 on it may take `within`, and beyond that wait for a place for `waiting` in all.
    pub(crate) fn new(within: Duration, waiting: Duration) -> Self {
        let us = |it: Duration| u64::try_from(it.as_micros()).unwrap_or(MAX_US).min(MAX_US);
        Self {
            at_us: us(within),
            waiting_left_us: us(waiting),
            since_us: None,
            waited_us: 0,
            place: None,
        }
    }

    /// The server has it wait: time stands still. True when its place is a new one.
    pub(crate) fn waits(&mut self, place: Waiting, now_us: u64) -> bool {
        self.since_us.get_or_insert(now_us);
        self.place.replace(place) != Some(place)
    }

    /// The wait is over, however: time runs again. Nothing when there was none.
    pub(crate) fn goes_on(&mut self, now_us: u64) {
        let Some(since_us) = self.since_us.take() else { return };
        let waited_us = now_us.saturating_sub(since_us);
        self.place = None;
        self.at_us += waited_us;
        self.waited_us += waited_us;
        self.waiting_left_us = self.waiting_left_us.saturating_sub(waited_us);
    }

    /// When it has taken too long.
    pub(crate) fn due_us(&self) -> u64 {
        self.since_us.map_or(self.at_us, |since_us| since_us + self.waiting_left_us)
    }

    /// How long it may still take, the wait for a place apart.
    pub(crate) fn left_us(&self, now_us: u64) -> u64 {
        self.at_us.saturating_sub(self.since_us.unwrap_or(now_us))
    }

    /// How long it has waited for a place, the present wait apart.
    pub(crate) const fn waited_us(&self) -> u64 {
        self.waited_us
    }

    /// Where it was told to be last; `None` = it waits for no place.
    pub(crate) const fn place(&self) -> Option<Waiting> {
        self.place
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use voxwire_core::wire::Waiting;

    use super::Deadline;

    const S: u64 = 1_000_000;

    fn place(position: u32) -> Waiting {
        Waiting { position, estimated_ms: 0 }
    }

    #[test]
    fn it_stands_still_while_the_server_has_the_client_wait() {
        let mut deadline = Deadline::new(Duration::from_secs(1), Duration::from_secs(30));
        assert_eq!(deadline.due_us(), S);
        assert!(deadline.waits(place(2), S / 2));
        assert!(!deadline.waits(place(2), 5 * S), "it knows that");
        assert!(deadline.waits(place(1), 10 * S));
        assert_eq!((deadline.place(), deadline.left_us(10 * S)), (Some(place(1)), S / 2));
        deadline.goes_on(12 * S);
        assert_eq!((deadline.due_us(), deadline.place()), (12 * S + S / 2, None));
        assert_eq!(deadline.left_us(12 * S), S / 2);
        assert_eq!(deadline.waited_us(), 11 * S + S / 2);
        assert!(deadline.waits(place(1), 13 * S), "it waits anew");
    }

    #[test]
    fn all_waits_together_have_an_end_of_their_own() {
        let mut deadline = Deadline::new(Duration::from_secs(1), Duration::from_secs(30));
        deadline.waits(place(2), 0);
        deadline.goes_on(20 * S);
        deadline.goes_on(25 * S);
        deadline.waits(place(2), 20 * S);
        assert_eq!(deadline.due_us(), 30 * S);
    }

    #[test]
    fn a_deadline_that_is_never_is_one() {
        let deadline = Deadline::new(Duration::MAX, Duration::MAX);
        assert!(deadline.left_us(0) > 86_400 * S);
    }
}
