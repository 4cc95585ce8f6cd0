//! channel/: what one side is told to do, and what must come of it.

use serde_json::{Value, json};
use voxwire_core::channel::{Channel, ChannelError, ChannelOptions, Received, ReplayLimits};
use voxwire_core::wire::{Envelope, Side};

use crate::support::{Object, Step, hex, json_of, message_of, run_scripts, unhex};

fn channel_of(case: &Object) -> Channel {
    let options = case["options"].as_object().unwrap();
    let limits = options["limits"].as_object().unwrap();
    assert_eq!((options.len(), limits.len()), (5, 3), "an option is not read");
    let size = |of: &Object, name: &str| of[name].as_u64().unwrap();
    Channel::new(ChannelOptions {
        peer: match options["peer"].as_str() {
            Some("client") => Side::Client,
            Some("server") => Side::Server,
            _ => panic!("no such peer"),
        },
        max_send_bytes: size(options, "max_send_bytes") as usize,
        max_receive_bytes: size(options, "max_receive_bytes") as usize,
        max_message_bytes: size(options, "max_message_bytes") as usize,
        limits: ReplayLimits {
            messages: size(limits, "messages") as usize,
            total_bytes: size(limits, "total_bytes") as usize,
            age_ms: size(limits, "age_ms"),
        },
    })
    .unwrap()
}

/// What came of a step.
struct Outcome {
    bytes: Value,
    messages: Vec<Received>,
    error: Option<ChannelError>,
}

fn written(result: Result<Option<Vec<Vec<u8>>>, ChannelError>) -> Outcome {
    let (bytes, error) = match result {
        Ok(bytes) => (bytes, None),
        Err(error) => (None, Some(error)),
    };
    let bytes = json!(bytes.map(|all| all.iter().map(|one| hex(one)).collect::<Vec<_>>()));
    Outcome { bytes, messages: Vec::new(), error }
}

fn run(channel: &mut Channel, op: &str, step: &Step) {
    let now_ms = if step.has("now_ms") { step.number("now_ms") } else { 0 };
    let outcome = match op {
        "send" => {
            let message: Envelope = message_of("voxwire.v1.Envelope", step.value("message"));
            written(channel.send(&message, now_ms).map(Some))
        }
        "receive" => {
            let result = channel.receive(&unhex(step.text("data")), now_ms);
            let (messages, error) = match result {
                Ok(messages) => (messages, None),
                Err(error) => (error.delivered.clone(), Some(error)),
            };
            Outcome { bytes: Value::Null, messages, error }
        }
        "outgoing" => written(Ok(Some(channel.outgoing(now_ms).into_iter().collect()))),
        "resume" => written(channel.resume(step.number("last_seq"), now_ms)),
        "on_lost" => return channel.on_lost(now_ms),
        "restart" => return channel.restart(),
        "state" => return state(channel, step),
        _ => step.unknown(),
    };
    check(&outcome, step);
}

fn check(outcome: &Outcome, step: &Step) {
    let place = &step.place;
    let code = outcome.error.as_ref().map(|error| error.code.as_str_name());
    assert_eq!(code, step.fields.get("error").and_then(Value::as_str), "{place}");
    let error_seq = step.fields.get("error_seq").and_then(Value::as_u64).unwrap_or(0);
    assert_eq!(outcome.error.as_ref().map_or(0, |error| error.seq), error_seq, "{place}");
    if let Some(bytes) = step.fields.get("bytes") {
        assert_eq!(&outcome.bytes, bytes, "{place}");
    }
    let messages: Vec<Value> = outcome.messages.iter().map(|one| json_of(&one.envelope)).collect();
    let wanted = step.fields.get("messages").cloned().unwrap_or(json!([]));
    assert_eq!(Value::from(messages), wanted, "{place}");
}

fn state(channel: &Channel, step: &Step) {
    let state = json!({
        "op": "state",
        "last_received": channel.last_received(),
        "last_sent": channel.last_sent(),
        "unacknowledged": channel.unacknowledged(),
        "next_due_ms": channel.next_due_ms(),
    });
    assert_eq!(state.as_object().unwrap(), step.fields, "{}", step.place);
}

#[test]
fn channel_scripts() {
    assert!(run_scripts("channel", |_| true, channel_of, run) >= 13);
}
