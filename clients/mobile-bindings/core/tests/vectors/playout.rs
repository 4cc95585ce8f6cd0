//! playout/: bot audio by position and what a speaker is handed.

use serde_json::json;
use voxwire_core::playout::{Block, PlayoutBuffer, PlayoutOptions, SpanKind};

use crate::support::{Object, Step, run_scripts};

fn buffer_of(case: &Object) -> PlayoutBuffer {
    let options = case["options"].as_object().unwrap();
    assert_eq!(options.len(), 4, "an option is not read");
    let number = |name: &str| options[name].as_u64().unwrap() as u32;
    PlayoutBuffer::new(PlayoutOptions {
        sample_rate: number("sample_rate"),
        target_ms: number("target_ms"),
        max_target_ms: number("max_target_ms"),
        continuous: options["continuous"].as_bool().unwrap(),
    })
}

/// Loud audio of which every sample tells its position.
fn numbered(position: u64) -> i16 {
    1000 + (position % 1000) as i16
}

/// What each sample of a block is expected to be: its kind in the script, and its position.
fn expected(step: &Step) -> Vec<(String, u64)> {
    let mut samples = Vec::new();
    for span in step.value("spans").as_array().unwrap() {
        let (kind, position) = (span[0].as_str().unwrap(), span[1].as_u64().unwrap());
        let moves = !matches!(kind, "concealed" | "silent");
        let place = |at| if moves { position + at } else { position };
        let length = span[2].as_u64().unwrap();
        samples.extend((0..length).map(|at| (kind.to_owned(), place(at))));
    }
    samples
}

fn check(block: &Block, step: &Step) {
    let mut samples = Vec::new();
    for span in &block.spans {
        assert_eq!(span.offset, samples.len(), "{}", step.place);
        let place = |at| if span.kind.moves() { span.position + at } else { span.position };
        samples.extend((0..span.length as u64).map(|at| (span.kind, place(at))));
    }
    let wanted = expected(step);
    assert_eq!((samples.len(), block.samples.len()), (wanted.len(), wanted.len()));
    for (at, (kind, position)) in wanted.iter().enumerate() {
        let sample = block.samples[at];
        let (known, audible) = match kind.as_str() {
            "played" => (SpanKind::Played, sample == numbered(*position)),
            "quiet" => (SpanKind::Played, sample == 0),
            "fading" => (SpanKind::Played, (1..=numbered(*position)).contains(&sample)),
            "gap" => (SpanKind::Gap, sample == 0),
            "concealed" => (SpanKind::Concealed, sample > 0),
            "silent" => (SpanKind::Silent, sample == 0),
            other => panic!("{}: no such kind: {other}", step.place),
        };
        assert_eq!(samples[at], (known, *position), "{}, sample {at}", step.place);
        assert!(audible, "{}, sample {at}: {sample}", step.place);
    }
}

fn run(buffer: &mut PlayoutBuffer, op: &str, step: &Step) {
    match op {
        "push" => {
            let (index, count) = (step.number("index"), step.number("samples"));
            let quiet = step.value("quiet").as_bool().unwrap();
            let one = |position| if quiet { 0 } else { numbered(position) };
            buffer.push(index, &(index..index + count).map(one).collect::<Vec<_>>());
        }
        "pull" => check(&buffer.pull(step.number("samples") as usize), step),
        "flush" => step.expect("position", buffer.flush(step.number("until"))),
        "restart" => buffer.restart(step.number("target_ms") as u32, false),
        "rewind" => buffer.rewind(step.number("index"), step.number("misplaced")),
        "state" => {
            let stats = buffer.stats();
            let state = json!({
                "op": "state",
                "position": buffer.position(),
                "playing": buffer.is_playing(),
                "target_ms": buffer.target_ms(),
                "buffered_ms": buffer.buffered_ms(),
                "concealed_ms": buffer.concealed_ms(),
                "underruns": stats.underruns,
                "late": stats.late_samples,
                "refused": stats.refused_samples,
                "trimmed": stats.trimmed_samples,
            });
            assert_eq!(state.as_object().unwrap(), step.fields, "{}", step.place);
        }
        _ => step.unknown(),
    }
}

#[test]
fn playout_scripts() {
    assert!(run_scripts("playout", |_| true, buffer_of, run) >= 21);
}
