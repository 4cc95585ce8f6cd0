"""Tools of the client, end to end: the real server, the real client, a model that calls."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams

import voxwire
from tests.support.calling import make_bot, results, settled
from tests.support.waiting import DEADLINE_S
from voxwire_server import BotSession, ToolReport
from voxwire_server.testing import RunningServer, running_server
from voxwire_server.tools.values import InterruptedTool

ALLOWED = ("show_on_map", "slow", "ask_user")


def allowed(session: BotSession) -> list[Any]:
    return session.client_tools(ALLOWED)


def connect(
    server: RunningServer, *tools: Callable[..., Any]
) -> AbstractAsyncContextManager[voxwire.Session]:
    return voxwire.connect(server.url, transport="websocket", tools=tools)


async def ended(session: voxwire.Session, text: str) -> voxwire.ToolCallEnded:
    """Have the model call, and wait for the end of the call."""
    await session.send_text(text)
    return await session.wait_for(voxwire.ToolCallEnded)


async def spoken(session: voxwire.Session) -> str:
    return (await session.wait_for(voxwire.BotWord)).text


async def test_a_call_runs_in_the_client_and_its_result_is_spoken() -> None:
    shown: list[str] = []
    contexts: dict[str, LLMContext] = {}

    @voxwire.tool
    async def show_on_map(place: str, zoom: int = 3) -> dict[str, Any]:
        """Show a place."""
        shown.append(f"{place}/{zoom}")
        return {"shown": place}

    async with (
        running_server(make_bot(allowed, contexts)) as server,
        asyncio.timeout(60),
        connect(server, show_on_map) as session,
    ):
        await session.send_text('call show_on_map {"place": "Paris"}')
        started = await session.wait_for(voxwire.ToolCallStarted)
        end = await session.wait_for(voxwire.ToolCallEnded)
        assert await spoken(session) == "done."
        came = results(contexts[session.id])
    assert (started.name, started.arguments) == ("show_on_map", None)
    assert (end.call_id, end.outcome, end.result) == (started.call_id, "done", None)
    assert shown == ["Paris/3"]
    assert came == [{"shown": "Paris"}]


async def test_plain_functions_run_in_a_thread_and_empty_results_are_answered_too() -> None:
    threads: list[str] = []
    contexts: dict[str, LLMContext] = {}

    def show_on_map(place: str) -> None:
        threads.append(threading.current_thread().name)

    async with (
        running_server(make_bot(allowed, contexts)) as server,
        asyncio.timeout(60),
        connect(server, show_on_map) as session,
    ):
        end = await ended(session, 'call show_on_map {"place": "Rome"}')
        assert await spoken(session) == "done."
        came = results(contexts[session.id])
    assert end.outcome == "done"
    assert came == [{"result": None}]
    assert threads == ["voxwire-tool"]


async def test_a_handler_that_raises_says_no_more_than_its_type_unless_it_means_to() -> None:
    contexts: dict[str, LLMContext] = {}

    async def show_on_map(place: str) -> str:
        if place == "Atlantis":
            raise voxwire.ToolError("the place sank")
        raise LookupError("a secret of the user")

    async with (
        running_server(make_bot(allowed, contexts)) as server,
        asyncio.timeout(60),
        connect(server, show_on_map) as session,
    ):
        first = await ended(session, 'call show_on_map {"place": "Paris"}')
        assert await spoken(session) == "error."
        second = await ended(session, 'call show_on_map {"place": "Atlantis"}')
        assert await spoken(session) == "error."
        came = results(contexts[session.id])
    assert [first.outcome, second.outcome] == ["failed", "failed"]
    assert came == [
        {"error": {"code": "TOOL_FAILED", "reason": "LookupError"}},
        {"error": {"code": "TOOL_FAILED", "reason": "the place sank"}},
    ]


async def test_a_handler_that_hangs_is_over_at_its_deadline_and_is_stopped() -> None:
    contexts: dict[str, LLMContext] = {}
    stopped = asyncio.Event()

    @voxwire.tool(timeout_ms=400)
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with (
        running_server(make_bot(allowed, contexts)) as server,
        asyncio.timeout(60),
        connect(server, slow) as session,
    ):
        end = await ended(session, "call slow")
        assert await spoken(session) == "error."
        await stopped.wait()
        came = results(contexts[session.id])
    assert end.outcome == "timed_out"
    assert 350 <= end.duration_ms < 3000
    assert came[0]["error"]["code"] == "TIMEOUT"


async def test_wrong_arguments_of_the_model_never_reach_the_client() -> None:
    runs: list[str] = []
    contexts: dict[str, LLMContext] = {}

    async def show_on_map(place: str) -> None:
        runs.append(place)

    async with (
        running_server(make_bot(allowed, contexts)) as server,
        asyncio.timeout(60),
        connect(server, show_on_map) as session,
    ):
        for arguments in ('{"place": 5}', "{}", '{"place": "x", "more": 1}'):
            end = await ended(session, f"call show_on_map {arguments}")
            assert end.outcome == "failed"
            assert await spoken(session) == "error."
        came = results(contexts[session.id])
    assert runs == []
    assert {one["error"]["code"] for one in came} == {"INVALID_ARGUMENT"}


async def test_only_what_the_bot_allows_and_the_client_can_say_is_offered() -> None:
    offered: list[list[str]] = []

    def tools(session: BotSession) -> list[Any]:
        def ask_user() -> str:
            """The server has one of that name."""
            return "yes"

        mine = session.tool(ask_user)
        schemas = session.client_tools(ALLOWED)
        offered.append([schema.name for schema in schemas])
        return [mine, *schemas]

    async def show_on_map(place: str) -> None: ...

    async def ask_user(question: str) -> None: ...

    async def delete_everything() -> None: ...

    async with (
        running_server(make_bot(tools)) as server,
        asyncio.timeout(60),
        connect(server, show_on_map, ask_user, delete_everything) as session,
    ):
        error = await session.wait_for(voxwire.ErrorEvent)
    assert offered == [["show_on_map"]]
    assert (error.code, error.subject_id) == (voxwire.ErrorCode.INVALID_ARGUMENT, "ask_user")


async def test_server_tools_go_through_the_same_machine() -> None:
    contexts: dict[str, LLMContext] = {}

    def tools(session: BotSession) -> list[Any]:
        async def add(a: int, b: int) -> int:
            """Add."""
            return a + b

        async def direct(params: FunctionCallParams, city: str) -> None:
            """A Pipecat direct function."""
            await params.result_callback({"city": city})

        async def hang() -> None:
            """Never ends."""
            await asyncio.Event().wait()

        return [
            session.tool(add, report=ToolReport.FULL),
            session.tool(direct, report=ToolReport.HIDDEN),
            session.tool(hang, timeout_ms=300),
        ]

    async with (
        running_server(make_bot(tools, contexts)) as server,
        asyncio.timeout(60),
        connect(server) as session,
    ):
        added = await ended(session, 'call add {"a": 2, "b": 3}')
        assert await spoken(session) == "done."
        await session.send_text('call direct {"city": "Oslo"}')
        assert await spoken(session) == "done."
        hung = await ended(session, "call hang")
        assert await spoken(session) == "error."
        misfit = await ended(session, 'call add {"a": "2", "b": 3}')
        assert await spoken(session) == "error."
        came = results(contexts[session.id])
    assert (added.outcome, added.result, hung.name) == ("done", 5, "hang")
    assert (hung.outcome, misfit.outcome) == ("timed_out", "failed")
    assert came[:2] == [{"result": 5}, {"city": "Oslo"}]
    assert [one["error"]["code"] for one in came[2:]] == ["TIMEOUT", "INVALID_ARGUMENT"]


POINTS = 10
CLOSED = voxwire.ErrorCode.TOOL_CLOSED
RUN_S = 2.0


async def listen(
    session: voxwire.Session, seconds: float, ended: Callable[[], None]
) -> tuple[list[voxwire.ToolCallEnded], list[voxwire.ErrorEvent]]:
    """Ends of calls, and errors, until so long after the first end; `ended` is told of an end."""
    ends: list[voxwire.ToolCallEnded] = []
    errors: list[voxwire.ErrorEvent] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE_S) as limit:
            async for event in session:
                if isinstance(event, voxwire.ToolCallEnded):
                    ends.append(event)
                    ended()
                    limit.reschedule(asyncio.get_running_loop().time() + seconds)
                elif isinstance(event, voxwire.ErrorEvent):
                    errors.append(event)
    return ends, errors


async def barge_in(
    server: RunningServer, contexts: dict[str, LLMContext], policy: str, point: int
) -> tuple[str, Any]:
    """One call of 2 s with an interruption at one of ten points of it; what it came to."""
    effects: list[str] = []

    @voxwire.tool(on_interruption=policy)  # type: ignore[call-overload]
    async def slow(call: voxwire.ToolCall) -> str:
        if policy == "cancel":
            await asyncio.Event().wait()
        await asyncio.sleep(RUN_S)  # real time: slow
        effects.append(call.id)
        return "slept"

    async with connect(server, slow) as session:
        await session.send_text("filler call slow" if point % 3 == 0 else "call slow")
        started = await session.wait_for(voxwire.ToolCallStarted)
        await asyncio.sleep(RUN_S * (point + 0.5) / POINTS)  # real time: moment
        if point % 2:
            await session.send_text("and hello")
        else:
            await session.interrupt()
        before_end: list[str] = []
        ends, errors = await listen(session, 1.0, lambda: before_end.extend(effects))
        [came] = await settled(contexts[session.id])
    assert [end.call_id for end in ends] == [started.call_id], (policy, point, ends)
    crossed = [e for e in errors if (e.code, e.subject_id) == (CLOSED, started.call_id)]
    assert errors == crossed, (policy, point)  # a result that met the end on its way is told so
    assert len(crossed) <= len(effects) <= 1
    outcome = str(ends[0].outcome)
    assert effects or outcome != "done", (policy, point)
    assert effects == before_end, (policy, point, outcome)  # nothing runs on after the end
    return outcome, came


async def test_ten_points_of_a_call_interrupted_under_each_policy() -> None:
    """Exactly one end, the side effect at most once, and the context paired; 30 calls at once."""
    contexts: dict[str, LLMContext] = {}
    asked: list[str] = []

    def prepare(session: BotSession) -> None:
        def decide(call: InterruptedTool) -> bool:
            asked.append(call.call_id)
            return len(asked) % 2 == 0

        session.on_tool_interrupted(decide)

    async with (
        running_server(make_bot(allowed, contexts, prepare=prepare)) as server,
        asyncio.timeout(60),
    ):
        policies = [policy for policy in ("cancel", "finish", "ask") for _ in range(POINTS)]
        runs = [barge_in(server, contexts, p, n % POINTS) for n, p in enumerate(policies)]
        ends = await asyncio.gather(*runs)
    outcomes: dict[str, list[str]] = {"cancel": [], "finish": [], "ask": []}
    for policy, (outcome, came) in zip(policies, ends, strict=True):
        outcomes[policy].append(outcome)
        if outcome == "done":
            assert came == {"result": "slept"}
        else:
            assert came == "CANCELLED" or came["cancelled"] is True
    print(outcomes)
    assert set(outcomes["cancel"]) == {"cancelled"}
    assert set(outcomes["finish"]) == {"done"}
    assert len(asked) >= POINTS
    assert set(outcomes["ask"]) == {"done", "cancelled"}
