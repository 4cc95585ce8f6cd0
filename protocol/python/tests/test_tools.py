"""Every tool call ends exactly once and runs at most once."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from voxwire_protocol import tool_runs, tools
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.tools import (
    KEPT_CALLS,
    AskPolicy,
    Call,
    CallError,
    Duplicate,
    Effect,
    Executor,
    Late,
    Moved,
    OnInterruption,
    Refused,
    Run,
    Terminal,
    ToolCalls,
    ToolRuns,
    ToolUseError,
)

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "tools"
CASES = {path.stem: json.loads(path.read_text("utf-8")) for path in VECTORS.glob("*.json")}
TOKEN = bytes(range(16))


def ask(calls: ToolCalls, call_id: str = "a", **changes: Any) -> Call:
    options: dict[str, Any] = {
        "executor": Executor.CLIENT,
        "arguments": "{}",
        "now_ms": 0,
        "call_token": TOKEN,
    }
    return calls.request(call_id, "tool", **(options | changes))


class TestScripts:
    @pytest.mark.parametrize("name", sorted(n for n in CASES if CASES[n]["kind"] == "calls"))
    def test_calls(self, name: str) -> None:
        calls = ToolCalls(**CASES[name]["options"])
        for at, step in enumerate(CASES[name]["steps"]):
            assert run_step(calls, dict(step)) == step, f"{name}, step {at}"

    @pytest.mark.parametrize("name", sorted(n for n in CASES if CASES[n]["kind"] == "runs"))
    def test_runs(self, name: str) -> None:
        runs = ToolRuns()
        for at, step in enumerate(CASES[name]["steps"]):
            call_id = step["call_id"]
            match step["op"]:
                case "request":
                    got: object = runs.request(call_id)
                case "withdraw":
                    got = runs.withdraw(call_id)
                case "finish":
                    got = runs.finish(call_id, step["output"])
                case _:
                    got = runs.result_of(call_id)
            wanted = next(step[name] for name in ("run", "sent", "output") if name in step)
            assert got == wanted, f"{name}, step {at}"


def run_step(calls: ToolCalls, step: dict[str, Any]) -> dict[str, Any]:
    """Runs a step and returns it with what came of it in place of what is expected."""
    now_ms: int = step.get("now_ms", 0)
    call_id: str = step.get("call_id", "")
    by = Executor(step.get("by", "client"))
    effects: list[Effect] = []
    match step["op"]:
        case "request":
            step.pop("error", None)
            token = step["call_token"]
            try:
                calls.request(
                    call_id,
                    step["name"],
                    executor=Executor(step["executor"]),
                    arguments=step["arguments"],
                    now_ms=now_ms,
                    timeout_ms=step["timeout_ms"],
                    policy=OnInterruption(step["policy"]),
                    call_token=None if token is None else bytes.fromhex(token),
                )
            except ToolUseError as error:
                step["error"] = error.code.name
        case "accept":
            effects = calls.accept(call_id, now_ms=now_ms, by=by)
        case "progress":
            effects = calls.progress(call_id, now_ms=now_ms, by=by)
        case "result":
            result: str | CallError = step.get("output", "")
            if "error" in step:
                result = CallError(ErrorCode[step["error"]], "")
            token = bytes.fromhex(step["call_token"])
            effects = calls.result(call_id, result, now_ms=now_ms, call_token=token, by=by)
        case "cancel":
            effects = calls.cancel(call_id, step["reason"], now_ms=now_ms, by=by)
        case "interrupted":
            effects = calls.interrupted(now_ms)
        case "tick":
            effects = calls.tick(now_ms)
        case "on_lost":
            calls.on_lost()
        case "redeliver":
            step["calls"] = [call.call_id for call in calls.redeliver(now_ms)]
        case _:
            step["state"] = calls.state(call_id)
    if "effects" in step:
        step["effects"] = [as_json(effect) for effect in effects]
    if "next_due_ms" in step:
        step["next_due_ms"] = calls.next_due_ms
    return step


def as_json(effect: Effect) -> dict[str, Any]:
    match effect:
        case Moved():
            fields: dict[str, Any] = {"effect": "moved", "state": effect.state}
        case Terminal():
            fields = {
                "effect": "terminal",
                "outcome": effect.outcome,
                "output": effect.output,
                "error": effect.error.code.name if effect.error else None,
                "duration_ms": effect.duration_ms,
                "withdraw": effect.withdraw,
            }
        case Refused():
            fields = {"effect": "refused", "code": effect.code.name}
        case Duplicate():
            fields = {"effect": "duplicate"}
        case Late():
            fields = {"effect": "late", "outcome": effect.outcome, "late_ms": effect.late_ms}
        case AskPolicy():
            fields = {"effect": "ask_policy"}
    return fields | {"call_id": effect.call_id}


class TestCalls:
    def test_the_public_names_are_there(self) -> None:
        assert all(hasattr(tools, name) for name in tools.__all__)

    def test_secrets_and_content_are_not_in_what_is_printed(self) -> None:
        calls = ToolCalls()
        call = ask(calls, call_token=b"s3cr3t-s3cr3t-s3cr3t", arguments='{"pin":4711}')
        ended = calls.result("a", '"salary"', now_ms=1, call_token=b"s3cr3t-s3cr3t-s3cr3t")
        ask(calls, "b")
        failed = calls.result(
            "b", CallError(ErrorCode.TOOL_FAILED, "salary"), now_ms=1, call_token=TOKEN
        )
        printed = repr((call, ended, failed))
        assert not any(word in printed for word in ("s3cr3t", "4711", "salary"))

    def test_a_request_that_cannot_be_opened_says_why(self) -> None:
        calls = ToolCalls(max_open=0)
        with pytest.raises(ToolUseError, match="too many tool calls are open") as raised:
            ask(calls)
        assert raised.value.reason == str(raised.value)
        assert raised.value.code is ErrorCode.CAPACITY

    def test_the_time_that_is_left_goes_with_a_request(self) -> None:
        call = ask(ToolCalls(), timeout_ms=100)
        assert [call.remaining_ms(now_ms) for now_ms in (0, 60, 100, 200)] == [100, 40, 0, 0]

    def test_a_cancellation_says_why(self) -> None:
        calls = ToolCalls()
        ask(calls)
        (effect,) = calls.cancel("a", "changed my mind", now_ms=1)
        assert isinstance(effect, Terminal)
        assert (effect.reason, effect.name) == ("changed my mind", "tool")

    def test_a_late_result_is_given_whole(self) -> None:
        calls = ToolCalls()
        ask(calls)
        calls.cancel("a", "", now_ms=1)
        late, refused = calls.result("a", "42", now_ms=5, call_token=TOKEN)
        assert isinstance(late, Late)
        assert (late.result, late.name, late.late_ms) == ("42", "tool", 4)
        assert refused == Refused("a", ErrorCode.TOOL_CLOSED)

    def test_text_that_is_no_unicode_hurts_nothing(self) -> None:
        calls, runs = ToolCalls(), ToolRuns()
        for call_id, result in (("a", "\ud800"), ("b", CallError(ErrorCode.TIMEOUT, "\udfff"))):
            ask(calls, call_id)
            runs.request(call_id)
            assert runs.finish(call_id, result)
            calls.result(call_id, result, now_ms=1, call_token=TOKEN)
            again = calls.result(call_id, result, now_ms=1, call_token=TOKEN)
            assert again == [Duplicate(call_id)]

    def test_what_is_kept_of_ended_calls_is_bounded(self) -> None:
        calls = ToolCalls()
        for number in range(KEPT_CALLS + 20):
            ask(calls, str(number), arguments="x" * 1000)
            calls.result(str(number), "y" * 1000, now_ms=1, call_token=TOKEN)
        assert len(calls._ended) == KEPT_CALLS
        assert {ended.call.arguments for ended in calls._ended.values()} == {""}
        assert calls.open_calls == ()


class TestRuns:
    def test_what_runs_is_told(self) -> None:
        runs = ToolRuns()
        runs.request("a")
        assert runs.running == {"a"}
        runs.finish("a", "1")
        assert runs.running == frozenset()

    def test_old_calls_and_large_results_are_forgotten(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(tool_runs, "KEPT_RUNS", 4)
        monkeypatch.setattr(tool_runs, "KEPT_RESULT_BYTES", 25)
        runs = ToolRuns()
        runs.withdraw("w")
        for call_id in "abcde":
            runs.request(call_id)
            runs.finish(call_id, "x" * 10)
        kept = {call_id: runs.result_of(call_id) for call_id in "abcde"}
        assert kept == {"a": None, "b": None, "c": None, "d": "x" * 10, "e": "x" * 10}
        assert [runs.request(call_id) for call_id in "wab"] == [Run.START, Run.START, Run.FINISHED]
        assert runs._kept_bytes == 20
        runs.finish("w", "x" * 26)
        assert (runs.result_of("w"), runs._kept_bytes) == (None, 0)

    def test_a_forgotten_result_gives_its_bytes_back(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(tool_runs, "KEPT_RUNS", 1)
        runs = ToolRuns()
        for call_id in "ab":
            runs.request(call_id)
            runs.finish(call_id, "x" * 10)
        assert runs._kept_bytes == 10


POLICIES = st.sampled_from(OnInterruption)
RESULTS: tuple[str | CallError, ...] = ("1", "null", CallError(ErrorCode.TOOL_FAILED, "no"))


class Schedules(RuleBasedStateMachine):
    """A server and a client over a line that drops, repeats, delays and reorders messages.

    The client's own results may be lost with the line; a call ends all the same, by its deadline.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = ToolCalls(
            default_timeout_ms=3000, accept_within_ms=500, max_open=4, max_result_bytes=100
        )
        self.runs = ToolRuns()
        self.now_ms = 0
        self.made: dict[str, Call] = {}
        self.down: list[tuple[str, str]] = []  # request or cancel, call_id
        self.up: list[tuple[str, str]] = []  # accept, progress, result, cancel; call_id
        self.results: dict[str, str | CallError] = {}
        self.started: dict[str, int] = {}
        self.ended: dict[str, Terminal] = {}
        self.hooked: set[str] = set()
        self.accept_due_ms: dict[str, int] = {}  # what the client must have taken by when
        self.attached = True

    def note(self, effects: list[Effect]) -> None:
        """Everything that the server's side is told passes here."""
        for effect in effects:
            if isinstance(effect, Terminal):
                assert effect.call_id not in self.ended, "ended twice"
                self.ended[effect.call_id] = effect
                if effect.withdraw:
                    self.down.append(("cancel", effect.call_id))
                if effect.output is not None:
                    assert effect.output == self.results[effect.call_id], "forged accepted"
            elif isinstance(effect, Late):
                assert effect.call_id not in self.hooked, "two late results"
                assert effect.result == self.results[effect.call_id], "forged accepted"
                self.hooked.add(effect.call_id)

    def due_ms(self, call_id: str) -> int:
        deadline_ms = self.made[call_id].deadline_ms
        return min(deadline_ms, self.accept_due_ms.get(call_id, deadline_ms))

    def open_ids(self) -> list[str]:
        return [call_id for call_id in self.made if call_id not in self.ended]

    @rule(
        client=st.booleans(),
        policy=POLICIES,
        timeout_ms=st.sampled_from([0, 100, 400, 1500]),
    )
    def request(self, client: bool, policy: OnInterruption, timeout_ms: int) -> None:
        number = len(self.made)
        call_id = f"c{number}"
        full = len(self.open_ids()) >= 4
        executor = Executor.CLIENT if client else Executor.SERVER
        try:
            call = self.calls.request(
                call_id,
                "tool",
                executor=executor,
                arguments="{}",
                now_ms=self.now_ms,
                timeout_ms=timeout_ms,
                policy=policy,
                call_token=number.to_bytes(16) if client else None,
            )
        except ToolUseError:
            assert full
            return
        assert not full
        self.made[call_id] = call
        self.results[call_id] = RESULTS[number % 3]
        if not client:
            self.started[call_id] = 1
        elif self.attached:
            self.down.append(("request", call_id))
            self.accept_due_ms[call_id] = self.now_ms + 500

    @precondition(lambda self: self.down)
    @rule(at=st.integers(0, 5), repeat=st.booleans(), drop=st.booleans())
    def to_client(self, at: int, repeat: bool, drop: bool) -> None:
        at = min(at, len(self.down) - 1)
        kind, call_id = self.down[at] if repeat else self.down.pop(at)
        if drop:
            return
        if kind == "cancel":
            self.runs.withdraw(call_id)
            return
        match self.runs.request(call_id):
            case Run.START:
                self.started[call_id] = self.started.get(call_id, 0) + 1
                self.up.append(("accept", call_id))
            case Run.RUNNING:
                self.up.append(("accept", call_id))
            case Run.FINISHED:
                assert self.runs.result_of(call_id) == self.results[call_id]
                self.up.append(("result", call_id))
            case _:
                pass

    @precondition(lambda self: self.down or self.up)
    @rule()
    def to_both(self) -> None:
        """A while without faults."""
        while self.down:
            self.to_client(0, repeat=False, drop=False)
        while self.up:
            self.to_server(0, repeat=False, drop=False)

    @precondition(lambda self: self.runs.running)
    @rule()
    def answer_twice(self) -> None:
        for call_id in sorted(self.runs.running):
            if self.runs.finish(call_id, self.results[call_id]):
                self.up.extend([("result", call_id)] * 2)

    @precondition(lambda self: self.runs.running)
    @rule(after_ms=st.integers(-1, 1))
    def answer_at_the_deadline(self, after_ms: int) -> None:
        call_id = min(self.runs.running)
        self.now_ms = max(self.now_ms, self.due_ms(call_id) + after_ms)
        self.runs.finish(call_id, self.results[call_id])
        self.arrive("result", call_id)

    @rule(keep=st.booleans(), passed_ms=st.sampled_from([50, 600, 2000]), tick=st.booleans())
    def be_away(self, keep: bool, passed_ms: int, tick: bool) -> None:
        self.lose(keep)
        self.pass_time(passed_ms, tick)
        self.resume()

    @precondition(lambda self: self.runs.running)
    @rule(at=st.integers(0, 3), finish=st.booleans())
    def work(self, at: int, finish: bool) -> None:
        running = sorted(self.runs.running)
        call_id = running[at % len(running)]
        if not finish:
            self.up.append(("progress", call_id))
        elif self.runs.finish(call_id, self.results[call_id]):
            self.up.append(("result", call_id))

    @precondition(lambda self: self.up)
    @rule(at=st.integers(0, 5), repeat=st.booleans(), drop=st.booleans())
    def to_server(self, at: int, repeat: bool, drop: bool) -> None:
        at = min(at, len(self.up) - 1)
        kind, call_id = self.up[at] if repeat else self.up.pop(at)
        if not drop:
            self.arrive(kind, call_id)

    def arrive(self, kind: str, call_id: str) -> None:
        call = self.made[call_id]
        in_time = call_id not in self.ended and self.now_ms < self.due_ms(call_id)
        if in_time:
            self.accept_due_ms.pop(call_id, None)
        if kind == "accept":
            effects = self.calls.accept(call_id, now_ms=self.now_ms)
        elif kind == "progress":
            effects = self.calls.progress(call_id, now_ms=self.now_ms)
        else:
            assert call.call_token is not None
            result, token = self.results[call_id], call.call_token
            effects = self.calls.result(call_id, result, now_ms=self.now_ms, call_token=token)
            if in_time:
                assert [type(effect) for effect in effects] == [Terminal], "lost"
            else:
                assert all(isinstance(e, Terminal | Late | Refused | Duplicate) for e in effects)
                due = [effect for effect in effects if isinstance(effect, Terminal)]
                assert all(effect.withdraw for effect in due), "late accepted"
        self.note(effects)
        if in_time and kind != "result":
            assert not any(isinstance(effect, Refused | Terminal) for effect in effects)

    @precondition(lambda self: self.made)
    @rule(at=st.integers(0, 200), flip=st.integers(0, 127), other=st.sampled_from(RESULTS))
    def forge(self, at: int, flip: int, other: str | CallError) -> None:
        """A result with a wrong token, for a call of the server, or of another session."""
        call_id = f"c{at % (len(self.made) + 1)}"
        call = self.made.get(call_id)
        token = bytearray((call and call.call_token) or bytes(16))
        token[flip // 8] ^= 1 << flip % 8
        before = self.calls.state(call_id)
        effects = self.calls.result(call_id, other, now_ms=self.now_ms, call_token=bytes(token))
        assert isinstance(effects[-1], Refused)
        due = [effect for effect in effects[:-1] if isinstance(effect, Terminal)]
        assert len(effects) == len(due) + 1
        if due:
            assert due[0].output is None
        else:
            assert self.calls.state(call_id) is before
        self.note(effects)

    @rule(passed_ms=st.sampled_from([0, 1, 50, 200, 600, 2000]), tick=st.booleans())
    def pass_time(self, passed_ms: int, tick: bool) -> None:
        self.now_ms += passed_ms
        if not tick:
            return
        due = {
            call_id: "timed_out" if self.due_ms(call_id) == call.deadline_ms else "failed"
            for call_id, call in self.made.items()
            if call_id not in self.ended and self.due_ms(call_id) <= self.now_ms
        }
        waiting = [self.due_ms(call_id) for call_id in self.open_ids() if call_id not in due]
        effects = self.calls.tick(self.now_ms)
        self.note(effects)
        assert {e.call_id: e.outcome for e in effects if isinstance(e, Terminal)} == due
        assert self.calls.next_due_ms == min(waiting, default=None)

    @rule()
    def barge_in(self) -> None:
        effects = self.calls.interrupted(self.now_ms)
        self.note(effects)
        left = [self.made[call_id].policy for call_id in self.open_ids()]
        assert OnInterruption.CANCEL not in left
        asked = [effect for effect in effects if isinstance(effect, AskPolicy)]
        assert len(asked) == left.count(OnInterruption.ASK)

    @precondition(lambda self: self.made)
    @rule(at=st.integers(0, 200), by=st.sampled_from(Executor))
    def cancel(self, at: int, by: Executor) -> None:
        call_id = f"c{at % len(self.made)}"
        effects = self.calls.cancel(call_id, "", now_ms=self.now_ms, by=by)
        self.note(effects)
        own = by is Executor.SERVER or self.made[call_id].executor is by
        assert (call_id in self.ended) or not own

    @precondition(lambda self: any(self.made[c].executor == "server" for c in self.open_ids()))
    @rule()
    def finish_on_server(self) -> None:
        call_id = next(c for c in self.open_ids() if self.made[c].executor == "server")
        result = self.results[call_id]
        self.note(self.calls.result(call_id, result, now_ms=self.now_ms, by=Executor.SERVER))
        assert call_id in self.ended

    @rule(keep=st.booleans())
    def lose(self, keep: bool) -> None:
        """The line breaks; ``keep``: what is under way arrives all the same, some time."""
        self.calls.on_lost()
        self.accept_due_ms.clear()
        self.attached = False
        if not keep:
            self.down.clear()
            self.up.clear()

    @rule()
    def resume(self) -> None:
        self.note(self.calls.tick(self.now_ms))
        waiting = [
            call
            for call in self.calls.open_calls
            if call.executor == "client" and self.calls.state(call.call_id) == "requested"
        ]
        again = self.calls.redeliver(self.now_ms)
        assert again == ([] if self.attached else waiting)
        assert all(call == self.made[call.call_id] for call in again)
        assert self.calls.redeliver(self.now_ms) == []
        self.attached = True
        self.down.extend(("request", call.call_id) for call in again)
        self.accept_due_ms |= {call.call_id: self.now_ms + 500 for call in again}

    @invariant()
    def nothing_runs_twice_and_everything_is_somewhere(self) -> None:
        assert all(count == 1 for count in self.started.values()), "executed twice"
        assert [call.call_id for call in self.calls.open_calls] == self.open_ids(), "lost"
        for call_id in self.open_ids():
            assert self.calls.state(call_id) in ("requested", "accepted", "running")

    def teardown(self) -> None:
        """With time, whatever happened, every call has ended once."""
        self.note(self.calls.tick(self.now_ms + 3000))
        assert self.ended.keys() == self.made.keys(), "lost"
        assert self.calls.next_due_ms is None


def schedules(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


Schedules.TestCase.settings = schedules(2_000, 12)
TestSchedules = Schedules.TestCase


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_fifty_thousand_schedules() -> None:
    run_state_machine_as_test(Schedules, settings=schedules(50_000, 30))
