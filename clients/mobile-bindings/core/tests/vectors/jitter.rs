//! jitter/: RTP packets as they arrive, and what is handed over.

use serde_json::{Value, json};
use voxwire_core::jitter::{Item, JitterBuffer, JitterOptions, Packet};

use crate::support::{Object, Step, run_scripts};

fn buffer_of(case: &Object) -> JitterBuffer {
    let options = case["options"].as_object().unwrap();
    assert_eq!(options.len(), 4, "an option is not read");
    JitterBuffer::new(JitterOptions {
        clock_rate: options["clock_rate"].as_u64().unwrap() as u32,
        min_target_ms: options["min_target_ms"].as_f64().unwrap(),
        max_target_ms: options["max_target_ms"].as_f64().unwrap(),
        capacity: options["capacity"].as_u64().unwrap() as usize,
        ..JitterOptions::default()
    })
}

/// A payload that is that of its packet alone.
fn payload(sequence_number: u16) -> Vec<u8> {
    sequence_number.to_be_bytes().to_vec()
}

fn item_json(item: &Item) -> Value {
    match item {
        Item::Packet(packet) => {
            assert_eq!(packet.payload, payload(packet.sequence_number));
            json!({"packet": packet.sequence_number})
        }
        Item::Gap(gap) => json!({"gap": gap.timestamp, "samples": gap.samples}),
    }
}

fn run(buffer: &mut JitterBuffer, op: &str, step: &Step) {
    match op {
        "push" => {
            let sequence_number = step.number("sequence_number") as u16;
            let timestamp = step.number("timestamp") as u32;
            let payload = payload(sequence_number);
            let packet = Packet { sequence_number, timestamp, payload };
            buffer.push(packet, step.float("now_ms"));
        }
        "pop" => {
            let items = buffer.pop(step.float("now_ms"));
            step.expect("items", items.iter().map(item_json).collect::<Vec<_>>());
            let due_ms = step.value("next_due_ms").as_f64();
            assert_eq!(buffer.next_due_ms(), due_ms, "{}", step.place);
        }
        "stats" => {
            let stats = buffer.stats();
            let stats = json!({
                "op": "stats",
                "received": stats.received,
                "lost": stats.lost,
                "late": stats.late,
                "duplicates": stats.duplicates,
                "concealed_ms": stats.concealed_ms,
                "target_ms": stats.target_ms,
            });
            assert_eq!(stats.as_object().unwrap(), step.fields, "{}", step.place);
        }
        _ => step.unknown(),
    }
}

#[test]
fn jitter_scripts() {
    assert!(run_scripts("jitter", |_| true, buffer_of, run) >= 14);
}
