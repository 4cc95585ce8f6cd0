//! A session: one conversation with a bot, as a program sees it.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use voxwire_core::playout::Block;
use voxwire_core::wire::{AppMessage, Bye, ErrorCode, Interrupt, Payload};
use voxwire_media::PeerStats;

use crate::PLAYOUT_RATE;
use crate::answerer::Handlers;
use crate::error::Error;
use crate::event::{ConnectionState, Event};
use crate::handler::Handler;
use crate::net::random;
use crate::shared::Shared;

/// A server takes no longer text at once, characters (protocol/spec/limits.md).
const MAX_TEXT_CHARS: usize = 65_536;

/// The same for the JSON of a message, bytes.
const MAX_DATA_BYTES: usize = 60 * 1024;

const MAX_NAME_CHARS: usize = 500;

/// How long the server may take to answer Bye.
const BYE: Duration = Duration::from_secs(1);

/// How long the end of a session may take.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// What the user typed, and what is to be done with it.
#[derive(Clone, Debug)]
pub struct SendText {
    /// What the user typed.
    pub text: String,
    /// False = added to the conversation without asking for an answer.
    pub run_immediately: bool,
    /// False = answered in text only.
    pub audio_response: bool,
}

impl<T: Into<String>> From<T> for SendText {
    fn from(text: T) -> Self {
        Self { text: text.into(), run_immediately: true, audio_response: true }
    }
}

/// One conversation, made by [`connect`](crate::connect).
///
/// It outlives its connection: while that is dialled again, what is sent waits and goes out once,
/// in order; a verb fails with `CAPACITY` when too much waits already. Verbs, [`pull`](Self::pull)
/// and [`push`](Self::push) may be called from any thread, one of sound included: none of them
/// waits. Dropped, it ends without a word; [`close`](Self::close) says goodbye.
pub struct Session {
    shared: Arc<Shared>,
    handlers: Handlers,
    owner: JoinHandle<()>,
}

impl Session {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        handlers: Handlers,
        owner: JoinHandle<()>,
    ) -> Self {
        Self { shared, handlers, owner }
    }

    /// Names the session on the server.
    #[must_use]
    pub fn id(&self) -> String {
        self.shared.lock().welcome().session_id.clone()
    }

    /// Name of the bot.
    #[must_use]
    pub fn bot(&self) -> String {
        self.shared.lock().welcome().bot.clone()
    }

    /// Whether the control channel is there.
    #[must_use]
    pub fn connection(&self) -> ConnectionState {
        self.shared.lock().connection()
    }

    /// Rate of what [`pull`](Self::pull) hands out, Hz; the same for the whole session.
    #[must_use]
    pub fn playout_rate(&self) -> u32 {
        self.shared.lock().playout_rate().unwrap_or(PLAYOUT_RATE)
    }

    /// Where the speaker is on the media clock, milliseconds.
    #[must_use]
    pub fn position_ms(&self) -> u64 {
        let now_us = self.shared.now_us();
        self.shared.lock().position_ms(now_us)
    }

    /// Audio made up so far to hide that the bot's audio was late, milliseconds.
    #[must_use]
    pub fn concealed_ms(&self) -> u64 {
        self.shared.lock().concealed_ms()
    }

    /// Shortest recent round trip to the server, microseconds; `None` = not measured yet.
    #[must_use]
    pub fn round_trip_us(&self) -> Option<u64> {
        self.shared.lock().link.clock.rtt_us()
    }

    /// What came of the bot's audio over WebRTC, and what had to be made up; `None` over the
    /// WebSocket, which loses nothing.
    #[must_use]
    pub fn media_stats(&self) -> Option<PeerStats> {
        self.shared.lock().media_stats()
    }

    /// Hands out the next block of the bot's audio, int16 mono at
    /// [`playout_rate`](Self::playout_rate); silence where there is none.
    ///
    /// `at` is when its first sample sounds: now, and what the device adds. It is what words, states
    /// and reports go by, so that a speaker that is not fed stands still on the media clock. Feed it
    /// in real time, also while the bot is silent.
    #[must_use]
    pub fn pull(&self, num_samples: usize, at: Instant) -> Block {
        let at_us = self.shared.us_of(at);
        self.shared.with(|core, now_us| core.pull(num_samples, at_us, now_us))
    }

    /// Takes what the microphone gave, int16 mono at [`CAPTURE_RATE`](crate::CAPTURE_RATE), in real
    /// time; 20 ms at a time is what goes best on the wire. The last 3 s are kept, so that a
    /// connection that is lost and comes back loses nothing of them.
    pub fn push(&self, samples: &[i16]) {
        self.shared.with(|core, now_us| core.push(samples, now_us));
    }

    /// Returns the next event; `None` = the session ended in order. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The session ended otherwise; told once.
    pub async fn next_event(&self) -> Result<Option<Event>, Error> {
        let mut taken = None;
        self.shared
            .until(|core| {
                taken = core.take_event();
                taken.is_some()
            })
            .await;
        taken.unwrap_or(Ok(None))
    }

    /// Says something to the bot in writing: a text, or [`SendText`].
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` above 65 536 characters.
    pub fn send_text(&self, text: impl Into<SendText>) -> Result<(), Error> {
        let SendText { text, run_immediately, audio_response } = text.into();
        checked(&text, "text", MAX_TEXT_CHARS)?;
        self.send(Payload::SendText(voxwire_core::wire::SendText {
            text,
            run_immediately: Some(run_immediately),
            audio_response: Some(audio_response),
        }))
    }

    /// Cuts the bot off, as if the user had spoken.
    ///
    /// # Errors
    ///
    /// The session has ended.
    pub fn interrupt(&self) -> Result<(), Error> {
        self.send(Payload::Interrupt(Interrupt {}))
    }

    /// Closes or opens the microphone; what it hears while closed is not sent.
    ///
    /// # Errors
    ///
    /// The session has ended.
    pub fn mute(&self, muted: bool) -> Result<(), Error> {
        self.shared.with(|core, now_us| core.mute(muted, now_us))
    }

    /// Sends a message of the application to the bot, JSON of at most 60 KB.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT`: it is too large.
    pub fn send_message(&self, kind: &str, data: &Value) -> Result<(), Error> {
        self.send(message(kind, data, String::new(), false)?)
    }

    /// Answers the bot's requests of that name from now on with what the function gives, as
    /// [`Handler`] says; another one for the same name takes its place. Requests that no function
    /// answers are events.
    pub fn handle<F, R>(&self, method: impl Into<String>, answer: F)
    where
        F: Fn(Value) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, Error>> + Send + 'static,
    {
        self.handlers.add(Handler::new(method, answer), &self.shared);
    }

    /// Answers a request of the bot's program that came as an event.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT`: it is too large.
    pub fn answer(&self, request: &AppMessage, data: &Value) -> Result<(), Error> {
        self.send(message(&request.r#type, data, request.request_id.clone(), true)?)
    }

    /// Asks the bot's program for something. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The bot's error, or `TIMEOUT` when it does not answer `within`.
    pub async fn call(&self, method: &str, data: &Value, within: Duration) -> Result<Value, Error> {
        let request_id = format!("{:032x}", u128::from_be_bytes(random()));
        let message = message(method, data, request_id.clone(), false)?;
        let answer = self.shared.with(|core, now_us| {
            core.send(message, now_us).map(|()| core.requests.open(request_id.clone()))
        })?;
        let answered = timeout(within, answer).await;
        self.shared.lock().requests.forget(&request_id);
        let late = || {
            let reason = format!("{method} was not answered");
            Error::new(ErrorCode::Timeout, reason).retryable()
        };
        let ended = || Error::new(ErrorCode::InvalidState, "the session has ended");
        let json = answered.map_err(|_| late())?.map_err(|_| ended())??;
        Ok(serde_json::from_str(&json).unwrap_or(Value::Null))
    }

    /// Ends the session. When it returns, after at most 6 s, nothing of it is left.
    pub async fn close(self) {
        self.end().await;
    }

    /// The same, so that what is queued can still be read.
    pub async fn end(&self) {
        self.shared.with(|core, now_us| {
            core.leave();
            let _ = core.send(Payload::Bye(Bye::default()), now_us); // it has ended
        });
        let over = self.shared.until(|core| core.is_over());
        let _ = timeout(BYE, over).await; // a server that does not answer is not waited for
        self.shared.with(crate::core::Core::finish);
        let _ = timeout(SHUTDOWN, self.shared.until(|core| core.is_closed())).await;
    }

    /// Aborts the control channel's socket, as a broken network would; for tests.
    pub fn drop_control(&self) {
        self.shared.dropped.notify_waiters();
    }

    /// Lets the connection of the media path fall silent without telling anybody, as a broken
    /// network would; over the WebSocket its socket is aborted. For tests.
    pub fn drop_media(&self) {
        if !self.shared.with(|core, _| core.paths.drop_silently()) {
            self.drop_control();
        }
    }

    fn send(&self, payload: Payload) -> Result<(), Error> {
        self.shared.with(|core, now_us| core.send(payload, now_us))
    }
}

impl Debug for Session {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.owner.abort();
    }
}

fn checked(text: &str, name: &str, max_chars: usize) -> Result<(), Error> {
    let chars = text.chars().count();
    if chars > max_chars {
        let reason = format!("{name} has {chars} characters: at most {max_chars} are sent");
        return Err(Error::invalid(reason));
    }
    Ok(())
}

/// A message of the application.
///
/// # Errors
///
/// `INVALID_ARGUMENT`: it is too large.
pub(crate) fn message(
    kind: &str,
    data: &Value,
    request_id: String,
    response: bool,
) -> Result<Payload, Error> {
    checked(kind, "the kind of a message", MAX_NAME_CHARS)?;
    let data_json = data.to_string();
    if data_json.len() > MAX_DATA_BYTES {
        let reason = format!("data is above {MAX_DATA_BYTES} bytes as JSON");
        return Err(Error::invalid(reason));
    }
    let kind = kind.to_owned();
    Ok(Payload::AppMessage(AppMessage { r#type: kind, data_json, request_id, response }))
}
