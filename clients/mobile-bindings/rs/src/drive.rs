//! `voxwire-rs drive`: a session that another program directs, one JSON object a line: verbs on
//! stdin, events and sound on stdout. For tests that direct the clients of every language.
//!
//! | stdin | |
//! |---|---|
//! | `send_text {text}`, `interrupt`, `mute {muted}`, `send_message {type, data}` | the verb |
//! | `call {method, data}` | answered by `answered {method, data}`, or `error` in its place |
//! | `handle {method}` | answered by `handled`; the bot's requests of that name are `asked {id, data}` |
//! | `answer {id, result}`, or `error`, the name of a code | answers one of them |
//! | `tool_result {id, result}`, or `error`; `tool_progress {id, note}` | a call of `--tool` |
//! | `clock {echo}` | answered by `clock {echo, t_s}`: the clock of `block` |
//! | `drop_control`, `drop_media` | the socket breaks, the connection of the audio does |
//! | `close`, end of file | the session ends |
//!
//! Beside the events stdout has `waiting {position, estimated_ms}` while the server has no place, `ready
//! {session_id, sample_rate}`, `block {at_s, position, spans, samples}` for every block that was played
//! (no samples: silence), `tool_call {id, name, arguments}` and `tool_stopped {id}`, and
//! `received {data}` for every reliable message of the server: the envelope without its numbers, in
//! hex.

mod asked;
mod stdout;
mod tools;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use asked::Questions;
use prost::Message as _;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tools::{Calls, text};
use voxwire_client::wire::{Envelope, ErrorCode, PayloadKind};
use voxwire_client::{Block, Error, OnWaiting, Session, SpanKind, Tap};

use crate::arguments::Talk;
use crate::record::EventLog;
use crate::{Stopped, connected, held, sound};

/// Longest session.
const TIMEOUT: Duration = Duration::from_secs(600);

/// How long an answer of the bot's program is waited for.
const ANSWER: Duration = Duration::from_secs(10);

/// Runs the command.
///
/// # Errors
///
/// The session cannot be had, or fails.
pub(crate) async fn run(talk: Talk) -> Result<(), Stopped> {
    let (lines, stdout) = stdout::open();
    let result = drive(talk, Arc::new(Mutex::new(EventLog::onto(lines)))).await;
    stdout.finish();
    result
}

async fn drive(talk: Talk, log: Log) -> Result<(), Stopped> {
    let zero = Instant::now();
    let told = Arc::clone(&log);
    let tap = Tap::new(move |envelope| {
        if envelope.kind().is_some_and(PayloadKind::is_reliable) {
            say(&told, "received", json!({"data": hex(envelope)}));
        }
    });
    let calls = Calls::default();
    let tools = talk.tools.iter().map(|name| calls.tool(name, &log)).collect();
    let told = Arc::clone(&log);
    let on_waiting = OnWaiting::new(move |place| {
        let place = json!({"position": place.position, "estimated_ms": place.estimated_ms});
        say(&told, "waiting", place);
    });
    let session = connected(&talk, Some(tap), tools, on_waiting).await?;
    let ready = json!({"session_id": session.id(), "sample_rate": session.playout_rate()});
    say(&log, "ready", ready);
    let work = async {
        let playing = sound::run(&session, None, |block, at| {
            say(&log, "block", block_json(block, at.duration_since(zero)));
        });
        let directed = async {
            direct(&session, &log, &calls, zero).await?;
            session.end().await;
            std::future::pending::<Result<(), Error>>().await
        };
        let events = async {
            while let Some(event) = session.next_event().await? {
                lock(&log).event(&event);
            }
            Ok(())
        };
        tokio::select! {
            result = events => result,
            result = directed => result,
            () = playing => Ok(()),
        }
    };
    held(&session, zero, TIMEOUT, work).await
}

type Log = Arc<Mutex<EventLog>>;

fn lock(log: &Log) -> std::sync::MutexGuard<'_, EventLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn say(log: &Log, kind: &str, fields: Value) {
    let mut log = lock(log);
    let now_ms = log.now_ms();
    if let Value::Object(fields) = fields {
        log.write(now_ms, kind, fields);
    }
}

/// Does what stdin says, until it ends or says so.
async fn direct(session: &Session, log: &Log, calls: &Calls, zero: Instant) -> Result<(), Error> {
    let questions = Questions::default();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let asked: Map<String, Value> = serde_json::from_str(&line)
            .map_err(|error| Error::new(ErrorCode::InvalidArgument, error.to_string()))?;
        let data = asked.get("data").unwrap_or(&Value::Null);
        match text(&asked, "op") {
            "send_text" => session.send_text(text(&asked, "text"))?,
            "interrupt" => session.interrupt()?,
            "mute" => session.mute(asked.get("muted") == Some(&Value::Bool(true)))?,
            "send_message" => session.send_message(text(&asked, "type"), data)?,
            "call" => {
                let method = text(&asked, "method");
                let answered = match session.call(method, data, ANSWER).await {
                    Ok(data) => json!({"method": method, "data": data}),
                    Err(error) => json!({"method": method, "error": error.name()}),
                };
                say(log, "answered", answered);
            }
            "handle" => questions.ask_for(session, text(&asked, "method"), log),
            "answer" => questions.answer(&asked),
            "tool_result" => calls.answer(&asked),
            "tool_progress" => calls.progress(&asked),
            "drop_control" => session.drop_control(),
            "drop_media" => session.drop_media(),
            "clock" => {
                let t_s = zero.elapsed().as_secs_f64();
                say(log, "clock", json!({"echo": asked.get("echo"), "t_s": t_s}));
            }
            "close" => return Ok(()),
            other => {
                let reason = format!("there is no op {other:?}");
                return Err(Error::new(ErrorCode::InvalidArgument, reason));
            }
        }
    }
    Ok(())
}

fn block_json(block: &Block, at: Duration) -> Value {
    let kind = |kind| match kind {
        SpanKind::Played => "played",
        SpanKind::Gap => "gap",
        SpanKind::Concealed => "concealed",
        SpanKind::Silent => "silent",
    };
    let spans: Vec<Value> = block
        .spans
        .iter()
        .map(|span| json!([span.offset, span.length, span.position, kind(span.kind)]))
        .collect();
    let silent = block.samples.iter().all(|sample| *sample == 0);
    json!({
        "at_s": at.as_secs_f64(),
        "position": block.position,
        "spans": spans,
        "samples": if silent { &[][..] } else { &block.samples },
    })
}

/// An envelope as the schema has it, without what the channel adds.
fn hex(envelope: &Envelope) -> String {
    let bare = Envelope { seq: 0, ack: 0, ..envelope.clone() };
    bare.encode_to_vec().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}
