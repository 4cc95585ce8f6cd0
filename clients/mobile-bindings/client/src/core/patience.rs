//! How long a client waits for an acknowledgement before it dials a second socket.

/// A message that is not acknowledged for this long makes the client dial a second socket.
const UNACKNOWLEDGED_MS: u64 = 1000;

/// Longest such wait; it doubles as long as a second socket does not help.
const MAX_PATIENCE_MS: u64 = 8000;

/// The patience of one session with the socket that is in use.
#[derive(Debug)]
pub(crate) struct Patience {
    limit_ms: u64,
    acknowledged: u64,
    progress_ms: u64,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Self { limit_ms: UNACKNOWLEDGED_MS, acknowledged: 0, progress_ms: 0 }
    }

    /// True when something waits since `since_ms` on this socket and nothing was acknowledged for
    /// too long. `acknowledged` is how many messages the server has acknowledged in all, `rtt_us`
    /// the round trip, 0 = not known.
    pub(crate) fn is_over(
        &mut self,
        now_ms: u64,
        since_ms: u64,
        acknowledged: u64,
        rtt_us: u64,
    ) -> bool {
        if acknowledged != self.acknowledged {
            (self.acknowledged, self.progress_ms) = (acknowledged, now_ms);
        }
        let limit_ms = self.limit_ms.max(3 * rtt_us / 1000);
        now_ms.saturating_sub(since_ms.max(self.progress_ms)) > limit_ms
    }

    /// Waits longer before the next second socket: one that is slow may be no better.
    pub(crate) fn grow(&mut self) {
        self.limit_ms = MAX_PATIENCE_MS.min(2 * self.limit_ms);
    }

    /// The socket was lost: the next one is waited for as the first was.
    pub(crate) const fn reset(&mut self) {
        self.limit_ms = UNACKNOWLEDGED_MS;
    }
}

#[cfg(test)]
mod tests {
    use super::Patience;

    #[test]
    fn progress_is_waited_for_and_a_second_socket_that_does_not_help_is_not_hurried() {
        let mut patience = Patience::new();
        assert!(!patience.is_over(1000, 0, 0, 0));
        assert!(patience.is_over(1001, 0, 0, 0));
        assert!(!patience.is_over(1002, 0, 1, 0), "something was acknowledged");
        assert!(!patience.is_over(2002, 0, 1, 0));
        assert!(patience.is_over(2003, 0, 1, 0));
        assert!(!patience.is_over(4002, 0, 1, 1_000_000), "the way is long");
        patience.grow();
        assert!(!patience.is_over(3002, 0, 1, 0));
        patience.reset();
        assert!(patience.is_over(3002, 0, 1, 0));
    }
}
