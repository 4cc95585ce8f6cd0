//! `connect`: from a URL to a session that is ready.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::time::{timeout, timeout_at};
use voxwire_core::wire::Carrier;

use crate::answerer::{Answerer, Handlers};
use crate::core::{CarrierMemory, Core, Deadline, Greeting, PathsWanted, Remembered, Url, Wanted};
use crate::error::Error;
use crate::net::control::Control;
use crate::net::dialler::Dialler;
use crate::net::media::MediaSockets;
use crate::net::random;
use crate::net::socket::Socket;
use crate::options::{Options, Transport};
use crate::session::Session;
use crate::shared::Shared;
use crate::tool_runner::ToolRunner;

/// How long what is queued may take to be written at the end, and the closing handshake.
const FLUSH: Duration = Duration::from_secs(1);
const CLOSE: Duration = Duration::from_millis(500);

/// How often it is looked whether everything was played, once a session has ended.
const DRAIN: Duration = Duration::from_millis(20);

/// A server takes no larger Hello, bytes (protocol/spec/limits.md); and what of it is left for
/// token, bot, metadata and tools.
const MAX_HELLO_BYTES: usize = 16_384 - 512;

const MAX_METADATA_BYTES: usize = 8192;

/// Which servers WebRTC did not come about to, for all sessions of this program.
static MEMORY: LazyLock<Arc<CarrierMemory>> = LazyLock::new(Arc::default);

/// Connects to a bot and waits until the session is ready. Cancel-safe: nothing is left behind.
///
/// `url` is `ws://host:port`, `https://host`, or with the path that the server is mounted at.
///
/// # Errors
///
/// An argument cannot be used, or the session cannot be had within
/// [`connect_timeout`](Options::connect_timeout), which stands still while the server has it wait
/// for a place.
pub async fn connect(url: &str, options: Options) -> Result<Session, Error> {
    let url = Url::parse(url)?;
    let zero = std::time::Instant::now();
    let paths = PathsWanted {
        carriers: carriers(options.transport),
        keep: options.resume,
        remembered: Remembered::new(Arc::clone(&MEMORY), url.server()),
        zero,
        seed: u32::from_le_bytes(random()),
    };
    let greeting = Greeting::new(url, wanted(&options)?, random());
    let deadline = Deadline::new(options.connect_timeout, options.waiting_timeout);
    let core = Core::new(greeting, deadline, paths, options.tap);
    let shared = Arc::new(Shared::new(core, zero));
    let Options { roots, proxy, on_waiting, .. } = options;
    let dialler = Dialler::new(Arc::clone(&shared), roots, proxy, on_waiting);
    let tools = ToolRunner::new(Arc::clone(&shared), options.tools);
    let handlers = Handlers::default();
    for handler in options.handlers {
        handlers.add(handler, &shared);
    }
    let answerer = Answerer::new(Arc::clone(&shared), handlers.clone());
    let control = Control::new(Arc::clone(&shared), dialler, tools, answerer);
    let socket = control.dial().await?;
    let owner = tokio::spawn(own(control, socket, Arc::clone(&shared)));
    let session = Session::new(Arc::clone(&shared), handlers, owner); // dropped, it ends
    if !is_decided(&shared).await {
        return Err(shared.with(|core, now_us| core.timed_out(options.connect_timeout, now_us)));
    }
    match shared.lock().failure() {
        Some(failure) => Err(failure.clone()),
        None => Ok(session),
    }
}

/// Waits until a session is up or over; false = that takes too long.
async fn is_decided(shared: &Shared) -> bool {
    loop {
        let due_us = shared.lock().deadline.due_us();
        let mut decided = false;
        let changed = shared.until(|core| {
            decided = core.is_ready() || core.is_closed();
            decided || core.deadline.due_us() != due_us
        });
        if timeout_at(shared.at_us(due_us).into(), changed).await.is_err() {
            return false;
        }
        if decided {
            return true;
        }
    }
}

/// Runs a session until it is over, and tells the end.
async fn own(control: Control, socket: Socket, shared: Arc<Shared>) {
    let media = MediaSockets::new(Arc::clone(&shared));
    tokio::select! {
        error = control.run(socket) => shared.with(|core, now_us| core.fail(error, now_us)),
        () = ended(&shared) => {}
        () = media.run() => {}
    }
    shared.with(|core, _| core.close());
}

/// Waits for the end of a session: what was received is played out, what is queued is written.
async fn ended(shared: &Shared) {
    shared.until(|core| core.is_over()).await;
    while !shared.lock().is_drained(shared.now_us()) {
        tokio::time::sleep(DRAIN).await;
    }
    // A server that reads no more is not waited for.
    let _ = timeout(FLUSH, shared.until(|core| core.link.is_flushed())).await;
    shared.with(|core, _| core.hang_up());
    let _ = timeout(CLOSE, shared.until(|core| core.is_hung_up())).await;
}

/// What may carry the audio, best first.
fn carriers(transport: Transport) -> Vec<Carrier> {
    match transport {
        Transport::Auto => vec![Carrier::Webrtc, Carrier::Websocket],
        Transport::WebRtc => vec![Carrier::Webrtc],
        Transport::WebSocket => vec![Carrier::Websocket],
    }
}

/// What the session is asked for with.
fn wanted(options: &Options) -> Result<Wanted, Error> {
    if !options.token.chars().all(|char| char.is_ascii_graphic()) {
        let reason = "token must be printable ASCII without spaces, as the server gave it";
        return Err(Error::invalid(reason));
    }
    let metadata_json = match &options.metadata {
        None => String::new(),
        Some(value) if value.is_object() => value.to_string(),
        Some(_) => return Err(Error::invalid("metadata must be a JSON object")),
    };
    if metadata_json.len() > MAX_METADATA_BYTES {
        let reason = format!("metadata is above {MAX_METADATA_BYTES} bytes as JSON");
        return Err(Error::invalid(reason));
    }
    let tools: Result<Vec<_>, Error> =
        options.tools.iter().map(crate::tool::Tool::declaration).collect();
    let tools = tools?;
    for (at, tool) in tools.iter().enumerate() {
        if tools[..at].iter().any(|other| other.name == tool.name) {
            return Err(Error::invalid(format!("two tools are called {}", tool.name)));
        }
    }
    let declared: usize = tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + tool.parameters_json.len() + 32)
        .sum();
    let bytes = options.token.len() + options.bot.len() + metadata_json.len() + declared;
    if bytes > MAX_HELLO_BYTES {
        let reason = format!("what is sent to connect is above {MAX_HELLO_BYTES} bytes: {bytes}");
        return Err(Error::invalid(reason));
    }
    Ok(Wanted {
        token: options.token.clone(),
        bot: options.bot.clone(),
        metadata_json,
        tools,
        webrtc: options.transport != Transport::WebSocket,
        resume: options.resume,
        waits: !options.waiting_timeout.is_zero(),
        resume_ms: options
            .resume_timeout
            .map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX).max(1)),
    })
}
