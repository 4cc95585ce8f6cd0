"""Scripts for ``tools``: what happens to calls, and what must come of it."""

from collections.abc import Iterator
from typing import Any

Case = dict[str, Any]

TOKEN = "00112233445566778899aabbccddeeff"
FORGED = "00112233445566778899aabbccddeef0"
CLOSED = "TOOL_CLOSED"
FORBIDDEN = "FORBIDDEN"


def cases() -> Iterator[tuple[str, Case]]:
    """File name and content of each script."""
    for make in (
        _client_call,
        _server_call,
        _result_at_once,
        _failed,
        _forged,
        _wrong_side,
        _unknown,
        _duplicate,
        _late,
        _deadline,
        _deadline_without_tick,
        _not_accepted,
        _cancelling,
        _interrupted,
        _redelivery,
        _too_large,
        _no_token,
        _refused_requests,
        _forgotten,
        _runs,
        _runs_withdrawn,
    ):
        yield make.__name__[1:].replace("_", "-"), make()


def _case(about: str, *steps: Case, **options: int) -> Case:
    defaults = {
        "default_timeout_ms": 10000,
        "accept_within_ms": 2000,
        "max_open": 32,
        "max_result_bytes": 49152,
    }
    return {"about": about, "kind": "calls", "options": defaults | options, "steps": list(steps)}


def _request(now_ms: int, call_id: str = "a", *, error: str = "", **changes: Any) -> Case:
    step: Case = {
        "op": "request",
        "now_ms": now_ms,
        "call_id": call_id,
        "name": "show_map",
        "executor": "client",
        "arguments": "{}",
        "timeout_ms": 0,
        "policy": "cancel",
        "call_token": TOKEN,
        **changes,
    }
    return step | {"error": error} if error else step


def _server(now_ms: int, call_id: str = "a", **changes: Any) -> Case:
    return _request(now_ms, call_id, executor="server", call_token=None, **changes)


def _accept(now_ms: int, *effects: Case, call_id: str = "a", by: str = "client") -> Case:
    return {"op": "accept", "now_ms": now_ms, "call_id": call_id, "by": by, "effects": [*effects]}


def _progress(now_ms: int, *effects: Case, call_id: str = "a", by: str = "client") -> Case:
    return _accept(now_ms, *effects, call_id=call_id, by=by) | {"op": "progress"}


def _result(
    now_ms: int,
    *effects: Case,
    call_id: str = "a",
    output: str = "1",
    error: str = "",
    token: str = TOKEN,
    by: str = "client",
) -> Case:
    step: Case = {"op": "result", "now_ms": now_ms, "call_id": call_id, "call_token": token}
    step |= {"error": error} if error else {"output": output}
    return step | {"by": by, "effects": [*effects]}


def _cancel(now_ms: int, *effects: Case, call_id: str = "a", by: str = "server") -> Case:
    return _accept(now_ms, *effects, call_id=call_id, by=by) | {"op": "cancel", "reason": "why"}


def _interrupt(now_ms: int, *effects: Case) -> Case:
    return {"op": "interrupted", "now_ms": now_ms, "effects": [*effects]}


def _tick(now_ms: int, *effects: Case, then: int | None = None) -> Case:
    return {"op": "tick", "now_ms": now_ms, "effects": [*effects], "next_due_ms": then}


def _lost() -> Case:
    return {"op": "on_lost"}


def _redeliver(now_ms: int, *call_ids: str, then: int | None = None) -> Case:
    return {"op": "redeliver", "now_ms": now_ms, "calls": [*call_ids], "next_due_ms": then}


def _state(call_id: str, state: str | None) -> Case:
    return {"op": "state", "call_id": call_id, "state": state}


def _moved(state: str, call_id: str = "a") -> Case:
    return {"effect": "moved", "call_id": call_id, "state": state}


def _refused(code: str, call_id: str = "a") -> Case:
    return {"effect": "refused", "call_id": call_id, "code": code}


def _same(call_id: str = "a") -> Case:
    return {"effect": "duplicate", "call_id": call_id}


def _ask(call_id: str) -> Case:
    return {"effect": "ask_policy", "call_id": call_id}


def _late_effect(outcome: str, late_ms: int, call_id: str = "a") -> Case:
    return {"effect": "late", "call_id": call_id, "outcome": outcome, "late_ms": late_ms}


def _ended(
    outcome: str,
    duration_ms: int,
    call_id: str = "a",
    *,
    output: str | None = None,
    error: str | None = None,
    withdraw: bool = False,
) -> Case:
    return {
        "effect": "terminal",
        "call_id": call_id,
        "outcome": outcome,
        "output": output,
        "error": error,
        "duration_ms": duration_ms,
        "withdraw": withdraw,
    }


def _done(duration_ms: int, call_id: str = "a", output: str = "1") -> Case:
    return _ended("done", duration_ms, call_id, output=output)


def _timed_out(duration_ms: int, call_id: str = "a", *, withdraw: bool = True) -> Case:
    return _ended("timed_out", duration_ms, call_id, error="TIMEOUT", withdraw=withdraw)


def _cancelled(duration_ms: int, call_id: str = "a", *, withdraw: bool = True) -> Case:
    return _ended("cancelled", duration_ms, call_id, withdraw=withdraw)


def _unreachable(duration_ms: int, call_id: str = "a") -> Case:
    return _ended("failed", duration_ms, call_id, error="UNREACHABLE", withdraw=True)


def _client_call() -> Case:
    return _case(
        "a client takes a request, says that it runs, and answers",
        _request(1000),
        _state("a", "requested"),
        _tick(2999, then=3000),
        _accept(2999, _moved("accepted")),
        _tick(3000, then=11000),
        _progress(4000, _moved("running")),
        _progress(4001),
        _accept(4002),
        _tick(4002, then=11000),
        _result(5000, _done(4000)),
        _state("a", "done"),
        _tick(99999),
    )


def _server_call() -> Case:
    return _case(
        "a tool of the server goes the same way; nothing waits for its acceptance",
        _server(0),
        _tick(9999, then=10000),
        _accept(9999, _moved("accepted"), by="server"),
        _progress(9999, _moved("running"), by="server"),
        _result(9999, _done(9999, output='{"x":1}'), by="server", output='{"x":1}', token=""),
        _server(10000, "b", timeout_ms=50),
        _tick(10050, _timed_out(50, "b", withdraw=False)),
    )


def _result_at_once() -> Case:
    return _case(
        "a result or progress without acceptance counts as acceptance",
        _request(0),
        _result(1, _done(1)),
        _request(2, "b"),
        _progress(3, _moved("running", "b"), call_id="b"),
        _tick(2002, then=10002),
    )


def _failed() -> Case:
    return _case(
        "an error ends a call too, and falsy outputs are outputs",
        _request(0),
        _result(1, _ended("failed", 1, error="TOOL_FAILED"), error="TOOL_FAILED"),
        _request(2, "b"),
        _result(3, _done(1, "b", "null"), call_id="b", output="null"),
        _request(4, "c"),
        _result(5, _done(1, "c", ""), call_id="c", output=""),
    )


def _forged() -> Case:
    return _case(
        "a result without the call's token changes nothing, before and after the end",
        _request(0),
        _result(1, _refused(FORBIDDEN), token=FORGED),
        _result(1, _refused(FORBIDDEN), token=""),
        _result(1, _refused(FORBIDDEN), token=TOKEN + "00"),
        _state("a", "requested"),
        _result(2, _done(2)),
        _result(3, _refused(FORBIDDEN), token=FORGED),
        _request(4, "b"),
        _cancel(5, _cancelled(1, "b"), call_id="b"),
        _result(6, _refused(FORBIDDEN, "b"), call_id="b", token=FORGED),
        _result(7, _late_effect("cancelled", 2, "b"), _refused(CLOSED, "b"), call_id="b"),
    )


def _wrong_side() -> Case:
    return _case(
        "a client has no say in what the server runs, nor the server's tools in the client's",
        _server(0),
        _accept(1, _refused(FORBIDDEN)),
        _progress(1, _refused(FORBIDDEN)),
        _result(1, _refused(FORBIDDEN), token=""),
        _result(1, _refused(FORBIDDEN)),
        _cancel(1, _refused(FORBIDDEN), by="client"),
        _state("a", "requested"),
        _request(2, "b"),
        _accept(3, _refused(FORBIDDEN, "b"), call_id="b", by="server"),
        _result(3, _refused(FORBIDDEN, "b"), call_id="b", by="server"),
        _tick(10000, _unreachable(9998, "b"), _timed_out(10000, withdraw=False)),
        _cancel(10001, _refused(FORBIDDEN), by="client"),
        _result(10001, _refused(FORBIDDEN)),
    )


def _unknown() -> Case:
    return _case(
        "calls of another session are unknown here",
        _accept(0, _refused(CLOSED)),
        _progress(0, _refused(CLOSED)),
        _result(0, _refused(CLOSED)),
        _cancel(0, _refused(CLOSED), by="client"),
        _cancel(0, _refused(CLOSED)),
        _state("a", None),
    )


def _duplicate() -> Case:
    return _case(
        "the same result again is nothing; another one is refused",
        _request(0),
        _result(1, _done(1)),
        _result(2, _same()),
        _accept(2, _same()),
        _progress(2, _same()),
        _cancel(2, by="client"),
        _cancel(2),
        _result(2, _refused(CLOSED), output="2"),
        _result(2, _refused(CLOSED), error="TOOL_FAILED"),
        _request(3, "b"),
        _result(4, _ended("failed", 1, "b", error="TOOL_FAILED"), call_id="b", error="TOOL_FAILED"),
        _result(5, _same("b"), call_id="b", error="TOOL_FAILED"),
        _result(5, _refused(CLOSED, "b"), call_id="b"),
        _state("b", "failed"),
    )


def _late() -> Case:
    return _case(
        "the first genuine result after an end without one goes to the hook",
        _request(0, timeout_ms=100),
        _accept(1, _moved("accepted")),
        _tick(150, _timed_out(150)),
        _accept(151, _refused(CLOSED)),
        _progress(151, _refused(CLOSED)),
        _result(170, _late_effect("timed_out", 20), _refused(CLOSED)),
        _result(171, _refused(CLOSED)),
        _result(172, _refused(CLOSED), output="2"),
        _state("a", "timed_out"),
    )


def _deadline() -> Case:
    return _case(
        "progress does not move the deadline; what is due first ends first",
        _request(0, timeout_ms=300),
        _accept(1, _moved("accepted")),
        _request(0, "b", timeout_ms=200),
        _accept(1, _moved("accepted", "b"), call_id="b"),
        _progress(199, _moved("running", "b"), call_id="b"),
        _tick(199, then=200),
        _tick(400, _timed_out(400, "b"), _timed_out(400)),
        _tick(401),
    )


def _deadline_without_tick() -> Case:
    return _case(
        "at its deadline a call is over, whatever comes first",
        _request(0, timeout_ms=100),
        _result(100, _timed_out(100), _late_effect("timed_out", 0), _refused(CLOSED)),
        _request(200, "b", timeout_ms=100),
        _result(300, _timed_out(100, "b"), _refused(FORBIDDEN, "b"), call_id="b", token=FORGED),
        _request(400, "c", timeout_ms=100),
        _cancel(500, _timed_out(100, "c"), call_id="c"),
        _request(600, "d", timeout_ms=100),
        _accept(700, _timed_out(100, "d"), _refused(CLOSED, "d"), call_id="d"),
        _request(800, "e", timeout_ms=100),
        _interrupt(900, _timed_out(100, "e")),
        _request(1000, "f", timeout_ms=100),
        _result(1099, _done(99, "f"), call_id="f"),
    )


def _not_accepted() -> Case:
    return _case(
        "a client that does not take a request in time is unreachable",
        _request(0),
        _tick(1999, then=2000),
        _tick(2000, _unreachable(2000)),
        _result(2001, _late_effect("failed", 1), _refused(CLOSED)),
        _request(3000, "b", timeout_ms=2000),
        _tick(5000, _timed_out(2000, "b")),
    )


def _cancelling() -> Case:
    return _case(
        "either side withdraws; the client is told of what it does not know",
        _request(0),
        _accept(1, _moved("accepted")),
        _cancel(5, _cancelled(5)),
        _cancel(6),
        _request(10, "b"),
        _cancel(15, _cancelled(5, "b", withdraw=False), call_id="b", by="client"),
        _server(20, "c"),
        _cancel(25, _cancelled(5, "c", withdraw=False), call_id="c"),
    )


def _interrupted() -> Case:
    return _case(
        "each call's own policy decides at an interruption",
        _request(0, "a", policy="cancel"),
        _request(0, "b", policy="finish"),
        _request(0, "c", policy="ask"),
        _server(0, "d", policy="cancel"),
        _server(0, "e", policy="finish"),
        _interrupt(
            10,
            _cancelled(10, "a"),
            _ask("c"),
            _cancelled(10, "d", withdraw=False),
        ),
        _interrupt(11, _ask("c")),
        _cancel(12, _cancelled(12, "c"), call_id="c"),
        _result(13, _done(13, "b"), call_id="b"),
        _interrupt(14),
        _tick(10000, _timed_out(10000, "e", withdraw=False)),
    )


def _redelivery() -> Case:
    return _case(
        "after a resume the requests that were not accepted go out again, once",
        _request(0, "a"),
        _request(0, "b"),
        _server(0, "c"),
        _accept(1, _moved("accepted", "b"), call_id="b"),
        _redeliver(2, then=2000),
        _lost(),
        _lost(),
        _request(100, "d"),
        _tick(5000, then=10000),
        _redeliver(5000, "a", "d", then=7000),
        _redeliver(5001, then=7000),
        _accept(5002, _moved("accepted"), call_id="a"),
        _lost(),
        _redeliver(6000, "d", then=8000),
        _tick(8000, _unreachable(7900, "d"), then=10000),
        _result(8001, _done(8001), call_id="a"),
        _result(8002, _done(8002, "b"), call_id="b"),
        _lost(),
        _redeliver(9000, then=10000),
    )


def _too_large() -> Case:
    return _case(
        "a result above the limit fails the call, and a late one goes nowhere",
        _request(0),
        _result(1, _ended("failed", 1, error="TOO_LARGE"), output='"éé"'),
        _result(2, _same(), output='"éé"'),
        _request(3, "b"),
        _result(4, _done(1, "b", '"é"'), call_id="b", output='"é"'),
        _request(5, "c"),
        _cancel(6, _cancelled(1, "c"), call_id="c"),
        _result(7, _refused(CLOSED, "c"), call_id="c", output='"éé"'),
        _result(8, _late_effect("cancelled", 2, "c"), _refused(CLOSED, "c"), call_id="c"),
        max_result_bytes=5,
    )


def _no_token() -> Case:
    return _case(
        "a client whose protocol has no tokens: the other conditions hold",
        _request(0, call_token=None),
        _result(1, _done(1), token=""),
        _result(2, _same(), token=""),
        _result(2, _refused(CLOSED), token="", output="2"),
    )


def _refused_requests() -> Case:
    return _case(
        "requests that cannot be opened",
        _request(0),
        _request(0, error="INVALID_ARGUMENT"),
        _request(0, "b", error="INVALID_ARGUMENT", timeout_ms=-1),
        _request(0, "b", error="INVALID_ARGUMENT", call_token="00" * 15),
        _request(0, "b", error="INVALID_ARGUMENT", call_token=""),
        _request(0, "b", error="INVALID_ARGUMENT", executor="server"),
        _request(0, "b"),
        _request(0, "c", error="CAPACITY"),
        _result(1, _done(1)),
        _request(2, error="INVALID_ARGUMENT"),
        _request(2, "c"),
        max_open=2,
    )


def _forgotten() -> Case:
    steps: list[Case] = []
    for number in range(257):
        steps.append(_request(number, f"n{number}"))
        steps.append(_result(number, _done(0, f"n{number}"), call_id=f"n{number}"))
    return _case(
        "256 ended calls are remembered; an older one is unknown",
        *steps,
        _result(300, _refused(CLOSED, "n0"), call_id="n0"),
        _result(300, _same("n1"), call_id="n1"),
        _state("n0", None),
    )


def _run(op: str, call_id: str, run: str) -> Case:
    return {"op": op, "call_id": call_id, "run": run}


def _finish(call_id: str, output: str, sent: bool) -> Case:
    return {"op": "finish", "call_id": call_id, "output": output, "sent": sent}


def _kept(call_id: str, output: str | None) -> Case:
    return {"op": "result_of", "call_id": call_id, "output": output}


def _runs() -> Case:
    return {
        "about": "the executing side runs a call at most once",
        "kind": "runs",
        "steps": [
            _run("request", "a", "start"),
            _run("request", "a", "running"),
            _kept("a", None),
            _finish("a", "1", True),
            _finish("a", "2", False),
            _run("request", "a", "finished"),
            _kept("a", "1"),
            _run("withdraw", "a", "ignore"),
            _run("request", "a", "finished"),
        ],
    }


def _runs_withdrawn() -> Case:
    return {
        "about": "a withdrawn call is stopped, and never started when the withdrawal came first",
        "kind": "runs",
        "steps": [
            _run("request", "a", "start"),
            _run("withdraw", "a", "stop"),
            _finish("a", "1", False),
            _run("request", "a", "ignore"),
            _run("withdraw", "b", "ignore"),
            _run("request", "b", "ignore"),
            _finish("b", "1", False),
            _kept("b", None),
        ],
    }
