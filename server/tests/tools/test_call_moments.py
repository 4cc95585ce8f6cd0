"""When a tool call ends, to the millisecond: deadlines, acceptance, loss, lateness, forgery."""

import asyncio
from typing import Any

import pytest

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.event_enums import ToolOutcome
from voxwire_protocol.tool_spec import ToolSpec
from voxwire_protocol.tools import OnInterruption
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.tools.client_tools import SessionTools
from voxwire_server.tools.values import LateResult, Outcome, ServerCall

SPEC = ToolSpec(
    "show", "Shows.", {"type": "object", "properties": {"n": {"type": "integer"}}}, timeout_ms=0
)
ACCEPT_MS = 2_000
DEFAULT_MS = 10_000


class Bench:
    """The tools of one session, its only call, and how long that took."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.port = FakePort()
        self.tools = SessionTools(self.port)
        self.began_ms = time.now_ms()
        self.outcomes: dict[str, tuple[Outcome, float]] = {}
        self._running: list[asyncio.Task[None]] = []

    async def call(self, model_id: str = "a", *, accept: bool = False, **options: Any) -> None:
        self.tools.calls.called(model_id, "show", {}, response_id="r1")
        arguments = options.pop("arguments", {})

        async def run() -> None:
            runner = self.tools.runner
            outcome = await runner.run_client(model_id, SPEC, arguments, **options)
            self.outcomes[model_id] = outcome, self.time.now_ms() - self.began_ms

        self._running.append(asyncio.ensure_future(run()))
        await self.time.settle()
        if accept:
            self.say(tool_accepted=wire.ToolAccepted(call_id=model_id))

    def say(self, **payload: Any) -> None:
        self.tools.on_message(wire.Envelope(**payload))

    def answer(self, text: str = "1", *, at: int = -1, token: bytes | None = None) -> None:
        request = self.port.of("tool_request")[at]
        result = wire.ToolResult(call_id=request.call_id, result_json=text)
        result.call_token = request.call_token if token is None else token
        self.say(tool_result=result)

    async def end_of(self, model_id: str = "a") -> tuple[ToolOutcome, float, ErrorCode | None]:
        """How a call ended, after how many ms, and with which error."""
        while model_id not in self.outcomes:
            await self.time.advance(1)
        outcome, at_ms = self.outcomes[model_id]
        return outcome.outcome, at_ms, None if outcome.error is None else outcome.error.code


@in_virtual_time
async def test_a_call_that_nobody_takes_fails_after_two_seconds(time: VirtualTime) -> None:
    bench = Bench(time)
    await bench.call()
    outcome, at_ms, code = await bench.end_of()
    assert (outcome, code) == (ToolOutcome.FAILED, ErrorCode.UNREACHABLE)
    assert at_ms == pytest.approx(ACCEPT_MS, abs=2)
    assert len(bench.port.of("tool_cancel")) == 1


@in_virtual_time
async def test_a_call_that_was_taken_ends_at_its_deadline_which_nothing_moves(
    time: VirtualTime,
) -> None:
    bench = Bench(time)
    await bench.call(accept=True)
    for _ in range(4):
        await time.advance(2_000)
        bench.say(tool_progress=wire.ToolProgress(call_id="a", note_json="1"))
    bench.tools.calls.on_lost()
    bench.tools.calls.on_resumed()
    outcome, at_ms, code = await bench.end_of()
    assert (outcome, code) == (ToolOutcome.TIMED_OUT, ErrorCode.TIMEOUT)
    assert at_ms == pytest.approx(DEFAULT_MS, abs=2)


@in_virtual_time
async def test_a_result_a_moment_before_the_deadline_counts_and_at_it_is_late(
    time: VirtualTime,
) -> None:
    for wait_ms, expected in ((299, ToolOutcome.DONE), (301, ToolOutcome.TIMED_OUT)):
        bench = Bench(time)
        await bench.call(accept=True, timeout_ms=300)
        await time.advance(wait_ms)
        bench.answer()
        assert (await bench.end_of())[0] is expected
        assert bench.port.codes == ([] if expected is ToolOutcome.DONE else [ErrorCode.TOOL_CLOSED])
        assert len(bench.port.of("tool_call_ended")) == 1


@in_virtual_time
async def test_each_of_many_calls_ends_at_its_own_deadline(time: VirtualTime) -> None:
    bench = Bench(time)
    deadlines = {"a": 900, "b": 100, "c": 500, "d": 101}
    for name, timeout_ms in deadlines.items():
        await bench.call(name, accept=True, timeout_ms=timeout_ms)
    await time.advance(2_000)
    ended = {name: at_ms for name, (_, at_ms) in bench.outcomes.items()}
    assert ended == pytest.approx(deadlines, abs=2)
    assert list(ended) == ["b", "d", "c", "a"]


@in_virtual_time
async def test_while_the_client_is_away_acceptance_rests_and_begins_anew(
    time: VirtualTime,
) -> None:
    bench = Bench(time)
    await bench.call(timeout_ms=60_000)
    await time.advance(1_900)
    bench.tools.calls.on_lost()
    await time.advance(30_000)
    assert bench.outcomes == {}
    bench.tools.calls.on_resumed()
    first, again = bench.port.of("tool_request")
    assert (again.call_id, again.call_token) == (first.call_id, first.call_token)
    assert again.timeout_ms == pytest.approx(28_100, abs=2)
    _, at_ms, code = await bench.end_of()
    assert code is ErrorCode.UNREACHABLE
    assert at_ms == pytest.approx(31_900 + ACCEPT_MS, abs=2)


@in_virtual_time
async def test_a_deadline_passes_while_the_client_is_away(time: VirtualTime) -> None:
    bench = Bench(time)
    bench.tools.calls.on_lost()
    await bench.call(timeout_ms=700)
    outcome, at_ms, _ = await bench.end_of()
    assert outcome is ToolOutcome.TIMED_OUT
    assert at_ms == pytest.approx(700, abs=2)
    bench.tools.calls.on_resumed()
    assert bench.port.of("tool_request") == []


@in_virtual_time
async def test_a_late_result_says_how_late_it_is_and_never_counts(time: VirtualTime) -> None:
    bench, told = Bench(time), list[LateResult]()
    bench.tools.on_late = told.append
    bench.tools.declared["show"] = SPEC
    await bench.call(accept=True, timeout_ms=300)
    await bench.end_of()
    await time.advance(500)
    bench.answer('{"n": 3}')
    await time.settle()
    [late] = told
    assert (late.outcome, late.value) == (ToolOutcome.TIMED_OUT, {"n": 3})
    assert late.late_ms == pytest.approx(500, abs=3)
    assert bench.port.codes == [ErrorCode.TOOL_CLOSED]


@in_virtual_time
async def test_a_forged_result_neither_counts_nor_leaves_its_value_behind(
    time: VirtualTime,
) -> None:
    bench = Bench(time)
    await bench.call(accept=True)
    bench.answer('"forged"', token=b"\0" * 16)
    bench.answer('"forged"', token=b"")
    assert bench.port.codes == [ErrorCode.FORBIDDEN] * 2
    bench.answer('"genuine"')
    await time.settle()
    assert bench.outcomes["a"][0].value == "genuine"


@in_virtual_time
async def test_a_client_cannot_answer_or_withdraw_what_the_server_runs(time: VirtualTime) -> None:
    bench, go_on = Bench(time), asyncio.Event()

    async def work(_: ServerCall) -> str:
        await go_on.wait()
        return "ours"

    bench.tools.calls.called("a", "show", {}, response_id="r1")
    running = asyncio.ensure_future(bench.tools.runner.run_server("a", SPEC, {}, work))
    await time.settle()
    result = wire.ToolResult(call_id="a", result_json='"theirs"')
    bench.say(tool_accepted=wire.ToolAccepted(call_id="a"))
    bench.say(tool_progress=wire.ToolProgress(call_id="a", note_json="1"))
    bench.say(tool_result=result)
    bench.say(tool_cancel=wire.ToolCancel(call_id="a"))
    assert bench.port.codes == [ErrorCode.FORBIDDEN] * 4
    go_on.set()
    assert (await running).value == "ours"


@in_virtual_time
async def test_what_the_pipeline_says_ends_only_what_runs_elsewhere(time: VirtualTime) -> None:
    bench = Bench(time)
    done = wire.ToolOutcome.TOOL_OUTCOME_DONE
    await bench.call("a", accept=True)
    bench.tools.calls.called("x", "search", {}, response_id="r1")
    bench.tools.calls.ended_elsewhere("a", "show", wire.ToolOutcome.TOOL_OUTCOME_TIMED_OUT)
    bench.tools.calls.ended_elsewhere("x", "search", done)
    bench.tools.calls.ended_elsewhere("x", "search", done)
    assert [m.call_id for m in bench.port.of("tool_call_ended")] == ["x"]
    bench.answer()
    bench.tools.calls.ended_elsewhere("a", "show", wire.ToolOutcome.TOOL_OUTCOME_FAILED)
    assert [(m.call_id, m.outcome) for m in bench.port.of("tool_call_ended")[1:]] == [("a", done)]


@in_virtual_time
async def test_a_handler_that_comes_before_the_pipeline_s_word_shares_its_id(
    time: VirtualTime,
) -> None:
    bench = Bench(time)
    running = asyncio.ensure_future(bench.tools.runner.run_client("a", SPEC, {}))
    await time.settle()
    bench.tools.calls.called("a", "show", {}, response_id="r1")
    bench.answer()
    assert (await running).value == 1
    assert [m.call_id for m in bench.port.of("tool_call_started")] == ["a"]
    assert [m.call_id for m in bench.port.of("tool_call_ended")] == ["a"]


@in_virtual_time
async def test_two_calls_at_once_under_one_id_of_the_model_s_each_have_their_end(
    time: VirtualTime,
) -> None:
    bench = Bench(time)
    for _ in range(2):
        bench.tools.calls.called("a", "show", {}, response_id="r1")
    calls = [asyncio.ensure_future(bench.tools.runner.run_client("a", SPEC, {})) for _ in range(2)]
    await time.settle()
    for at in range(2):
        bench.answer(str(at), at=at)
    assert [(await call).value for call in calls] == [0, 1]
    ids = [m.call_id for m in bench.port.of("tool_call_started")]
    assert ids == [m.call_id for m in bench.port.of("tool_call_ended")] == ["a", "a~2"]


@in_virtual_time
async def test_arguments_that_do_not_fit_fail_at_once_and_reach_no_client(
    time: VirtualTime,
) -> None:
    bench = Bench(time)
    await bench.call(arguments={"n": "three"})
    outcome, at_ms, code = await bench.end_of()
    assert (outcome, at_ms, code) == (ToolOutcome.FAILED, 0, ErrorCode.INVALID_ARGUMENT)
    assert bench.port.of("tool_request") == []
    assert len(bench.port.of("tool_call_ended")) == 1


@in_virtual_time
async def test_a_bot_that_is_asked_decides_while_the_call_runs_under_its_deadline(
    time: VirtualTime,
) -> None:
    bench = Bench(time)

    async def decide(_: object) -> bool:
        await asyncio.sleep(0.2)
        return True

    bench.tools.on_interrupted = decide
    await bench.call(accept=True, timeout_ms=300, policy=OnInterruption.ASK)
    await time.advance(50)
    bench.tools.calls.interrupted()
    outcome, at_ms, _ = await bench.end_of()
    assert outcome is ToolOutcome.CANCELLED
    assert at_ms == pytest.approx(250, abs=2)


@in_virtual_time
async def test_the_duration_that_is_shown_is_the_call_s(time: VirtualTime) -> None:
    bench = Bench(time)
    await bench.call(accept=True)
    await time.advance(1_234)
    bench.answer()
    [ended] = bench.port.of("tool_call_ended")
    assert ended.duration_ms == pytest.approx(1_234, abs=1)


@in_virtual_time
async def test_a_tool_of_the_server_s_fails_when_the_session_is_over(time: VirtualTime) -> None:
    bench = Bench(time)
    bench.port.over = True

    async def work(_: ServerCall) -> None:
        raise AssertionError("begun")

    outcome = await bench.tools.runner.run_server("a", SPEC, {}, work)
    assert outcome.outcome is ToolOutcome.CANCELLED


@in_virtual_time
async def test_more_calls_than_may_be_open_fail_for_want_of_room(time: VirtualTime) -> None:
    bench = Bench(time)
    for number in range(33):
        await bench.call(str(number), accept=number < 32)
    assert list(bench.outcomes) == ["32"]
    assert (await bench.end_of("32"))[2] is ErrorCode.CAPACITY
    assert len(bench.port.of("tool_call_ended")) == 1
