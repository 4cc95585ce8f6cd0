//! What the client says to get a session or to get it back, and how long it goes on trying.

use voxwire_core::wire::{
    ClientInfo, DEFAULT_MAX_MESSAGE_BYTES, Envelope, ErrorCode, Feature, Hello, PROTOCOL_VERSION,
    Payload, RecoveryAction, ToolDeclaration, Welcome,
};

use super::url::Url;
use crate::error::Error;

/// How long a session waits for its client when Welcome does not say, milliseconds.
const GRACE_MS: u64 = 60_000;

/// Waits before the first and every further try; the last one stays.
const DELAYS_MS: [u64; 5] = [0, 100, 200, 500, 1000];

/// How much a wait may differ from that, percent.
const JITTER: u64 = 20;

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
}

/// Makes the Hello of every attach of one session; the same nonce until it is welcomed. It has no
/// `Debug`: tokens are in it.
pub(crate) struct Greeting {
    first_url: Url,
    /// Where the session is now, or is to be resumed.
    url: Url,
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
            first_url: url.clone(),
            url,
            wanted,
            nonce,
            held: None,
            unanswered: false,
            resumable: false,
            grace_ms: GRACE_MS,
        }
    }

    /// Where the program connected.
    pub(crate) const fn first_url(&self) -> &Url {
        &self.first_url
    }

    /// What a round dials, one after the other (protocol/spec/session.md, "Where to resume").
    pub(crate) fn order(&self) -> Vec<Url> {
        let mut order = vec![self.url.clone()];
        order.extend((self.url != self.first_url).then(|| self.first_url.clone()));
        order
    }

    /// The session is to be had at `url`.
    pub(crate) fn found(&mut self, url: Url) {
        self.url = url;
    }

    /// Takes a refusal for good; true when the first URL may know better.
    pub(crate) fn refused(&mut self, url: &Url) -> bool {
        if *url == self.url {
            self.url = self.first_url.clone();
        }
        *url != self.first_url
    }

    /// True when who was asked at `url` has named another place.
    pub(crate) fn is_sent_on(&self, url: &Url) -> bool {
        *url != self.url
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

    /// Takes the answer: the next attach uses its token and another nonce.
    ///
    /// # Errors
    ///
    /// `SESSION_EXPIRED` when it is about another session.
    pub(crate) fn welcomed(&mut self, welcome: &Welcome, next: Nonce) -> Result<(), Error> {
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
        if let Some(url) = self.allowed(&welcome.resume_url) {
            self.url = url;
        }
        Ok(())
    }

    /// Takes a `GoAway`: the session goes on there; empty, or not allowed = at the first URL.
    pub(crate) fn follow(&mut self, url: &str) {
        self.url = self.allowed(url).unwrap_or_else(|| self.first_url.clone());
    }

    /// The URL, if a server may send us there: never out of TLS, nor to this machine.
    fn allowed(&self, url: &str) -> Option<Url> {
        let url = if url.is_empty() { None } else { Url::parse(url).ok() }?;
        let first = &self.first_url;
        let kept = url.encrypted || !first.encrypted;
        (kept && (first.is_loopback() || !url.is_loopback())).then_some(url)
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
    let busy = [ErrorCode::Capacity, ErrorCode::RateLimited];
    if error.action == RecoveryAction::Resume || wire.contains(&error.code) {
        return false;
    }
    !(attaching && (error.retryable || busy.contains(&error.code)))
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

    use super::{Greeting, Wanted, backoff_ms, is_final};
    use crate::core::url::Url;
    use crate::error::Error;

    fn greeting(url: &str) -> Greeting {
        let wanted = Wanted { token: "t".into(), resume: true, ..Wanted::default() };
        Greeting::new(Url::parse(url).unwrap(), wanted, [1; 16])
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
        let mut greeting = greeting("ws://host");
        let first = said(greeting.hello(0));
        assert_eq!((first.token.as_str(), first.session_id.as_str()), ("t", ""));
        assert_eq!(said(greeting.hello(0)), first);
        assert!(greeting.unanswered && greeting.first());
        greeting.welcomed(&welcome(1), [2; 16]).unwrap();
        assert!(greeting.resumable && !greeting.unanswered && !greeting.first());
        let again = said(greeting.hello(9));
        assert_eq!((again.token.as_str(), again.session_id.as_str()), ("", "s"));
        assert_eq!((again.resume_token, again.last_seq, again.epoch), (vec![7], 9, 1));
        assert_ne!(again.attach_nonce, first.attach_nonce);
        let other = Welcome { session_id: "x".into(), ..welcome(2) };
        assert_eq!(greeting.welcomed(&other, [3; 16]).unwrap_err().code, ErrorCode::SessionExpired);
    }

    #[test]
    fn an_encrypted_session_does_not_move_to_a_plain_address() {
        let mut encrypted = greeting("wss://host");
        encrypted.follow("ws://elsewhere");
        assert_eq!(hosts(&encrypted), ["host"]);
        encrypted.follow("wss://127.0.0.1");
        assert_eq!(hosts(&encrypted), ["host"], "nor to this machine");
        encrypted.follow("wss://elsewhere");
        assert_eq!(hosts(&encrypted), ["elsewhere", "host"]);
    }

    fn hosts(greeting: &Greeting) -> Vec<String> {
        greeting.order().into_iter().map(|url| url.host).collect()
    }

    #[test]
    fn the_first_url_stays_behind_the_one_where_the_session_goes_on() {
        let mut greeting = greeting("wss://host");
        let elsewhere = Url::parse("wss://elsewhere").unwrap();
        let said = Welcome { resume_url: "wss://elsewhere".into(), ..welcome(1) };
        greeting.welcomed(&said, [2; 16]).unwrap();
        assert_eq!(hosts(&greeting), ["elsewhere", "host"]);
        assert!(greeting.refused(&elsewhere), "the first URL may know better");
        assert_eq!(hosts(&greeting), ["host"]);
        let first = greeting.first_url().clone();
        assert!(!greeting.refused(&first));
        greeting.found(elsewhere);
        greeting.welcomed(&welcome(2), [3; 16]).unwrap();
        assert_eq!(hosts(&greeting), ["elsewhere", "host"], "where it was welcomed");
        greeting.follow("");
        assert_eq!(hosts(&greeting), ["host"], "a GoAway that names none");
    }

    #[test]
    fn who_is_sent_to_where_it_is_goes_on_to_the_first_url() {
        let mut greeting = greeting("wss://host");
        let elsewhere = Url::parse("wss://elsewhere").unwrap();
        greeting.follow("wss://elsewhere");
        assert!(!greeting.is_sent_on(&elsewhere), "it has named itself");
        greeting.follow("wss://third");
        assert!(greeting.is_sent_on(&elsewhere));
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
