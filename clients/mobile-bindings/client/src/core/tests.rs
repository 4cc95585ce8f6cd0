//! A session against a server without sockets, in virtual time: it is told to leave, put out, and
//! refused its day.

use std::sync::Arc;
use std::time::{Duration, Instant};

use voxwire_core::channel::{Channel, ChannelOptions};
use voxwire_core::wire::{
    BotState, Carrier, EndReason, Envelope, Error as WireError, ErrorCode, Feature, GoAway,
    PathReady, Payload, SessionEnded, Side, StateChanged, UserState, Welcome,
};

use super::{Attach, Core, Deadline, Greeting, PathsWanted, Remembered, Step, Url, Wanted};
use crate::error::Error;
use crate::event::{ConnectionChanged, ConnectionState, Event};

const FIRST: &str = "ws://first.test/v1/session";
const OTHER: &str = "ws://other.test/v1/session";

/// What is received is acknowledged after this long.
const ACK_MS: u64 = 250;

/// A session that is up at the first URL, its bot idle, and the server's end of its channel.
struct Talk {
    core: Core,
    server: Channel,
    now_us: u64,
}

impl Talk {
    fn new(keep: bool) -> Self {
        let wanted = Wanted { resume: keep, ..Wanted::default() };
        let greeting = Greeting::new(url(FIRST), wanted, [0; 16]);
        let deadline = Deadline::new(Duration::ZERO, Duration::ZERO);
        let paths = PathsWanted {
            carriers: vec![Carrier::Websocket],
            keep,
            remembered: Remembered::new(Arc::default(), FIRST.into()),
            zero: Instant::now(),
            seed: 0,
        };
        let server = Channel::new(ChannelOptions::new(Side::Client)).unwrap();
        let core = Core::new(greeting, deadline, paths, None);
        let mut talk = Self { core, server, now_us: 0 };
        talk.core.hello();
        talk.welcome(FIRST, 1).unwrap();
        talk.say(Payload::PathReady(PathReady { path_id: 1, ..PathReady::default() }));
        talk.bot_is(BotState::Idle);
        talk.events();
        talk
    }

    fn welcome(&mut self, at: &str, epoch: u32) -> Result<(), Error> {
        let welcome = Welcome {
            session_id: "s".into(),
            epoch,
            resumed: epoch > 1,
            features: vec![Feature::Resume.into()],
            last_seq: self.server.last_received(),
            ..Welcome::default()
        };
        let attach = Attach {
            url: url(at),
            welcome,
            attempt: 0,
            after_ms: 0,
            eager: epoch == 1,
            nonce: [epoch as u8; 16],
            jitter: 0.5,
        };
        self.core.attached(attach, self.now_us)
    }

    fn say(&mut self, payload: Payload) {
        let sent = self.server.send(&Envelope::of(payload), self.now_us / 1000).unwrap();
        for data in sent {
            self.core.receive(&data, self.now_us);
        }
    }

    fn bot_is(&mut self, bot: BotState) {
        let user = UserState::Silent.into();
        self.say(Payload::StateChanged(StateChanged {
            bot: bot.into(),
            user,
            ..StateChanged::default()
        }));
    }

    fn go_away(&mut self, time_left_ms: u32, resume_url: &str) {
        let resume_url = resume_url.to_owned();
        self.say(Payload::GoAway(GoAway { time_left_ms, resume_url, ..GoAway::default() }));
    }

    /// The server gets what was said to it, and acknowledges it.
    fn settle(&mut self) {
        let now_ms = self.now_us / 1000;
        while let Some(data) = self.core.link.outgoing(now_ms).map(<[u8]>::to_vec) {
            self.core.link.written();
            self.server.receive(&data, now_ms).unwrap();
        }
        if let Some(data) = self.server.outgoing(now_ms + ACK_MS) {
            self.core.receive(&data, self.now_us);
        }
    }

    fn look_at(&mut self, now_ms: u64) -> Step {
        self.now_us = now_ms * 1000;
        self.settle();
        self.core.look(false, self.now_us)
    }

    fn order(&self) -> Vec<String> {
        self.core.link.greeting.addresses.order().into_iter().map(|url| url.text).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(Ok(Some(event))) = self.core.take_event() {
            events.push(event);
        }
        events
    }
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn closed_with(code: ErrorCode) -> Error {
    Error::of_close(4000 + code as u16, "")
}

#[test]
fn a_client_moves_at_a_quiet_moment_and_comes_back_to_the_first_url_in_need() {
    let mut talk = Talk::new(true);
    talk.go_away(30_000, OTHER);
    assert_eq!(talk.order(), [OTHER, FIRST]);
    assert_eq!(talk.look_at(6749), Step::Stay);
    talk.bot_is(BotState::Speaking);
    assert_eq!(talk.look_at(6750), Step::Stay, "it speaks");
    talk.bot_is(BotState::Idle);
    assert_eq!(talk.look_at(6800), Step::Dial);
    talk.core.hello();
    assert!(!talk.core.link.second_done(true));
    talk.welcome(OTHER, 2).unwrap();
    let changes: Vec<ConnectionChanged> = talk
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::ConnectionChanged(changed) => Some(changed),
            _ => None,
        })
        .collect();
    let moved =
        ConnectionChanged { state: ConnectionState::Connected, attempt: 0, epoch: 2, after_ms: 0 };
    assert_eq!(changes, [moved]);
    assert_eq!(talk.order(), [OTHER, FIRST]);
    assert_eq!(talk.look_at(60_000), Step::Stay, "the Welcome is newer");
}

#[test]
fn without_a_url_nobody_moves() {
    let mut talk = Talk::new(true);
    talk.go_away(5000, OTHER);
    talk.go_away(5000, "");
    assert_eq!(talk.look_at(6000), Step::Stay);
    assert_eq!(talk.order(), [FIRST]);
    let mut lost = Talk::new(false);
    lost.go_away(0, OTHER);
    assert_eq!(lost.look_at(6000), Step::Stay, "it cannot be had back");
    let mut over = Talk::new(true);
    over.go_away(0, OTHER);
    over.core.finish(0);
    assert_eq!(over.look_at(6000), Step::Stay);
}

#[test]
fn who_is_put_out_comes_back_if_the_session_is_kept_and_any_other_close_counts() {
    let put_out = closed_with(ErrorCode::GoingAway);
    assert!(Talk::new(true).core.lose(put_out.clone(), 0).is_ok(), "it was told nothing");
    assert_eq!(Talk::new(false).core.lose(put_out.clone(), 0), Err(put_out));
    let mut told = Talk::new(true);
    told.go_away(20_000, OTHER);
    let expired = closed_with(ErrorCode::SessionExpired);
    assert_eq!(told.core.lose(expired.clone(), 0), Err(expired));
}

#[test]
fn a_socket_that_was_left_is_closed_before_the_welcome_and_the_other_one_is_waited_for() {
    let superseded = closed_with(ErrorCode::Superseded);
    let mut talk = Talk::new(true);
    talk.go_away(0, OTHER);
    assert_eq!(talk.look_at(100), Step::Dial);
    assert!(!talk.core.link.has_caused(&superseded), "its Hello is not out");
    talk.core.hello();
    assert!(talk.core.link.has_caused(&superseded));
    assert!(talk.core.link.second_done(false), "there is none left");
    assert!(talk.core.lose(superseded, talk.now_us).is_ok());
}

#[test]
fn a_day_that_is_used_up_ends_the_session_with_when_there_is_another() {
    let mut talk = Talk::new(true);
    let code = ErrorCode::Capacity;
    talk.say(Payload::Error(WireError {
        code: code.into(),
        reason: "this user has used up the day's turns".into(),
        fatal: true,
        retry_after_ms: 3_600_000,
        ..WireError::default()
    }));
    let reason = EndReason::Error.into();
    talk.say(Payload::SessionEnded(SessionEnded { reason, duration_ms: 1 }));
    assert!(talk.core.is_over());
    let gone = closed_with(code);
    assert_eq!(talk.core.lose(gone.clone(), 0), Err(gone), "it is not dialled again");
    talk.core.close();
    let mut told: Vec<_> = std::iter::from_fn(|| talk.core.take_event()).take(3).collect();
    let Some(Err(failure)) = told.pop() else { panic!("{told:?}") };
    assert_eq!((failure.code, failure.retry_after_ms), (code, 3_600_000));
    assert!(matches!(&told[..], [Ok(Some(Event::Error(_))), Ok(Some(Event::SessionEnded(_)))]));
}
