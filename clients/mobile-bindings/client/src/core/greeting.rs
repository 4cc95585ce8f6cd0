//! What the client says to get a session or to get it back, and how long it goes on trying.

use voxwire_core::wire::{
    ClientInfo, DEFAULT_MAX_MESSAGE_BYTES, Envelope, ErrorCode, Feature, Hello, PROTOCOL_VERSION,
    Payload, RecoveryAction, ToolDeclaration, Welcome,
};

use super::addresses::Addresses;
use super::url::Url;
use crate::error::Error;

/// How long a session waits for its client when Welcome does not say, milliseconds.
const GRACE_MS: u64 = 60_000;

/// Waits before the first and every further try; the last one stays.
const DELAYS_MS: [u64; 5] = [0, 100, 200, 500, 1000];

/// How much a wait may differ from that, percent.
const JITTER: u64 = 20;

/// A server that says so may be asked again.
pub(crate) const BUSY: [ErrorCode; 2] = [ErrorCode::Capacity, ErrorCode::RateLimited];

const FEATURES: [Feature; 7] = [
    Feature::PlayoutReports,
    Feature::Flush,
    Feature::Words,
    Feature::Sequence,
    Feature::Chunks,
    Feature::WebsocketAudio,
    Feature::KeptCapture,
];

/// A number that nobody can guess: names an attach.
pub(crate) type Nonce = [u8; 16];

/// What proves that the session is ours.
struct Held {
    session_id: String,
    resume_token: Vec<u8>,
    epoch: u32,
}

/// What a new session is asked for with.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) token: String,
    pub(crate) bot: String,
    pub(crate) metadata_json: String,
    pub(crate) tools: Vec<ToolDeclaration>,
    pub(crate) webrtc: bool,
    pub(crate) resume: bool,
    pub(crate) resume_ms: Option<u64>,
    /// It waits for a place where the server has none.
    pub(crate) waits: bool,
}

/// Makes the Hello of every attach of one session; the same nonce until it is welcomed. It has no
/// `Debug`: tokens are in it.
pub(crate) struct Greeting {
    pub(crate) addresses: Addresses,
    wanted: Wanted,
    nonce: Nonce,
    held: Option<Held>,
    /// True while a Hello may have arrived whose Welcome was not read.
    pub(crate) unanswered: bool,
    /// True once the server has said that it keeps the session.
    pub(crate) resumable: bool,
    /// How long the session may be without a connection, milliseconds.
    pub(crate) grace_ms: u64,
}

impl Greeting {
    pub(crate) fn new(url: Url, wanted: Wanted, nonce: Nonce) -> Self {
        Self {
            addresses: Addresses::new(url),
            wanted,
            nonce,
            held: None,
            unanswered: false,
            resumable: false,
            grace_ms: GRACE_MS,
        }
    }

    /// True until the session was welcomed.
    pub(crate) const fn first(&self) -> bool {
        self.held.is_none()
    }

    /// The Hello; from here on it counts as said. `last_seq` is the highest number received from
    /// the server without a gap.
    pub(crate) fn hello(&mut self, last_seq: u64) -> Envelope {
        self.unanswered = true;
        let wanted = &self.wanted;
        let mut features = FEATURES.to_vec();
        features.extend(wanted.webrtc.then_some(Feature::Webrtc));
        features.extend((!wanted.tools.is_empty()).then_some(Feature::ClientTools));
        features.extend(wanted.waits.then_some(Feature::Waiting));
        features.extend(wanted.resume.then_some(Feature::Resume));
        let mut hello = Hello {
            protocol_version: PROTOCOL_VERSION,
            attach_nonce: self.nonce.to_vec(),
            features: features.into_iter().map(i32::from).collect(),
            client: Some(ClientInfo {
                library: "voxwire-rust".into(),
                library_version: env!("CARGO_PKG_VERSION").into(),
                platform: std::env::consts::OS.into(),
                platform_version: String::new(),
            }),
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES as u32,
            ..Hello::default()
        };
        if let Some(held) = &self.held {
            hello.session_id.clone_from(&held.session_id);
            hello.resume_token.clone_from(&held.resume_token);
            hello.last_seq = last_seq;
            hello.epoch = held.epoch;
        } else {
            hello.token.clone_from(&wanted.token);
            hello.bot.clone_from(&wanted.bot);
            hello.metadata_json.clone_from(&wanted.metadata_json);
            hello.tools.clone_from(&wanted.tools);
        }
        Envelope::of(Payload::Hello(hello))
    }

    /// Takes the answer, which was said at `url`: the next attach uses its token and another nonce.
    ///
    /// # Errors
    ///
    /// `SESSION_EXPIRED` when it is about another session.
    pub(crate) fn welcomed(
        &mut self,
        welcome: &Welcome,
        url: Url,
        next: Nonce,
    ) -> Result<(), Error> {
        if self.held.as_ref().is_some_and(|held| held.session_id != welcome.session_id) {
            let reason = "the server answered with another session";
            return Err(Error::new(ErrorCode::SessionExpired, reason).reconnect());
        }
        self.held = Some(Held {
            session_id: welcome.session_id.clone(),
            resume_token: welcome.resume_token.clone(),
            epoch: welcome.epoch,
        });
        self.nonce = next;
        self.unanswered = false;
        self.grace_ms = match welcome.grace_ms {
            0 => GRACE_MS,
            said => said.into(),
        };
        self.grace_ms = self.grace_ms.min(self.wanted.resume_ms.unwrap_or(u64::MAX));
        let kept = welcome.features.contains(&Feature::Resume.into());
        self.resumable = self.wanted.resume && kept;
        self.addresses.welcomed(url, &welcome.resume_url);
        Ok(())
    }
}

/// When a first Hello that met a server which is busy, or leaves, is said again: behind a load
/// balancer it may meet another one.
#[derive(Debug, Default)]
pub(crate) struct Again {
    tries: u32,
}

impl Again {
    /// How long to wait before that, milliseconds; `None` = the error counts, since it is another
    /// one, or the server asks for more time than there is. `chance` is a random number.
    pub(crate) fn wait_ms(&mut self, error: &Error, left_ms: u64, chance: u64) -> Option<u64> {
        self.tries += 1;
        let another_time = BUSY.contains(&error.code) || error.code == ErrorCode::GoingAway;
        let wait_ms = backoff_ms(self.tries + 1, chance).max(error.retry_after_ms.into());
        (another_time && wait_ms < left_ms).then_some(wait_ms)
    }
}

/// How long to wait before a try, from 1: at once, then 0.1 to 1 s, each ±20 %. `chance` is a
/// random number.
pub(crate) fn backoff_ms(attempt: u32, chance: u64) -> u64 {
    let at = (attempt.saturating_sub(1) as usize).min(DELAYS_MS.len() - 1);
    let percent = 100 - JITTER + chance % (2 * JITTER + 1);
    DELAYS_MS[at] * percent / 100
}

/// True when dialling again makes no sense. `attaching` = it answered an attempt to come back.
pub(crate) fn is_final(error: &Error, attaching: bool) -> bool {
    let wire = [ErrorCode::ConnectionLost, ErrorCode::Timeout, ErrorCode::Unreachable];
    if error.action == RecoveryAction::Resume || wire.contains(&error.code) {
        return false;
    }
    !(attaching && (error.retryable || BUSY.contains(&error.code)))
}

/// The error for a session that could not be had back within its grace.
pub(crate) fn expired(waited_ms: u64, cause: &Error) -> Error {
    let waited_s = waited_ms as f64 / 1000.0;
    let reason =
        format!("the connection was lost and not back within {waited_s:.1} s ({})", cause.reason);
    Error::new(ErrorCode::SessionExpired, reason).reconnect()
}

#[cfg(test)]
mod tests {
    use voxwire_core::wire::{Envelope, ErrorCode, Feature, Hello, Payload, Welcome};

    use super::{Again, Greeting, Wanted, backoff_ms, is_final};
    use crate::core::url::Url;
    use crate::error::Error;

    fn greeting(wanted: Wanted) -> Greeting {
        Greeting::new(url(), wanted, [1; 16])
    }

    fn url() -> Url {
        Url::parse("ws://host").unwrap()
    }

    fn said(envelope: Envelope) -> Hello {
        match envelope.payload {
            Some(Payload::Hello(hello)) => hello,
            other => panic!("no Hello: {other:?}"),
        }
    }

    fn welcome(epoch: u32) -> Welcome {
        Welcome {
            session_id: "s".into(),
            resume_token: vec![7],
            epoch,
            features: vec![Feature::Resume.into()],
            ..Welcome::default()
        }
    }

    #[test]
    fn hello_is_the_same_until_it_is_welcomed_and_then_proves_whose_session_it_is() {
        let wanted = Wanted { token: "t".into(), resume: true, ..Wanted::default() };
        let mut greeting = greeting(wanted);
        let first = said(greeting.hello(0));
        assert_eq!((first.token.as_str(), first.session_id.as_str()), ("t", ""));
        assert_eq!(said(greeting.hello(0)), first);
        assert!(greeting.unanswered && greeting.first());
        greeting.welcomed(&welcome(1), url(), [2; 16]).unwrap();
        assert!(greeting.resumable && !greeting.unanswered && !greeting.first());
        let again = said(greeting.hello(9));
        assert_eq!((again.token.as_str(), again.session_id.as_str()), ("", "s"));
        assert_eq!((again.resume_token, again.last_seq, again.epoch), (vec![7], 9, 1));
        assert_ne!(again.attach_nonce, first.attach_nonce);
        let other = Welcome { session_id: "x".into(), ..welcome(2) };
        let refused = greeting.welcomed(&other, url(), [3; 16]).unwrap_err();
        assert_eq!(refused.code, ErrorCode::SessionExpired);
    }

    #[test]
    fn who_waits_for_a_place_says_so() {
        let waiting = Feature::Waiting.into();
        let waits = |waits| {
            let mut greeting = greeting(Wanted { waits, ..Wanted::default() });
            said(greeting.hello(0)).features.contains(&waiting)
        };
        assert!(waits(true) && !waits(false));
    }

    #[test]
    fn a_server_that_is_busy_or_leaves_is_asked_again_while_there_is_time() {
        let of = |code, retry_after_ms| Error { retry_after_ms, ..Error::new(code, "") };
        let mut again = Again::default();
        let leaves = of(ErrorCode::GoingAway, 0);
        let waits: Vec<_> = (0..4).map(|_| again.wait_ms(&leaves, 10_000, 20)).collect();
        assert_eq!(waits, [100, 200, 500, 1000].map(Some));
        for code in [ErrorCode::GoingAway, ErrorCode::Capacity, ErrorCode::RateLimited] {
            assert_eq!(Again::default().wait_ms(&of(code, 700), 701, 20), Some(700));
            assert_eq!(Again::default().wait_ms(&of(code, 700), 700, 20), None, "no time");
        }
        let refused = of(ErrorCode::Unauthorized, 0);
        assert_eq!(Again::default().wait_ms(&refused, 10_000, 20), None);
    }

    #[test]
    fn the_first_try_is_at_once_and_the_waits_grow_to_a_second() {
        let waits: Vec<u64> = (1..8).map(|attempt| backoff_ms(attempt, 20)).collect();
        assert_eq!(waits, [0, 100, 200, 500, 1000, 1000, 1000]);
        assert_eq!((backoff_ms(5, 0), backoff_ms(5, 40), backoff_ms(5, 41)), (800, 1200, 800));
    }

    #[test]
    fn what_is_wrong_says_whether_to_come_back() {
        let of = |code| Error::new(code, "");
        assert!(is_final(&of(ErrorCode::Superseded), false));
        assert!(!is_final(&of(ErrorCode::ConnectionLost), false));
        assert!(is_final(&of(ErrorCode::Capacity), false));
        assert!(!is_final(&of(ErrorCode::Capacity), true));
        assert!(is_final(&of(ErrorCode::Unauthorized), true));
    }
}
