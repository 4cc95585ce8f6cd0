//! Events as JSON, as every client writes them (`/protocol/spec`, the headless contract): the name
//! in `snake_case`, fields by their names, enums in lower-case words.

use serde_json::{Map, Value, json};
use voxwire_core::wire::{
    self, BotState, Carrier, EndReason, ErrorCode, HeardSource, InterruptionSource, MetricKind,
    RecoveryAction, TimingSource, ToolOutcome, TurnRole, UserState, UtteranceEnd,
};

use crate::event::{ConnectionState, Event, EventsSkipped, FallbackReason, placed_words};

/// The word of an enum's value: its name in the schema without that of the enum.
macro_rules! word {
    ($kind:ident, $prefix:literal, $number:expr) => {
        match $kind::try_from($number) {
            Ok($kind::Unspecified) | Err(_) => String::from("unknown"),
            Ok(known) => known.as_str_name().trim_start_matches($prefix).to_lowercase(),
        }
    };
}

/// The name of an event, and its fields.
#[must_use]
pub fn written(event: &Event) -> (&'static str, Map<String, Value>) {
    let (name, fields) = match event {
        Event::SessionStarted(it) => ("session_started", started(it)),
        Event::SessionEnded(it) => (
            "session_ended",
            json!({"reason": word!(EndReason, "END_REASON_", it.reason), "duration_ms": it.duration_ms}),
        ),
        Event::GoingAway(it) => {
            ("going_away", json!({"reason": it.reason, "time_left_ms": it.time_left_ms}))
        }
        Event::PathChanged(it) => (
            "path_changed",
            json!({
                "path_id": it.path_id,
                "carrier": word!(Carrier, "CARRIER_", it.carrier as i32),
                "resent_ms": it.resent_ms,
                "lost_ms": it.lost_ms,
                "fallback": it.fallback.map(FallbackReason::name),
                "fallback_detail": it.fallback_detail,
            }),
        ),
        Event::ConnectionChanged(it) => (
            "connection_changed",
            json!({
                "state": connection(it.state),
                "attempt": it.attempt,
                "epoch": it.epoch,
                "after_ms": it.after_ms,
            }),
        ),
        Event::EventsSkipped(it) => ("events_skipped", skipped(it)),
        Event::StateChanged(it) => ("state_changed", state(it)),
        Event::Interrupted(it) => (
            "interrupted",
            json!({
                "source": word!(InterruptionSource, "INTERRUPTION_SOURCE_", it.source),
                "utterance_id": it.utterance_id,
            }),
        ),
        Event::Flushed(it) => (
            "flush",
            json!({
                "media_ms": it.media_ms,
                "flush_id": it.flush_id,
                "until_media_ms": it.until_media_ms,
            }),
        ),
        Event::AppMessage(it) => (
            "app_message",
            json!({
                "message_type": it.r#type,
                "data": parsed(&it.data_json),
                "request_id": it.request_id,
                "response": it.response,
            }),
        ),
        Event::Error(it) => ("error", error(it)),
        Event::ServiceMetrics(it) => ("service_metrics", service_metrics(it)),
        Event::TurnMetrics(it) => ("turn_metrics", turn_metrics(it)),
        said => spoken(said),
    };
    match fields {
        Value::Object(fields) => (name, fields),
        other => unreachable!("an event has fields: {other}"),
    }
}

/// The same of what is said, and of tools.
fn spoken(event: &Event) -> (&'static str, Value) {
    match event {
        Event::UserTranscript(it) => (
            "user_transcript",
            json!({
                "text": it.text,
                "final": it.r#final,
                "transcript_id": it.transcript_id,
                "turn_id": it.turn_id,
                "language": it.language,
                "typed": it.typed,
                "confidence": it.confidence,
            }),
        ),
        Event::BotResponseStarted(it) => {
            ("bot_response_started", json!({"response_id": it.response_id, "turn_id": it.turn_id}))
        }
        Event::BotResponseText(it) => {
            ("bot_response_text", json!({"response_id": it.response_id, "text": it.text}))
        }
        Event::BotResponseEnded(it) => {
            ("bot_response_ended", json!({"response_id": it.response_id}))
        }
        Event::UtteranceStarted(it) => (
            "utterance_started",
            json!({
                "utterance_id": it.utterance_id,
                "turn_id": it.turn_id,
                "response_id": it.response_id,
                "media_ms": it.media_ms,
                "source": timing(it.source),
                "language": it.language,
            }),
        ),
        Event::UtteranceWords(it) => ("utterance_words", words(it)),
        Event::BotWord(it) => (
            "bot_word",
            json!({
                "utterance_id": it.utterance_id,
                "index": it.index,
                "text": it.text,
                "char_start": it.char_start,
                "char_end": it.char_end,
                "start_ms": it.start_ms,
                "end_ms": it.end_ms,
                "source": timing(it.source as i32),
            }),
        ),
        Event::UtteranceEnded(it) => (
            "utterance_ended",
            json!({
                "utterance_id": it.utterance_id,
                "end": word!(UtteranceEnd, "UTTERANCE_END_", it.end),
                "heard_media_ms": it.heard_media_ms,
                "heard_char_end": it.heard_char_end,
                "heard_words": it.heard_words,
                "heard_source": word!(HeardSource, "HEARD_SOURCE_", it.heard_source),
            }),
        ),
        Event::ToolCallStarted(it) => (
            "tool_call_started",
            json!({
                "call_id": it.call_id,
                "name": it.name,
                "arguments": parsed(&it.arguments_json),
                "response_id": it.response_id,
            }),
        ),
        Event::ToolCallEnded(it) => (
            "tool_call_ended",
            json!({
                "call_id": it.call_id,
                "name": it.name,
                "outcome": word!(ToolOutcome, "TOOL_OUTCOME_", it.outcome),
                "result": parsed(&it.result_json),
                "duration_ms": it.duration_ms,
            }),
        ),
        other => unreachable!("every event is written: {other:?}"),
    }
}

fn started(it: &wire::Welcome) -> Value {
    json!({
        "session_id": it.session_id,
        "bot": it.bot,
        "server": it.server,
        "resumed": it.resumed,
        "examples": it.examples,
    })
}

/// The word for whether there is a connection.
const fn connection(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Connected => "connected",
        ConnectionState::Reconnecting => "reconnecting",
    }
}

fn timing(number: i32) -> String {
    word!(TimingSource, "TIMING_SOURCE_", number)
}

fn state(it: &wire::StateChanged) -> Value {
    json!({
        "bot": word!(BotState, "BOT_STATE_", it.bot),
        "user": word!(UserState, "USER_STATE_", it.user),
        "media_ms": it.media_ms,
        "user_muted": it.user_muted,
    })
}

fn words(it: &wire::UtteranceWords) -> Value {
    let placed = placed_words(it).into_iter().map(|word| {
        json!({
            "index": word.index,
            "text": word.text,
            "char_start": word.char_start,
            "char_end": word.char_end,
            "start_ms": word.start_ms,
            "end_ms": word.end_ms,
            "end_estimated": word.end_estimated,
        })
    });
    json!({
        "utterance_id": it.utterance_id,
        "text_offset": it.text_offset,
        "text": it.text,
        "words": placed.collect::<Vec<_>>(),
        "revision": it.revision,
        "source": timing(it.source),
    })
}

fn skipped(it: &EventsSkipped) -> Value {
    let snapshot = it.snapshot.as_ref().map(|snapshot| {
        let turns = snapshot.turns.iter().map(|turn| {
            json!({
                "turn_id": turn.turn_id,
                "role": word!(TurnRole, "TURN_ROLE_", turn.role),
                "text": turn.text,
                "unheard_text": turn.unheard_text,
            })
        });
        let state = snapshot.state.unwrap_or_default();
        json!({
            "turns": turns.collect::<Vec<_>>(),
            "utterance_id": snapshot.utterance.as_ref().map_or("", |it| &it.utterance_id),
            "heard_media_ms": snapshot.heard_media_ms,
            "call_ids": snapshot.tool_calls.iter().map(|it| &it.call_id).collect::<Vec<_>>(),
            "bot": word!(BotState, "BOT_STATE_", state.bot),
            "user": word!(UserState, "USER_STATE_", state.user),
            "user_muted": snapshot.user_muted,
        })
    });
    json!({"count": it.count, "unsent": it.unsent, "snapshot": snapshot})
}

fn error(it: &wire::Error) -> Value {
    let code = match ErrorCode::try_from(it.code) {
        Ok(ErrorCode::Unspecified) | Err(_) => ErrorCode::Internal,
        Ok(known) => known,
    };
    let action = match RecoveryAction::try_from(it.action) {
        Ok(RecoveryAction::Unspecified) | Err(_) => RecoveryAction::None,
        Ok(known) => known,
    };
    json!({
        "code": code.as_str_name().trim_start_matches("ERROR_CODE_").to_lowercase(),
        "reason": it.reason,
        "retryable": it.retryable,
        "action": action.as_str_name().trim_start_matches("RECOVERY_ACTION_").to_lowercase(),
        "retry_after_ms": it.retry_after_ms,
        "fatal": it.fatal,
        "subject_id": it.subject_id,
    })
}

fn service_metrics(it: &wire::ServiceMetrics) -> Value {
    let metrics = it.metrics.iter().map(|metric| {
        json!({
            "kind": word!(MetricKind, "METRIC_KIND_", metric.kind),
            "processor": metric.processor,
            "model": metric.model,
            "value": metric.value,
        })
    });
    json!({"metrics": metrics.collect::<Vec<_>>()})
}

fn turn_metrics(it: &wire::TurnMetrics) -> Value {
    json!({
        "turn_id": it.turn_id,
        "response_ms": it.response_ms,
        "playout_delay_ms": it.playout_delay_ms,
        "vad_ms": it.vad_ms,
        "stt_ms": it.stt_ms,
        "turn_ms": it.turn_ms,
        "llm_ms": it.llm_ms,
        "tool_ms": it.tool_ms,
        "tts_ms": it.tts_ms,
        "output_ms": it.output_ms,
        "lead_silence_ms": it.lead_silence_ms,
        "total_ms": it.total_ms,
        "typed": it.typed,
        "heard_source": word!(HeardSource, "HEARD_SOURCE_", it.heard_source),
        "first_audio_media_ms": it.first_audio_media_ms,
        "user_stopped_capture_ms": it.user_stopped_capture_ms,
        "user_stopped_server_us": it.user_stopped_server_us,
    })
}

/// JSON of the peer; null when there is none, or it is no JSON.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
