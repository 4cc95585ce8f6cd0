//! A conversation with a bot.

mod calls;
mod options;
mod running;

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use voxwire_client::{BLOCK_MS, SendText};

use crate::code::{ErrorCode, VoxwireError};
use crate::values::MAX_PULL;
use calls::Calls;
pub use options::{ClientTool, SessionOptions};
use running::{Live, Told, runtime};

/// Something that a session tells.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct SessionEvent {
    /// Its name, as in every client: `bot_word`. Beside those of a conversation there are `waiting`
    /// (`position`, `estimated_ms`) while the server has no place, and `tool_call` (`id`, `name`,
    /// `arguments`) and `tool_stopped` (`id`) for the tools of this program.
    pub name: String,
    /// Its fields, a JSON object.
    pub json: String,
    /// Of `waiting`: where the session is in the line.
    pub waiting: Option<Waiting>,
}

/// Where a session is in the line of a server that has no place for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Record)]
pub struct Waiting {
    /// How many come before and with it, from 1.
    pub position: u32,
    /// About how long it takes, milliseconds; 0 = not known.
    pub estimated_ms: u32,
}

/// What can be read of a session that is up.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct SessionInfo {
    /// Names the session on the server.
    pub session_id: String,
    /// Name of the bot.
    pub bot: String,
    /// Rate of what `pull` hands out, Hz.
    pub playout_rate: u32,
    /// Where the speaker is on the media clock, milliseconds.
    pub position_ms: u64,
}

/// What came while somebody waited for an event.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Next {
    Event(SessionEvent),
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    Ended,
}

/// What is read of a session, one event at a time.
struct Events {
    told: mpsc::Receiver<Told>,
    over: bool,
}

/// One conversation with a bot. Any thread may call it, several at once; `pull` and `push` wait for
/// nothing. It outlives its connection, which is dialled again. Freed, it ends without a word.
#[derive(uniffi::Object)]
pub struct Session {
    live: Arc<Live>,
    calls: Calls,
    events: Mutex<Events>,
    work: AbortHandle,
}

impl Debug for Session {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.work.abort();
    }
}

#[uniffi::export]
impl Session {
    /// Begins to connect to `url`, and returns at once. The first event beside `waiting` is
    /// `session_started`: it is up. A server that has no place is waited for as the options say,
    /// and one that is busy or leaves is asked again.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT`: the options cannot be used.
    #[uniffi::constructor]
    pub fn new(url: String, options: SessionOptions) -> Result<Self, VoxwireError> {
        let runtime = runtime()?;
        let (tell, told) = running::channel();
        let calls = Calls::default();
        let options = options.client(&calls, &tell)?;
        let live = Arc::new(Live::default());
        let work = running::start(runtime, url, options, &live, tell);
        Ok(Self { live, calls, events: Mutex::new(Events { told, over: false }), work })
    }

    /// Returns the next event when there is one; nothing once the session has ended. Read them all
    /// the time, also while nothing else is done. Nothing is lost when it is cancelled.
    ///
    /// # Errors
    ///
    /// The session is not to be had, or ended otherwise than in order: told once.
    pub async fn next_event(&self) -> Result<Option<SessionEvent>, VoxwireError> {
        let mut events = self.events.lock().await;
        if events.over {
            return Ok(None);
        }
        let told = events.told.recv().await;
        events.over = !matches!(told, Some(Told::Event(_)));
        match told {
            Some(Told::Event(event)) => Ok(Some(event)),
            Some(Told::Failed(error)) => Err(error),
            Some(Told::Ended) | None => Ok(None),
        }
    }

    /// What can be read of it; nothing before it is up.
    pub fn info(&self) -> Option<SessionInfo> {
        let session = self.live.session()?;
        Some(SessionInfo {
            session_id: session.id(),
            bot: session.bot(),
            playout_rate: session.playout_rate(),
            position_ms: session.position_ms(),
        })
    }

    /// Hands out the next block of the bot's audio, int16 little-endian mono at the rate of `info`;
    /// silence where there is none. Call it in real time, also while the bot is silent, mostly for
    /// 20 ms. `delay_us` is how long from now its first sample sounds, microseconds: words, states
    /// and reports go by it.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for more than 1440000 samples.
    pub fn pull(&self, num_samples: u64, delay_us: u64) -> Result<Vec<u8>, VoxwireError> {
        let samples = self.samples(num_samples, delay_us)?;
        Ok(samples.into_iter().flat_map(i16::to_le_bytes).collect())
    }

    /// Takes what the microphone gave, int16 little-endian mono at 16 kHz, in real time; nothing
    /// before the session is up.
    pub fn push(&self, pcm: &[u8]) {
        let pairs = pcm.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
        self.heard(&pairs.collect::<Vec<_>>());
    }

    /// Says something to the bot in writing.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` above 65 536 characters, `INVALID_STATE` when the session is not up.
    pub fn send_text(&self, text: String) -> Result<(), VoxwireError> {
        Ok(self.up()?.send_text(SendText::from(text))?)
    }

    /// Cuts the bot off, as if the user had spoken.
    ///
    /// # Errors
    ///
    /// `INVALID_STATE` when the session is not up.
    pub fn interrupt(&self) -> Result<(), VoxwireError> {
        Ok(self.up()?.interrupt()?)
    }

    /// Closes or opens the microphone; what it hears while closed is not sent.
    ///
    /// # Errors
    ///
    /// `INVALID_STATE` when the session is not up.
    pub fn mute(&self, muted: bool) -> Result<(), VoxwireError> {
        Ok(self.up()?.mute(muted)?)
    }

    /// Sends a message of the application to the bot; `data_json` is JSON of at most 60 KB.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT`: it is no JSON, or too large. `INVALID_STATE` when the session is not up.
    pub fn send_message(&self, kind: String, data_json: String) -> Result<(), VoxwireError> {
        let data = options::json(&data_json, "data")?;
        Ok(self.up()?.send_message(&kind, &data)?)
    }

    /// Gives the result of a tool that was called here, JSON. A call that is over is passed over.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT`: it is no JSON.
    pub fn finish_tool(&self, call_id: String, result_json: String) -> Result<(), VoxwireError> {
        self.calls.answer(&call_id, Ok(options::json(&result_json, "result")?));
        Ok(())
    }

    /// Says what went wrong with a tool that was called here, in words that the bot may speak.
    pub fn fail_tool(&self, call_id: String, reason: String) {
        self.calls.answer(&call_id, Err(reason));
    }

    /// Ends the session, or stops connecting. When it returns, after at most 6 s, what was told can
    /// still be read. It goes on when it is cancelled.
    pub async fn end(&self) {
        let live = Arc::clone(&self.live);
        let Some(runtime) = runtime().ok().filter(|_| live.session().is_some()) else {
            self.work.abort();
            return;
        };
        let ended = runtime.spawn(async move {
            if let Some(session) = live.session() {
                session.end().await;
            }
        });
        let _ = ended.await; // a session that cannot be ended in order is freed
    }

    /// Aborts the control channel's socket, as a broken network would; for tests.
    pub fn drop_control(&self) {
        if let Some(session) = self.live.session() {
            session.drop_control();
        }
    }
}

impl Session {
    /// As [`pull`](Self::pull), in samples.
    pub(crate) fn samples(&self, num: u64, delay_us: u64) -> Result<Vec<i16>, VoxwireError> {
        if num > MAX_PULL {
            return Err(VoxwireError::invalid("too many samples at once"));
        }
        let at = Instant::now().checked_add(Duration::from_micros(delay_us));
        let at = at.ok_or_else(|| VoxwireError::invalid("delay_us is beyond its range"))?;
        let session = self.live.session();
        let block = session.map(|session| session.pull(num as usize, at).samples);
        Ok(block.unwrap_or_else(|| vec![0; num as usize]))
    }

    /// As [`push`](Self::push), in samples.
    pub(crate) fn heard(&self, samples: &[i16]) {
        const BLOCK: usize = (voxwire_client::CAPTURE_RATE * BLOCK_MS / 1000) as usize;
        let Some(session) = self.live.session() else { return };
        for block in samples.chunks(BLOCK) {
            session.push(block);
        }
    }

    /// As [`next_event`](Self::next_event), for at most so long.
    pub(crate) fn wait_event(&self, within: Duration) -> Result<Next, VoxwireError> {
        runtime()?.block_on(async {
            match tokio::time::timeout(within, self.next_event()).await {
                Ok(event) => Ok(event?.map_or(Next::Ended, Next::Event)),
                Err(_) => Ok(Next::Nothing),
            }
        })
    }

    /// As [`end`](Self::end), for who can wait.
    pub(crate) fn wait_end(&self) -> Result<(), VoxwireError> {
        runtime()?.block_on(self.end());
        Ok(())
    }

    fn up(&self) -> Result<&voxwire_client::Session, VoxwireError> {
        let reason = "the session is not up".to_owned();
        let code = ErrorCode::InvalidState;
        self.live.session().ok_or(VoxwireError::Refused { code, reason, seq: 0 })
    }
}

impl From<voxwire_client::Error> for VoxwireError {
    fn from(error: voxwire_client::Error) -> Self {
        Self::Refused { code: ErrorCode::of(error.code), reason: error.reason, seq: 0 }
    }
}

/// An event of this side.
fn event(name: &str, fields: &Value) -> SessionEvent {
    SessionEvent { name: name.to_owned(), json: fields.to_string(), waiting: None }
}

#[cfg(test)]
mod tests;
