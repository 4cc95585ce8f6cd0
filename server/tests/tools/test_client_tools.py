"""Tool calls on a clock: requests, deadlines, ends; a session that only notes what it is told."""

import asyncio
from typing import Any

import pytest

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.tool_spec import ToolSpec
from voxwire_protocol.tools import OnInterruption
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.tools.client_tools import SessionTools
from voxwire_server.tools.values import LateResult, Outcome, ServerCall

SPEC = ToolSpec("show", "Shows.", {"type": "object"}, timeout_ms=5_000)
LEVEL = wire.ToolReportLevel


@pytest.fixture
def port() -> FakePort:
    return FakePort()


@pytest.fixture
def tools(port: FakePort) -> SessionTools:
    return SessionTools(port)


def begin(tools: SessionTools, call_id: str = "a", **options: Any) -> "asyncio.Task[Outcome]":
    """A call as the pipeline makes it: told first, then run."""
    tools.calls.called(call_id, "show", {}, response_id="r1")
    return asyncio.ensure_future(tools.runner.run_client(call_id, SPEC, {}, **options))


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def answer(tools: SessionTools, request: wire.ToolRequest, text: str = "1") -> None:
    result = wire.ToolResult(
        call_id=request.call_id, call_token=request.call_token, result_json=text
    )
    tools.on_message(wire.Envelope(tool_result=result))


@in_virtual_time
async def test_a_call_is_requested_answered_and_reported_once(
    port: FakePort, tools: SessionTools
) -> None:
    running = begin(tools)
    await turn()
    [request] = port.of("tool_request")
    assert (request.name, request.arguments_json, request.timeout_ms) == ("show", "{}", 5_000)
    assert [call.call_id for call in tools.reports.open_calls()] == ["a"]
    answer(tools, request, '{"x":1}')
    answer(tools, request, '{"x":1}')
    outcome = await running
    assert (str(outcome.outcome), outcome.value) == ("done", {"x": 1})
    assert [str(m.call_id) for m in port.of("tool_call_ended")] == ["a"]
    assert port.errors == [] and tools.reports.open_calls() == []


@in_virtual_time
async def test_the_timer_ends_a_call_at_its_deadline(
    port: FakePort, tools: SessionTools, time: VirtualTime
) -> None:
    began = time.now_ms()
    running = begin(tools, timeout_ms=30)
    assert str((await running).outcome) == "timed_out"
    assert time.now_ms() - began == pytest.approx(30, abs=1)
    [cancel] = port.of("tool_cancel")
    assert cancel.call_id == "a"


@in_virtual_time
async def test_an_id_that_the_model_uses_again_is_another_call(
    port: FakePort, tools: SessionTools
) -> None:
    for number in range(3):
        running = begin(tools)
        await turn()
        answer(tools, port.of("tool_request")[-1], str(number))
        assert (await running).value == number
    ids = [request.call_id for request in port.of("tool_request")]
    assert len(set(ids)) == 3
    assert [m.call_id for m in port.of("tool_call_ended")] == ids


@in_virtual_time
async def test_a_cancelled_wait_withdraws_the_call(port: FakePort, tools: SessionTools) -> None:
    running = begin(tools)
    await turn()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [m.call_id for m in port.of("tool_cancel")] == ["a"]
    [ended] = port.of("tool_call_ended")
    assert ended.outcome == wire.ToolOutcome.TOOL_OUTCOME_CANCELLED


@in_virtual_time
async def test_what_was_not_taken_is_sent_again_once_after_a_resume(
    port: FakePort, tools: SessionTools, time: VirtualTime
) -> None:
    taken, open_call = begin(tools, "taken"), begin(tools, "open")
    await turn()
    tools.on_message(wire.Envelope(tool_accepted=wire.ToolAccepted(call_id="taken")))
    tools.calls.on_lost()
    new = begin(tools, "new")
    await turn()
    assert [m.call_id for m in port.of("tool_request")] == ["taken", "open"]
    await time.advance(2_500)  # a client that is away takes nothing, and need not
    tools.calls.on_resumed()
    tools.calls.on_resumed()
    again = port.of("tool_request")[2:]
    assert [(m.call_id, m.timeout_ms) for m in again] == [("open", 2_500), ("new", 2_500)]
    first = {m.call_id: m.call_token for m in port.of("tool_request")[:2]}
    assert again[0].call_token == first["open"]
    for request in [port.of("tool_request")[0], *again]:
        answer(tools, request)
    assert [(await call).value for call in (taken, open_call, new)] == [1, 1, 1]


@in_virtual_time
async def test_interruptions_cancel_finish_or_ask(port: FakePort, tools: SessionTools) -> None:
    asked: list[str] = []

    async def decide(call: Any) -> bool:
        asked.append(call.call_id)
        return call.call_id == "asked"

    tools.on_interrupted = decide
    calls = {
        "cancelled": begin(tools, "cancelled", policy=OnInterruption.CANCEL),
        "finished": begin(tools, "finished", policy=OnInterruption.FINISH),
        "asked": begin(tools, "asked", policy=OnInterruption.ASK),
        "kept": begin(tools, "kept", policy=OnInterruption.ASK),
    }
    await turn()
    tools.calls.interrupted()
    await turn()
    assert asked == ["asked", "kept"]
    for name in ("cancelled", "asked"):
        outcome = await calls[name]
        assert (str(outcome.outcome), outcome.interrupted) == ("cancelled", True)
    for request in port.of("tool_request"):
        if request.call_id in ("finished", "kept"):
            answer(tools, request)
    assert [str((await calls[name]).outcome) for name in ("finished", "kept")] == ["done"] * 2


@in_virtual_time
async def test_hooks_that_raise_harm_nothing(port: FakePort, tools: SessionTools) -> None:
    def broken(_: Any) -> None:
        raise ZeroDivisionError

    tools.on_interrupted = tools.on_late = tools.on_progress = broken
    running = begin(tools, policy=OnInterruption.ASK)
    await turn()
    tools.on_message(wire.Envelope(tool_progress=wire.ToolProgress(call_id="a", note_json="1")))
    tools.calls.interrupted()
    await turn()
    answer(tools, port.of("tool_request")[0])
    assert (await running).value == 1


@in_virtual_time
async def test_a_late_result_is_told_once_and_an_unreadable_one_not_at_all(
    port: FakePort, tools: SessionTools
) -> None:
    told: list[LateResult] = []
    tools.on_late = told.append
    tools.declared["show"] = SPEC
    for call_id, text in (("a", "7"), ("b", "{")):
        running = begin(tools, call_id)
        await turn()
        tools.calls.cancel(call_id, "enough")
        assert str((await running).outcome) == "cancelled"
        answer(tools, port.of("tool_request")[-1], text)
        answer(tools, port.of("tool_request")[-1], text)
        await turn()
    assert [(late.call_id, late.value) for late in told] == [("a", 7)]
    assert set(port.codes) == {ErrorCode.TOOL_CLOSED}


@in_virtual_time
async def test_server_tools_end_once_and_are_stopped_at_their_deadline(
    port: FakePort, tools: SessionTools
) -> None:
    went_on, stopped = asyncio.Event(), asyncio.Event()

    async def early(call: ServerCall) -> None:
        call.progress({"half": True})
        call.finish("first")
        call.finish("second")
        call.progress("too late")
        await asyncio.sleep(0)
        went_on.set()

    async def hangs(_: ServerCall) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def raises(_: ServerCall) -> None:
        raise LookupError("secret")

    async def run(call_id: str, work: Any, spec: ToolSpec = SPEC) -> Outcome:
        tools.calls.called(call_id, "show", {"k": 1}, response_id="r1")
        return await tools.runner.run_server(call_id, spec, {}, work)

    tools.reports.levels["*"] = LEVEL.TOOL_REPORT_LEVEL_FULL
    assert (await run("a", early)).value == "first"
    await went_on.wait()
    short = ToolSpec("show", "", {"type": "object"}, timeout_ms=20)
    assert str((await run("b", hangs, short)).outcome) == "timed_out"
    await stopped.wait()
    failed = await run("c", raises)
    assert failed.error is not None and failed.error.reason == "LookupError"
    assert [m.note_json for m in port.of("tool_progress")] == ['{"half": true}']
    assert [m.result_json for m in port.of("tool_call_ended")] == ['"first"', "", ""]
    assert port.errors == []


@in_virtual_time
async def test_ten_thousand_forged_results_reach_nobody(
    port: FakePort, tools: SessionTools
) -> None:
    told: list[Any] = []
    tools.on_late = told.append
    running = begin(tools)
    await turn()
    [request] = port.of("tool_request")
    for number in range(10_000):
        forged = wire.ToolRequest(call_id="a" if number % 2 else f"guess{number}")
        forged.call_token = number.to_bytes(16, "big") if number % 3 else b""
        answer(tools, forged, '"forged"')
    assert not running.done() and told == []
    assert len(port.errors) == 10_000
    assert set(port.codes) == {ErrorCode.FORBIDDEN, ErrorCode.TOOL_CLOSED}
    answer(tools, request)
    assert (await running).value == 1


@in_virtual_time
async def test_what_is_hidden_stays_hidden(port: FakePort, tools: SessionTools) -> None:
    async def work(_: ServerCall) -> str:
        return "secret"

    tools.reports.levels["show"] = LEVEL.TOOL_REPORT_LEVEL_HIDDEN
    tools.calls.called("a", "show", {"secret": 1}, response_id="r1")
    assert tools.reports.open_calls() == []
    assert (await tools.runner.run_server("a", SPEC, {}, work)).value == "secret"
    assert port.sent == []


@in_virtual_time
async def test_closing_ends_every_wait_and_says_nothing(
    port: FakePort, tools: SessionTools
) -> None:
    running = begin(tools)
    await turn()
    sent = len(port.sent)
    tools.calls.close()
    assert str((await running).outcome) == "cancelled"
    answer(tools, port.of("tool_request")[0])
    assert port.sent[sent:] == [] and port.errors == []
