//! words/: words on the wire, texts joined, and words on the media clock.

use serde_json::{Value, json};
use voxwire_core::text_join::join_texts;
use voxwire_core::timeline::{Heard, TimedWord, Timeline, decode_words, encode_words};
use voxwire_core::wire::{TimingSource, UtteranceWords};

use crate::support::{Object, Step, bytes_of, cases, hex, message_of, run_scripts};

const MESSAGE: &str = "voxwire.v1.UtteranceWords";

fn word_of(value: &Value) -> TimedWord {
    let number = |name: &str| value[name].as_u64().unwrap();
    let text = |name: &str| value[name].as_str().unwrap().to_owned();
    assert_eq!(value.as_object().unwrap().len(), 9, "{value}");
    TimedWord {
        utterance_id: text("utterance_id"),
        index: number("index") as u32,
        text: text("text"),
        char_start: number("char_start") as u32,
        char_end: number("char_end") as u32,
        start_ms: number("start_ms"),
        end_ms: number("end_ms"),
        end_estimated: value["end_estimated"].as_bool().unwrap(),
        source: TimingSource::from_str_name(&text("source")).unwrap(),
    }
}

fn words_of(value: &Value) -> Vec<TimedWord> {
    value.as_array().unwrap().iter().map(word_of).collect()
}

fn heard_json(heard: &Heard) -> Value {
    json!({
        "utterance_id": heard.utterance_id,
        "words": heard.words,
        "char_end": heard.char_end,
        "media_ms": heard.media_ms,
    })
}

fn of_kind(kind: &str) -> impl Fn(&Object) -> bool {
    move |case| case["kind"] == kind
}

#[test]
fn no_case_is_left_out() {
    let kinds = ["decode", "join", "timeline"];
    for (name, case) in cases("words") {
        assert!(kinds.contains(&case["kind"].as_str().unwrap()), "{name}");
    }
}

#[test]
fn decode_cases() {
    let mut count = 0;
    for (name, case) in cases("words").into_iter().filter(|(_, case)| of_kind("decode")(case)) {
        let message: UtteranceWords = message_of(MESSAGE, &case["message"]);
        assert_eq!(hex(&bytes_of(MESSAGE, &case["message"])), case["bytes"], "{name}");
        let so_far = case["text_so_far"].as_str().unwrap();
        let words = decode_words(&message, so_far, TimingSource::Unspecified);
        assert_eq!(words, words_of(&case["words"]), "{name}");
        let again =
            encode_words(&words, &message.text, message.text_offset, message.revision).unwrap();
        assert_eq!(decode_words(&again, so_far, TimingSource::Unspecified), words, "{name}");
        count += 1;
    }
    assert!(count >= 8);
}

#[test]
fn join_cases() {
    for (name, case) in cases("words").into_iter().filter(|(_, case)| of_kind("join")(case)) {
        for join in case["joins"].as_array().unwrap() {
            let text = |key: &str| join[key].as_str().unwrap();
            assert_eq!(join_texts(text("before"), text("after")), text("text"), "{name}");
        }
    }
}

fn run(timeline: &mut Timeline, op: &str, step: &Step) {
    let id = if step.has("utterance_id") { step.text("utterance_id") } else { "" };
    match op {
        "begin" => timeline.begin(id, step.number("media_ms")),
        "add" => timeline.add(words_of(step.value("words")), step.number("revision") as u32),
        "advance" => {
            let due = timeline.advance(step.number("media_ms"));
            let due: Vec<Value> =
                due.iter().map(|word| json!([word.utterance_id, word.index])).collect();
            step.expect("due", due);
        }
        "next_due_ms" => step.expect("value", json!(timeline.next_due_ms())),
        "heard" => step.expect("heard", heard_json(&timeline.heard(id, step.number("media_ms")))),
        "cut" => {
            let prefixes = timeline.cut(step.number("media_ms"), step.number("until_ms"));
            step.expect("heard", prefixes.iter().map(heard_json).collect::<Vec<_>>());
        }
        "end" => timeline.end(id),
        "words" => {
            let words = timeline.words(id);
            step.expect("indices", words.iter().map(|word| word.index).collect::<Vec<_>>());
        }
        "set_text" => {
            timeline.set_text(id, step.number("offset") as usize, step.text("text"));
        }
        "text" => step.expect("value", timeline.text(id)),
        _ => step.unknown(),
    }
}

#[test]
fn timeline_scripts() {
    assert!(run_scripts("words", of_kind("timeline"), |_| Timeline::new(), run) >= 9);
}
