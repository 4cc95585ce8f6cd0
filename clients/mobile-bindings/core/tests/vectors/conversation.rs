//! conversation/: messages of a server and the log of turns that comes of them.

use serde_json::{Value, json};
use voxwire_core::conversation::{
    BotTurn, CallStatus, Conversation, LoggedEnd, LoggedToolCall, LoggedTurn, LoggedUtterance,
    WordState,
};
use voxwire_core::wire::{Envelope, Snapshot};

use crate::support::{Object, Step, message_of, run_scripts};

fn utterance_json(utterance: &LoggedUtterance) -> Value {
    let words = utterance.words.iter().map(|word| {
        let state = match word.state {
            WordState::Unheard => "unheard",
            WordState::Heard => "heard",
            WordState::Cut => "cut",
        };
        json!({
            "index": word.index,
            "text": word.text,
            "start_ms": word.start_ms,
            "end_ms": word.end_ms,
            "state": state,
        })
    });
    let end = match utterance.end {
        LoggedEnd::Speaking => "speaking",
        LoggedEnd::Completed => "completed",
        LoggedEnd::Interrupted => "interrupted",
        LoggedEnd::Unheard => "unheard",
    };
    let words: Vec<Value> = words.collect();
    json!({"id": utterance.id, "text": utterance.text, "end": end, "words": words})
}

fn call_json(call: &LoggedToolCall) -> Value {
    let status = match call.status {
        CallStatus::Running => "running",
        CallStatus::Done => "done",
        CallStatus::Failed => "failed",
        CallStatus::Cancelled => "cancelled",
        CallStatus::TimedOut => "timed_out",
        CallStatus::Lost => "lost",
    };
    let mut shown = Object::new();
    shown.insert("id".into(), json!(call.id));
    shown.insert("name".into(), json!(call.name));
    shown.insert("status".into(), json!(status));
    shown.insert("own".into(), json!(call.own));
    let parse = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    let optional = [
        ("args", call.arguments_json.as_ref().map(parse)),
        ("result", call.result_json.as_ref().map(parse)),
        ("duration_ms", call.duration_ms.map(Value::from)),
        ("progress", call.progress.clone().map(Value::from)),
    ];
    for (name, value) in optional {
        shown.extend(value.map(|value| (name.to_owned(), value)));
    }
    shown.into()
}

fn bot_json(turn: &BotTurn) -> Value {
    let mut shown = json!({
        "id": turn.id,
        "role": "bot",
        "utterances": turn.utterances.iter().map(utterance_json).collect::<Vec<_>>(),
        "tool_calls": turn.tool_calls.iter().map(call_json).collect::<Vec<_>>(),
        "interrupted": turn.interrupted,
    });
    if let Some(text) = &turn.from_snapshot {
        shown["heard_text"] = json!(text.heard);
        shown["unheard_text"] = json!(text.unheard);
    }
    shown
}

fn turn_json(turn: &LoggedTurn) -> Value {
    match turn {
        LoggedTurn::User(turn) => json!({
            "id": turn.id,
            "role": "user",
            "text": turn.text,
            "final": turn.is_final,
            "typed": turn.typed,
        }),
        LoggedTurn::Bot(turn) => bot_json(turn),
    }
}

fn run(log: &mut Conversation, op: &str, step: &Step) {
    let before: Vec<LoggedTurn> = log.turns().cloned().collect();
    let changed = match op {
        "begin" => {
            *log = Conversation::new();
            return;
        }
        "message" => {
            let envelope: Envelope = message_of("voxwire.v1.Envelope", step.value("message"));
            log.apply(&envelope.payload.unwrap())
        }
        "snapshot" => {
            let snapshot: Snapshot = message_of("voxwire.v1.Snapshot", step.value("message"));
            log.restore(&snapshot);
            return;
        }
        "word" => log.word_heard(step.text("utterance_id"), step.number("index") as u32),
        "own_call" => log.own_call(step.text("call_id")),
        "own_progress" => log.own_progress(step.text("call_id"), step.text("message")),
        "over" => log.over(),
        "log" => {
            step.expect("turns", log.turns().map(turn_json).collect::<Vec<_>>());
            step.expect("skipped", log.skipped());
            return;
        }
        _ => step.unknown(),
    };
    if step.has("unchanged") {
        assert!(!changed, "{}", step.place);
    }
    if !changed {
        assert!(log.turns().eq(&before), "{}: changed, and does not say so", step.place);
    }
}

#[test]
fn conversation_scripts() {
    assert!(run_scripts("conversation", |_| true, |_| Conversation::new(), run) >= 13);
}
