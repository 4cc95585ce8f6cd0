//! tools/: what happens to calls, and what must come of it.

use serde_json::{Value, json};
use voxwire_core::tools::{
    CallError, CallResult, CallState, Effect, Executor, OnInterruption, Request, Run, ToolCalls,
    ToolCallsOptions, ToolRuns,
};
use voxwire_core::wire::{ErrorCode, ToolOutcome};

use crate::support::{Object, Step, cases, run_scripts, unhex};

fn code_name(code: ErrorCode) -> &'static str {
    code.as_str_name().strip_prefix("ERROR_CODE_").unwrap()
}

fn outcome_name(outcome: ToolOutcome) -> String {
    outcome.as_str_name().strip_prefix("TOOL_OUTCOME_").unwrap().to_lowercase()
}

fn state_name(state: CallState) -> &'static str {
    match state {
        CallState::Requested => "requested",
        CallState::Accepted => "accepted",
        CallState::Running => "running",
        CallState::Done => "done",
        CallState::Failed => "failed",
        CallState::Cancelled => "cancelled",
        CallState::TimedOut => "timed_out",
    }
}

fn executor_of(step: &Step, name: &str) -> Executor {
    match step.text(name) {
        "client" => Executor::Client,
        "server" => Executor::Server,
        other => panic!("{}: no such executor: {other}", step.place),
    }
}

fn effect_json(effect: &Effect) -> Value {
    match effect {
        Effect::Moved { call_id, state } => {
            json!({"effect": "moved", "call_id": call_id, "state": state_name(*state)})
        }
        Effect::Terminal { call_id, outcome, output, error, duration_ms, withdraw, .. } => json!({
            "effect": "terminal",
            "call_id": call_id,
            "outcome": outcome_name(*outcome),
            "output": output,
            "error": error.as_ref().map(|error| code_name(error.code)),
            "duration_ms": duration_ms,
            "withdraw": withdraw,
        }),
        Effect::Refused { call_id, code } => {
            json!({"effect": "refused", "call_id": call_id, "code": code_name(*code)})
        }
        Effect::Duplicate { call_id } => json!({"effect": "duplicate", "call_id": call_id}),
        Effect::Late { call_id, outcome, late_ms, .. } => json!({
            "effect": "late",
            "call_id": call_id,
            "outcome": outcome_name(*outcome),
            "late_ms": late_ms,
        }),
        Effect::AskPolicy { call_id, .. } => json!({"effect": "ask_policy", "call_id": call_id}),
    }
}

fn calls_of(case: &Object) -> ToolCalls {
    let options = case["options"].as_object().unwrap();
    assert_eq!(options.len(), 4, "an option is not read");
    let number = |name: &str| options[name].as_u64().unwrap();
    ToolCalls::new(ToolCallsOptions {
        default_timeout_ms: number("default_timeout_ms"),
        accept_within_ms: number("accept_within_ms"),
        max_open: number("max_open") as usize,
        max_result_bytes: number("max_result_bytes") as usize,
    })
}

/// Opens a call; returns the error's name when it cannot be opened.
fn open(calls: &mut ToolCalls, step: &Step) -> Option<&'static str> {
    // A negative time has no value in Rust.
    let Some(timeout_ms) = step.value("timeout_ms").as_u64() else {
        return Some("INVALID_ARGUMENT");
    };
    let request = Request {
        call_id: step.text("call_id").to_owned(),
        name: step.text("name").to_owned(),
        executor: executor_of(step, "executor"),
        arguments: step.text("arguments").to_owned(),
        timeout_ms,
        policy: match step.text("policy") {
            "cancel" => OnInterruption::Cancel,
            "finish" => OnInterruption::Finish,
            "ask" => OnInterruption::Ask,
            other => panic!("{}: no such policy: {other}", step.place),
        },
        call_token: step.value("call_token").as_str().map(unhex),
    };
    calls.request(request, step.number("now_ms")).err().map(|error| code_name(error.code))
}

fn result_of(step: &Step) -> CallResult {
    if !step.has("error") {
        return Ok(step.text("output").to_owned());
    }
    let code = ErrorCode::from_str_name(&format!("ERROR_CODE_{}", step.text("error"))).unwrap();
    Err(CallError { code, reason: String::new(), retryable: false })
}

fn run_calls(calls: &mut ToolCalls, op: &str, step: &Step) {
    let id = if step.has("call_id") { step.text("call_id") } else { "" };
    let now_ms = || step.number("now_ms");
    let by = || executor_of(step, "by");
    let effects = match op {
        "request" => {
            let wanted = step.fields.get("error").and_then(Value::as_str);
            assert_eq!(open(calls, step), wanted, "{}", step.place);
            return;
        }
        "accept" => calls.accept(id, now_ms(), by()),
        "progress" => calls.progress(id, now_ms(), by()),
        "result" => {
            let token = unhex(step.text("call_token"));
            calls.result(id, result_of(step), &token, now_ms(), by())
        }
        "cancel" => calls.cancel(id, step.text("reason"), now_ms(), by()),
        "interrupted" => calls.interrupted(now_ms()),
        "tick" => calls.tick(now_ms()),
        "on_lost" => return calls.on_lost(),
        "redeliver" => {
            let again = calls.redeliver(now_ms());
            step.expect("calls", again.into_iter().map(|call| call.call_id).collect::<Vec<_>>());
            step.expect("next_due_ms", json!(calls.next_due_ms()));
            return;
        }
        "state" => return step.expect("state", json!(calls.state(id).map(state_name))),
        _ => step.unknown(),
    };
    step.expect("effects", effects.iter().map(effect_json).collect::<Vec<_>>());
    if step.has("next_due_ms") {
        step.expect("next_due_ms", json!(calls.next_due_ms()));
    }
}

fn run_name(run: Run) -> &'static str {
    match run {
        Run::Start => "start",
        Run::Running => "running",
        Run::Finished => "finished",
        Run::Stop => "stop",
        Run::Ignore => "ignore",
    }
}

fn run_runs(runs: &mut ToolRuns, op: &str, step: &Step) {
    let id = step.text("call_id");
    match op {
        "request" => step.expect("run", run_name(runs.request(id))),
        "withdraw" => step.expect("run", run_name(runs.withdraw(id))),
        "finish" => step.expect("sent", runs.finish(id, Ok(step.text("output").to_owned()))),
        "result_of" => {
            let output = runs.result_of(id).map(|result| result.as_ref().unwrap().clone());
            step.expect("output", json!(output));
        }
        _ => step.unknown(),
    }
}

fn of_kind(kind: &str) -> impl Fn(&Object) -> bool {
    move |case| case["kind"] == kind
}

#[test]
fn calls_and_runs() {
    let calls = run_scripts("tools", of_kind("calls"), calls_of, run_calls);
    let runs = run_scripts("tools", of_kind("runs"), |_| ToolRuns::new(), run_runs);
    assert!(calls >= 19 && runs >= 2);
    assert_eq!(calls + runs, cases("tools").len(), "a case is left out");
}
