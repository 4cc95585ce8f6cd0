//! When the next carrier is asked for beside one that is not ready, and why one is not
//! (`protocol/adr/0031-webrtc-with-a-head-start.md`).

use voxwire_core::wire::ErrorCode;

use crate::error::Error;
use crate::event::FallbackReason;

/// How long WebRTC has the network for itself, from the server's answer on, microseconds.
const HEAD_START_US: u64 = 1_500_000;

/// The same once the session is up: the bot's voice waits for 2 s, whatever carries it then.
const AGAIN_US: u64 = 700_000;

/// How long the server may take to answer before another carrier is asked for.
const ANSWER_US: u64 = 3_000_000;

/// How long a path that is not ready is tried, while another one carries the audio or could.
pub(crate) const LATE_US: u64 = 8_000_000;

/// How far a path has come that is not ready yet.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Progress {
    /// The server has not answered.
    Asked,
    /// It has.
    Answered,
    /// A packet went there and back.
    Reached,
    /// The connection stands: it is the server's pipeline that is waited for.
    Connected,
}

/// A path that is being tried; microseconds of one clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    /// Since when the server could have answered.
    pub(crate) asked_us: u64,
    /// When it did.
    pub(crate) answered_us: Option<u64>,
    pub(crate) progress: Progress,
}

/// Why WebRTC does not carry the audio.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fallback {
    pub(crate) reason: FallbackReason,
    /// One sentence for people.
    pub(crate) detail: String,
}

/// When the next carrier is asked for beside this one. What is getting on is given half as long
/// again: two paths that become ready within a round trip would replace each other. `again` = the
/// session is up.
pub(crate) fn next_due_us(tried: Tried, again: bool) -> u64 {
    if tried.progress == Progress::Connected {
        return tried.asked_us + LATE_US;
    }
    let patience = |us: u64| if tried.progress == Progress::Reached { us / 2 * 3 } else { us };
    if again {
        return tried.asked_us + patience(AGAIN_US);
    }
    match tried.answered_us {
        None => tried.asked_us + ANSWER_US,
        Some(answered_us) => answered_us + patience(HEAD_START_US),
    }
}

/// Why WebRTC does not carry the audio. `error` is what ended it, or is known to be wrong with it;
/// `None` = nothing, it takes too long. `told` = the error is the server's word.
pub(crate) fn why(error: Option<&Error>, progress: Progress, told: bool) -> Fallback {
    let of = |reason, detail: &str| Fallback { reason, detail: detail.to_owned() };
    if let Some(error) = error {
        match error.code {
            ErrorCode::MissingExtra | ErrorCode::Unsupported => {
                return of(FallbackReason::NotOffered, &error.reason);
            }
            ErrorCode::TurnFailed => return of(FallbackReason::TurnFailed, &error.reason),
            ErrorCode::IceFailed | ErrorCode::Timeout if told => {
                return of(FallbackReason::IceFailed, &error.reason);
            }
            ErrorCode::IceFailed | ErrorCode::Timeout => {}
            _ => return of(FallbackReason::Refused, &error.reason),
        }
    }
    match progress {
        Progress::Answered => of(
            FallbackReason::IceFailed,
            "no UDP packet of the server came back: is UDP blocked here?",
        ),
        Progress::Reached => of(
            FallbackReason::DtlsFailed,
            "UDP packets come through, but the DTLS handshake did not end",
        ),
        Progress::Asked | Progress::Connected => {
            of(FallbackReason::TimedOut, "the server did not get a WebRTC path ready in time")
        }
    }
}

/// True when another try may go well without anybody changing a program.
pub(crate) const fn is_of_the_network(reason: FallbackReason) -> bool {
    !matches!(reason, FallbackReason::NotOffered | FallbackReason::Refused)
}

#[cfg(test)]
mod tests {
    use voxwire_core::wire::ErrorCode;

    use super::{Progress, Tried, is_of_the_network, next_due_us, why};
    use crate::error::Error;
    use crate::event::FallbackReason;

    const S: u64 = 1_000_000;

    #[test]
    fn webrtc_has_a_head_start_that_is_longer_while_it_gets_on() {
        let due = |answered_us, progress, again| {
            next_due_us(Tried { asked_us: S, answered_us, progress }, again)
        };
        assert_eq!(due(None, Progress::Asked, false), 4 * S);
        assert_eq!(due(Some(2 * S), Progress::Answered, false), 3 * S + S / 2);
        assert_eq!(due(Some(2 * S), Progress::Reached, false), 4 * S + S / 4);
        assert_eq!(due(Some(2 * S), Progress::Connected, false), 9 * S);
        assert_eq!(due(Some(2 * S), Progress::Answered, true), S + 700_000);
        assert_eq!(due(None, Progress::Reached, true), S + 1_050_000);
    }

    #[test]
    fn a_failure_is_told_by_what_is_known_of_it() {
        let of = |code, progress, told| {
            let error = Error::new(code, "said");
            let why = why(Some(&error), progress, told);
            (why.reason, why.detail == "said")
        };
        let answered = Progress::Answered;
        assert_eq!(of(ErrorCode::Unsupported, answered, true), (FallbackReason::NotOffered, true));
        assert_eq!(of(ErrorCode::TurnFailed, answered, true), (FallbackReason::TurnFailed, true));
        assert_eq!(of(ErrorCode::BadSdp, answered, false), (FallbackReason::Refused, true));
        assert_eq!(of(ErrorCode::IceFailed, answered, true), (FallbackReason::IceFailed, true));
        assert_eq!(of(ErrorCode::IceFailed, answered, false), (FallbackReason::IceFailed, false));
        let late = |progress| why(None, progress, false).reason;
        assert_eq!(late(Progress::Asked), FallbackReason::TimedOut);
        assert_eq!(late(Progress::Reached), FallbackReason::DtlsFailed);
        assert_eq!(late(Progress::Connected), FallbackReason::TimedOut);
        assert!(is_of_the_network(FallbackReason::IceFailed));
        assert!(!is_of_the_network(FallbackReason::Refused));
    }
}
