//! clock/: pings, their answers, and what they measure.

use serde_json::json;
use voxwire_core::clock::ClockSync;
use voxwire_core::wire::{Ping, Pong};

use crate::support::{Step, run_scripts};

fn run(clock: &mut ClockSync, op: &str, step: &Step) {
    match op {
        "ping" => {
            let ping = clock.ping(step.number("now_us"));
            step.expect("number", ping.number);
            step.expect("t0_us", ping.t0_us);
        }
        "pong" => {
            let ping = Ping { number: step.number("number") as u32, t0_us: step.number("t0_us") };
            let pong = ClockSync::pong(&ping, step.number("received_us"), step.number("now_us"));
            assert_eq!((pong.number, pong.t0_us), (ping.number, ping.t0_us), "{}", step.place);
            step.expect("t1_us", pong.t1_us);
            step.expect("t2_us", pong.t2_us);
        }
        "receive" => {
            let pong = Pong {
                number: step.number("number") as u32,
                t0_us: step.number("t0_us"),
                t1_us: step.number("t1_us"),
                t2_us: step.number("t2_us"),
            };
            let sample = clock.receive(&pong, step.number("now_us"));
            let sample = sample
                .map(|sample| json!({"offset_us": sample.offset_us, "rtt_us": sample.rtt_us}));
            step.expect("sample", json!(sample));
        }
        "next_ping_ms" => step.expect("value", clock.next_ping_ms(step.number("now_ms"))),
        "state" => {
            step.expect("offset_us", json!(clock.offset_us()));
            step.expect("rtt_us", json!(clock.rtt_us()));
        }
        _ => step.unknown(),
    }
}

#[test]
fn clock_scripts() {
    assert!(run_scripts("clock", |_| true, |_| ClockSync::new(), run) >= 6);
}
