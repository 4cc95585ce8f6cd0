//! When another socket is dialled beside the one in use: when messages get stuck, and when the
//! server leaves and says where the session goes on (`protocol/spec/session.md`, "Leaving a
//! server").

use super::addresses::moving_window_ms;

/// Why a second socket is dialled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Why {
    Stuck,
    Moves,
}

/// What is to be done about a second socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// What is the case stays.
    Stay,
    /// Dial one.
    Dial,
    /// Drop the one that is being dialled.
    GiveUp,
}

/// How things stand while the socket in use is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Something waits for the server and nothing is acknowledged.
    pub(crate) stuck: bool,
    /// This program stood still: what the server said may be there, unread.
    pub(crate) stalled: bool,
    /// Nobody speaks, nothing is owed, and nothing of the bot's is to be played.
    pub(crate) quiet: bool,
}

/// The second socket of a session, if any; one at a time.
#[derive(Debug, Default)]
pub(crate) struct Second {
    /// When to move: at a quiet moment between these two, or at the latter, milliseconds.
    window_ms: Option<(u64, u64)>,
    dialled: Option<Why>,
    /// The socket in use is gone, because of the second one's Hello.
    condemned: bool,
}

impl Second {
    /// The server leaves in so long, and the session goes on elsewhere.
    pub(crate) fn plan_move(&mut self, time_left_ms: u64, jitter: f64, now_ms: u64) {
        let (earliest_ms, latest_ms) = moving_window_ms(time_left_ms, jitter);
        self.window_ms = Some((now_ms + earliest_ms, now_ms + latest_ms));
    }

    /// Nobody moves by himself.
    pub(crate) const fn stay(&mut self) {
        self.window_ms = None;
    }

    /// Says what is to be done. `unanswered` = a Hello may have arrived whose Welcome was not read.
    pub(crate) fn look(&mut self, look: Look, unanswered: bool, now_ms: u64) -> Step {
        match self.dialled {
            None if look.stalled => Step::Stay,
            None => {
                let moves = self.moves_now(look, now_ms);
                self.dialled = match (moves, look.stuck) {
                    (true, _) => Some(Why::Moves),
                    (false, true) => Some(Why::Stuck),
                    (false, false) => None,
                };
                if self.dialled.is_some() { Step::Dial } else { Step::Stay }
            }
            // Not once its Hello is out: the server may have moved over.
            Some(Why::Stuck) if !look.stuck && !unanswered => {
                self.dialled = None;
                Step::GiveUp
            }
            Some(_) => Step::Stay,
        }
    }

    /// The socket in use is gone; true when that is the second one's doing, whose Welcome is on its
    /// way. `ours` = it was closed for a newer attach, and this client has said Hello.
    pub(crate) fn has_caused(&mut self, ours: bool) -> bool {
        self.condemned = ours && self.dialled.is_some();
        self.condemned
    }

    /// The second socket was had, or not; true when it was dialled because messages got stuck.
    pub(crate) fn take(&mut self) -> bool {
        self.dialled.take() == Some(Why::Stuck)
    }

    /// True when there is no socket left but the second one.
    pub(crate) const fn is_last(&self) -> bool {
        self.condemned
    }

    /// True once, when it is time to leave a server that has said where to.
    fn moves_now(&mut self, look: Look, now_ms: u64) -> bool {
        let due = |&mut (earliest_ms, latest_ms): &mut (u64, u64)| {
            now_ms >= earliest_ms && (look.quiet || now_ms >= latest_ms)
        };
        self.window_ms.take_if(due).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Look, Second, Step};

    const QUIET: Look = Look { stuck: false, stalled: false, quiet: true };
    const SPEAKS: Look = Look { quiet: false, ..QUIET };

    fn leaving(time_left_ms: u64) -> Second {
        let mut second = Second::default();
        second.plan_move(time_left_ms, 0.5, 1000);
        second
    }

    #[test]
    fn a_client_moves_once_at_a_quiet_moment_of_its_time() {
        let mut second = leaving(30_000);
        assert_eq!(second.look(QUIET, false, 7749), Step::Stay, "a quarter of 27 s, by chance");
        assert_eq!(second.look(SPEAKS, false, 7750), Step::Stay);
        assert_eq!(second.look(Look { stalled: true, ..QUIET }, false, 9000), Step::Stay);
        assert_eq!(second.look(QUIET, false, 9000), Step::Dial);
        assert_eq!(second.look(SPEAKS, false, 9100), Step::Stay, "it is on its way");
        assert!(!second.take());
        assert_eq!(second.look(QUIET, false, 40_000), Step::Stay, "nobody was there");
    }

    #[test]
    fn a_bot_that_speaks_on_is_left_in_good_time() {
        let mut second = leaving(10_000);
        assert_eq!(second.look(SPEAKS, false, 7999), Step::Stay);
        assert_eq!(second.look(SPEAKS, false, 8000), Step::Dial);
    }

    #[test]
    fn a_newer_word_of_the_server_counts() {
        let mut second = leaving(0);
        second.stay();
        assert_eq!(second.look(QUIET, false, 90_000), Step::Stay);
        second.plan_move(0, 0.5, 90_000);
        assert_eq!(second.look(SPEAKS, false, 90_000), Step::Dial);
    }

    #[test]
    fn a_second_socket_that_is_not_needed_any_more_is_dropped_unless_it_has_said_hello() {
        let stuck = Look { stuck: true, ..QUIET };
        let mut second = Second::default();
        assert_eq!(second.look(stuck, false, 0), Step::Dial);
        assert_eq!(second.look(stuck, false, 100), Step::Stay);
        assert_eq!(second.look(QUIET, true, 200), Step::Stay);
        assert_eq!(second.look(QUIET, false, 300), Step::GiveUp);
        assert_eq!(second.look(stuck, false, 400), Step::Dial);
        assert!(second.take(), "so that the next one is not hurried");
    }

    #[test]
    fn the_socket_that_was_left_may_be_closed_before_the_welcome_comes() {
        let mut second = leaving(0);
        assert!(!second.has_caused(true), "nothing was dialled");
        assert_eq!(second.look(QUIET, false, 1000), Step::Dial);
        assert!(!second.has_caused(false), "it was lost otherwise");
        assert!(second.has_caused(true) && second.is_last());
    }
}
