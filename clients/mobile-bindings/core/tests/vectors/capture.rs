//! capture/: the user's audio as a client keeps it.

use serde_json::{Value, json};
use voxwire_core::capture::KeptCapture;

use crate::support::{Object, Step, run_scripts};

fn kept_of(case: &Object) -> KeptCapture {
    let options = case["options"].as_object().unwrap();
    assert_eq!(options.len(), 2, "an option is not read");
    let number = |name: &str| options[name].as_u64().unwrap();
    KeptCapture::new(number("sample_rate") as u32, number("kept_ms"))
}

/// Audio of which every sample is its own number.
fn numbered(first: u64, count: u64) -> Vec<i16> {
    (first..first + count).map(|number| number as i16).collect()
}

fn send_all(kept: &mut KeptCapture, now_ms: u64) -> Vec<Value> {
    let mut pieces = Vec::new();
    while let Some(piece) = kept.peek(now_ms) {
        let count = piece.samples().len() as u64;
        assert_eq!(piece.samples(), numbered(piece.index, count));
        pieces.push(json!([piece.index, count]));
        kept.sent(&piece);
    }
    pieces
}

fn run(kept: &mut KeptCapture, op: &str, step: &Step) {
    match op {
        "capture" => {
            let samples = numbered(kept.next_index(), step.number("samples"));
            kept.capture(samples, step.number("now_ms"));
        }
        "mute" => kept.mute(step.number("samples")),
        "park" => kept.park(),
        "follow" => kept.follow(),
        "resume" => {
            step.expect("lost", kept.resume(step.number("index"), step.number("now_ms")));
        }
        "resume_after" => {
            step.expect("lost", kept.resume_after(step.number("age_ms"), step.number("now_ms")));
        }
        "send" => step.expect("pieces", send_all(kept, step.number("now_ms"))),
        "state" => {
            let state = json!({
                "op": "state",
                "next_index": kept.next_index(),
                "waiting": kept.waiting_samples(),
                "lost": kept.lost_samples(),
            });
            assert_eq!(state.as_object().unwrap(), step.fields, "{}", step.place);
        }
        _ => step.unknown(),
    }
}

#[test]
fn capture_scripts() {
    assert!(run_scripts("capture", |_| true, kept_of, run) >= 12);
}
