//! A conversation with a bot.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::memory::{Bytes, Kept, Text, array, beside, fill, free, give, given, put};
use crate::code::{ErrorCode, VoxwireError};
use crate::kinds::{OnInterruption, Transport};
use crate::objects::{self, Next};

/// One conversation with a bot. **Several threads may call it at once**: one that waits for events,
/// one of sound, others. What `voxwire_session_next` hands out lasts until it is called again.
#[derive(Debug)]
pub struct Session {
    inner: objects::Session,
    /// The event that was handed out last.
    told: Mutex<Kept>,
}

/// A function of this program that the bot may call: a call is an event.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ClientTool {
    /// At most 64 letters, digits, `_` and `-`.
    pub name: Text,
    /// What it does, for the language model; at most 2000 characters.
    pub description: Text,
    /// JSON Schema of its arguments, an object; without a text any object.
    pub parameters_json: Text,
    /// Longest run, milliseconds; 0 = the server's default (10 s).
    pub timeout_ms: u64,
    /// What an interruption of the bot does to a call, a `VoxwireOnInterruption`.
    pub on_interruption: i32,
}

/// What the caller wants of a session; see `voxwire_session_defaults`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// Connect token; empty where the server asks for none.
    pub token: Text,
    /// Name of the bot; empty = the only one of the server.
    pub bot: Text,
    /// Application data for the bot, a JSON object; empty = none.
    pub metadata_json: Text,
    /// What carries the audio, a `VoxwireTransport`.
    pub transport: i32,
    /// What the bot may have called here.
    pub tools: *const ClientTool,
    /// How many tools there are.
    pub num_tools: usize,
    /// Longest wait until the session is up, tries of a busy server included, milliseconds.
    pub connect_timeout_ms: u64,
    /// How long it waits for a place where the server has none and lets clients wait, in all and
    /// beyond `connect_timeout_ms`, milliseconds; 0 = it does not, and is refused at once.
    pub waiting_timeout_ms: u64,
    /// True = a lost connection is dialled again and the session goes on.
    pub resume: bool,
    /// Longest time to try, milliseconds; `UINT64_MAX` = as long as the server keeps a session.
    pub resume_timeout_ms: u64,
    /// Certificates in PEM that the server's is checked against; no bytes = the system's.
    pub roots_pem: Bytes,
    /// The HTTP proxy: a URL, empty = none; without a text the one that the environment names.
    pub proxy: Text,
}

/// What a session tells. Without a name there was nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SessionEvent {
    /// Its name, as in every client: `bot_word`. Beside those of a conversation there are `waiting`
    /// (`position`, `estimated_ms`) while the server has no place, and `tool_call` (`id`, `name`,
    /// `arguments`) and `tool_stopped` (`id`) for the tools of this program.
    pub name: Text,
    /// Its fields, a JSON object.
    pub json: Text,
    /// Of `waiting`: how many come before and with this session, from 1; else 0.
    pub position: u32,
    /// Of `waiting`: about how long it takes, milliseconds; 0 = not known.
    pub estimated_ms: u32,
    /// The session is over: there will be no more.
    pub ended: bool,
}

const NOTHING: SessionEvent =
    SessionEvent { name: Text::NONE, json: Text::NONE, position: 0, estimated_ms: 0, ended: false };

/// What can be read of a session without waiting.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SessionInfo {
    /// It is, or was, up; else there is nothing else to be read.
    pub up: bool,
    /// Rate of what `voxwire_session_pull` hands out, Hz.
    pub playout_rate: u32,
    /// Where the speaker is on the media clock, milliseconds.
    pub position_ms: u64,
}

/// Options that ask for nothing special: waits 10 s to be up, and 120 s for a place.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_defaults() -> SessionOptions {
    let options = objects::SessionOptions::default();
    SessionOptions {
        token: Text::NONE,
        bot: Text::NONE,
        metadata_json: Text::NONE,
        transport: Transport::Auto as i32,
        tools: std::ptr::null(),
        num_tools: 0,
        connect_timeout_ms: options.connect_timeout_ms,
        waiting_timeout_ms: options.waiting_timeout_ms,
        resume: options.resume,
        resume_timeout_ms: u64::MAX,
        roots_pem: Bytes::NONE,
        proxy: Text::NONE,
    }
}

/// Begins to connect to `url`, and returns at once. The first event beside `waiting` is
/// `session_started`: it is up. A server that has no place is waited for as the options say, and
/// one that is busy or leaves is asked again. Options that are null are the defaults.
/// `INVALID_ARGUMENT`: the options cannot be used.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_new(
    url: Text,
    options: *const SessionOptions,
    out: *mut *mut Session,
) -> ErrorCode {
    give(out, || {
        let options = if options.is_null() { voxwire_session_defaults() } else { given(options)? };
        let inner = objects::Session::new(url.owned()?, wanted(&options)?)?;
        Ok(Session { inner, told: Mutex::default() })
    })
}

/// Frees a session, and what it handed out; no other thread may be in a call on it. One that was
/// not closed ends without a word.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_free(session: *mut Session) {
    free(session);
}

/// Waits for the next event for at most so long, milliseconds. One thread does it, all the time,
/// also while nothing else is done. A session that is not to be had, or ended otherwise than in
/// order, is that error, told once; then it has `ended`.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_next(
    session: *const Session,
    timeout_ms: u64,
    out: *mut SessionEvent,
) -> ErrorCode {
    put(out, NOTHING);
    beside(session, |session| {
        let next = session.inner.wait_event(Duration::from_millis(timeout_ms))?;
        let mut told = session.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told = Kept::default();
        let event = match next {
            Next::Event(event) => SessionEvent {
                position: event.waiting.as_ref().map_or(0, |place| place.position),
                estimated_ms: event.waiting.as_ref().map_or(0, |place| place.estimated_ms),
                name: told.text(event.name),
                json: told.text(event.json),
                ended: false,
            },
            Next::Nothing => NOTHING,
            Next::Ended => SessionEvent { ended: true, ..NOTHING },
        };
        put(out, event);
        Ok(())
    })
}

/// Gives what can be read of it.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_info(
    session: *const Session,
    out: *mut SessionInfo,
) -> ErrorCode {
    beside(session, |session| {
        let info = session.inner.info();
        let read = info.as_ref();
        put(
            out,
            SessionInfo {
                up: info.is_some(),
                playout_rate: read.map_or(0, |info| info.playout_rate),
                position_ms: read.map_or(0, |info| info.position_ms),
            },
        );
        Ok(())
    })
}

/// Writes the next `num_samples` of the bot's audio to `samples`, int16 mono of the machine's byte
/// order at the rate of `voxwire_session_info`; silence where there is none. Call it in real time,
/// also while the bot is silent, mostly for 20 ms; it waits for nothing. `delay_us` is how long from
/// now the first sample sounds, microseconds: words, states and reports go by it.
/// `INVALID_ARGUMENT` for more than 1440000 samples.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_pull(
    session: *const Session,
    samples: *mut i16,
    num_samples: u64,
    delay_us: u64,
) -> ErrorCode {
    beside(session, |session| {
        let block = session.inner.samples(num_samples, delay_us)?;
        fill(samples, &block);
        Ok(())
    })
}

/// Takes what the microphone gave, int16 mono of the machine's byte order at 16 kHz, in real time;
/// nothing before the session is up. It waits for nothing.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_push(
    session: *const Session,
    samples: *const i16,
    num_samples: usize,
) -> ErrorCode {
    beside(session, |session| {
        session.inner.heard(array(samples, num_samples));
        Ok(())
    })
}

/// Says something to the bot in writing. `INVALID_ARGUMENT` above 65 536 characters,
/// `INVALID_STATE` when the session is not up.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_send_text(session: *const Session, text: Text) -> ErrorCode {
    beside(session, |session| session.inner.send_text(text.owned()?))
}

/// Cuts the bot off, as if the user had spoken. `INVALID_STATE` when the session is not up.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_interrupt(session: *const Session) -> ErrorCode {
    beside(session, |session| session.inner.interrupt())
}

/// Closes or opens the microphone; what it hears while closed is not sent. `INVALID_STATE` when the
/// session is not up.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_mute(session: *const Session, muted: bool) -> ErrorCode {
    beside(session, |session| session.inner.mute(muted))
}

/// Sends a message of the application to the bot; `data_json` is JSON of at most 60 KB.
/// `INVALID_ARGUMENT`: it is no JSON, or too large. `INVALID_STATE` when the session is not up.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_send_message(
    session: *const Session,
    kind: Text,
    data_json: Text,
) -> ErrorCode {
    beside(session, |session| session.inner.send_message(kind.owned()?, data_json.owned()?))
}

/// Gives the result of a tool that was called here, JSON. A call that is over is passed over.
/// `INVALID_ARGUMENT`: it is no JSON.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_finish_tool(
    session: *const Session,
    call_id: Text,
    result_json: Text,
) -> ErrorCode {
    beside(session, |session| session.inner.finish_tool(call_id.owned()?, result_json.owned()?))
}

/// Says what went wrong with a tool that was called here, in words that the bot may speak.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_fail_tool(
    session: *const Session,
    call_id: Text,
    reason: Text,
) -> ErrorCode {
    beside(session, |session| {
        session.inner.fail_tool(call_id.owned()?, reason.owned()?);
        Ok(())
    })
}

/// Ends the session, or stops connecting; takes at most 6 s. What was told can still be read.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_close(session: *const Session) -> ErrorCode {
    beside(session, |session| session.inner.wait_end())
}

/// Aborts the control channel's socket, as a broken network would; for tests.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_session_drop_control(session: *const Session) -> ErrorCode {
    beside(session, |session| {
        session.inner.drop_control();
        Ok(())
    })
}

fn wanted(options: &SessionOptions) -> Result<objects::SessionOptions, VoxwireError> {
    let no_transport = || VoxwireError::invalid("there is no such transport");
    let tools: Result<Vec<_>, _> =
        array(options.tools, options.num_tools).iter().map(tool).collect();
    let optional = |text: Text| (!text.data.is_null()).then(|| text.owned()).transpose();
    Ok(objects::SessionOptions {
        token: options.token.owned()?,
        bot: options.bot.owned()?,
        metadata_json: options.metadata_json.owned()?,
        transport: Some(Transport::numbered(options.transport).ok_or_else(no_transport)?),
        tools: tools?,
        connect_timeout_ms: options.connect_timeout_ms,
        waiting_timeout_ms: options.waiting_timeout_ms,
        resume: options.resume,
        resume_timeout_ms: (options.resume_timeout_ms != u64::MAX)
            .then_some(options.resume_timeout_ms),
        roots_pem: (options.roots_pem.len > 0).then(|| options.roots_pem.read().to_vec()),
        proxy: optional(options.proxy)?,
    })
}

fn tool(tool: &ClientTool) -> Result<objects::ClientTool, VoxwireError> {
    let no_policy = || VoxwireError::invalid("an interruption does no such thing to a call");
    Ok(objects::ClientTool {
        name: tool.name.owned()?,
        description: tool.description.owned()?,
        parameters_json: tool.parameters_json.owned()?,
        timeout_ms: (tool.timeout_ms > 0).then_some(tool.timeout_ms),
        on_interruption: Some(
            OnInterruption::numbered(tool.on_interruption).ok_or_else(no_policy)?,
        ),
    })
}
