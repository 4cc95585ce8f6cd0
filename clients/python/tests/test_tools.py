"""Tools in the client: what is declared, what runs, what is answered; against a scripted server."""

import asyncio
import json
import threading
from typing import Any, Literal

import pytest
from peer import UNIT_S, Peer, connect, now_s, serving
from virtual import virtual

import voxwire
from voxwire.tools import as_tool
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode

TOKEN = b"0123456789abcdef"


def test_a_tool_is_made_of_the_functions_signature_and_docstring() -> None:
    @voxwire.tool(timeout_ms=700, on_interruption="finish")
    async def find(
        what: str,
        count: int = 3,
        near: float | None = None,
        kind: Literal["shop", "park"] = "shop",
        tags: list[str] | None = None,
        call: voxwire.ToolCall | None = None,
        extra: dict[str, int] | None = None,
    ) -> list[str]:
        """Find things.

        Near the user.

        Args:
            what: What to look for,
                in words.
            count: How many.
        """
        return []

    spec = as_tool(find).spec
    assert (spec.name, spec.description) == ("find", "Find things.\n\nNear the user.")
    assert (spec.timeout_ms, spec.on_interruption) == (700, "finish")
    assert spec.result == {"type": "array", "items": {"type": "string"}}
    fields = spec.parameters["properties"]
    assert spec.parameters["required"] == ["what"]
    assert fields["what"] == {"type": "string", "description": "What to look for, in words."}
    assert fields["count"] == {"type": "integer", "description": "How many.", "default": 3}
    assert fields["near"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
    assert fields["kind"] == {"enum": ["shop", "park"], "default": "shop"}
    assert spec.check_arguments({"what": "tea", "tags": ["x"], "extra": {"a": 1}}) is None
    for wrong in ({}, {"what": 1}, {"what": "x", "kind": "zoo"}, {"what": "x", "other": 1}):
        assert spec.check_arguments(wrong) is not None


def test_what_cannot_be_a_tool_is_said_at_once() -> None:
    async def takes_a_socket(connection: threading.Thread) -> None: ...

    async def takes_all(*things: str) -> None: ...

    async def named(**things: str) -> None: ...

    async def fine() -> None: ...

    for function in (takes_a_socket, takes_all, named):
        with pytest.raises(voxwire.UsageError) as error:
            connect("ws://127.0.0.1:1", tools=[function])
        assert error.value.code is ErrorCode.INVALID_ARGUMENT
    for options in ({"name": "no spaces"}, {"timeout_ms": -1}, {"on_interruption": "explode"}):
        with pytest.raises(voxwire.UsageError):
            voxwire.tool(**options)(fine)  # type: ignore[call-overload]
    with pytest.raises(voxwire.UsageError):
        connect("ws://127.0.0.1:1", tools=[fine, fine])
    large = [voxwire.Tool(_spec(f"t{n}", "x" * 2000), fine) for n in range(10)]
    with pytest.raises(voxwire.UsageError):
        connect("ws://127.0.0.1:1", tools=large)


def _spec(name: str, description: str) -> Any:
    from voxwire_protocol.tool_spec import ToolSpec

    return ToolSpec(name, description, {"type": "object"})


def request(call_id: str, name: str, arguments: Any = None, *, timeout_ms: int = 5000) -> Any:
    return wire.ToolRequest(
        call_id=call_id,
        name=name,
        arguments_json=json.dumps(arguments or {}),
        timeout_ms=timeout_ms,
        call_token=TOKEN,
    )


def results(peer: Peer) -> dict[str, Any]:
    """What the client sent, by call: the value, or the error's code and reason."""
    found: dict[str, Any] = {}
    for envelope in peer.received:
        if envelope.WhichOneof("payload") == "tool_result":
            result = envelope.tool_result
            assert result.call_token == TOKEN
            assert result.call_id not in found
            if result.WhichOneof("outcome") == "error":
                found[result.call_id] = (ErrorCode(result.error.code).name, result.error.reason)
            else:
                found[result.call_id] = json.loads(result.result_json)
    return found


async def converse(script: Any, *tools: Any) -> None:
    """Runs a script against a client with these tools, until the script says goodbye."""
    async with serving(script) as url, asyncio.timeout(20 * UNIT_S):
        async with connect(url, transport="websocket", tools=tools) as session:
            async for _ in session:
                pass


@virtual
async def test_results_and_errors_are_answered_and_nothing_private_is_in_them() -> None:
    async def add(a: int, b: int = 1) -> int:
        return a + b

    def plain(text: str) -> str:
        return f"{text} in {threading.current_thread().name}"

    async def raises() -> None:
        raise KeyError("the user's secret")

    def means_to() -> None:
        raise voxwire.ToolError("no such shop")

    async def huge() -> str:
        return "x" * 50_000

    async def odd() -> object:
        return {1, 2}

    async def leaves() -> None:
        raise asyncio.CancelledError

    def exits() -> None:
        raise SystemExit(3)

    seen: dict[str, Any] = {}

    async def script(peer: Peer) -> None:
        await peer.ready()
        hello = await peer.heard("hello")
        assert wire.Feature.FEATURE_CLIENT_TOOLS in hello.hello.features
        assert [tool.name for tool in hello.hello.tools][:2] == ["add", "plain"]
        asked = [
            request("c1", "add", {"a": 2}),
            request("c2", "plain", {"text": "ran"}),
            request("c3", "raises"),
            request("c4", "means_to"),
            request("c5", "huge"),
            request("c6", "odd"),
            request("c7", "leaves"),
            request("c8", "exits"),
            request("c9", "add", {"a": "2"}),
            request("c10", "nobody"),
            wire.ToolRequest(
                call_id="c11", name="add", arguments_json="[" * 9000, call_token=TOKEN
            ),
        ]
        for one in asked:
            await peer.say(tool_request=one)
        await peer.heard("tool_result", count=len(asked))
        seen.update(results(peer))
        accepted = [m for m in peer.received if m.WhichOneof("payload") == "tool_accepted"]
        assert len(accepted) == len(asked)
        await peer.goodbye()

    await converse(script, add, plain, raises, means_to, huge, odd, leaves, exits)
    assert seen["c1"] == 3
    assert seen["c2"] == "ran in voxwire-tool"
    assert seen["c3"] == ("TOOL_FAILED", "KeyError")
    assert seen["c4"] == ("TOOL_FAILED", "no such shop")
    codes = {call_id: seen[call_id][0] for call_id in ("c5", "c6", "c7", "c8", "c9", "c10", "c11")}
    assert codes == {
        "c5": "TOO_LARGE",
        "c6": "MALFORMED",
        "c7": "TOOL_FAILED",
        "c8": "TOOL_FAILED",
        "c9": "INVALID_ARGUMENT",
        "c10": "UNSUPPORTED",
        "c11": "MALFORMED",
    }


@virtual
async def test_a_request_that_comes_again_never_runs_again() -> None:
    runs: list[str] = []
    go = asyncio.Event()

    async def act(call: voxwire.ToolCall) -> str:
        runs.append(call.id)
        await go.wait()
        return "acted"

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.say(tool_cancel=wire.ToolCancel(call_id="gone"))
        for _ in range(3):  # as a carrier or a resume repeats it
            await peer.say(tool_request=request("a", "act"))
            await peer.say(tool_request=request("gone", "act"))
        await peer.heard("tool_accepted", count=3)
        go.set()
        await peer.heard("tool_result")
        for _ in range(2):
            await peer.say(tool_request=request("a", "act"))
        again = await peer.heard("tool_result", count=3)
        assert (again.tool_result.call_id, again.tool_result.result_json) == ("a", '"acted"')
        assert again.tool_result.call_token == TOKEN
        await peer.goodbye()

    await converse(script, act)
    assert runs == ["a"]


@virtual
async def test_a_withdrawn_call_is_cancelled_and_says_nothing_more() -> None:
    ended: list[str] = []

    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
        return "late"

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("deadline")

    async def quick() -> str:
        return "quick"

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.say(tool_request=request("a", "stubborn"))
        await peer.say(tool_request=request("b", "hangs", timeout_ms=50))
        await peer.heard("tool_accepted", count=2)
        await peer.say(tool_cancel=wire.ToolCancel(call_id="a"))
        while len(ended) < 2:
            await asyncio.sleep(0.01)
        await peer.say(tool_request=request("c", "quick"))
        await peer.heard("tool_result")
        assert results(peer) == {"c": "quick"}
        await peer.goodbye()

    await converse(script, stubborn, hangs, quick)
    assert sorted(ended) == ["cancelled", "deadline"]


@virtual
async def test_progress_is_told_from_the_loop_and_from_a_thread() -> None:
    left: list[int] = []

    async def looped(call: voxwire.ToolCall) -> str:
        left.append(call.remaining_ms)
        call.progress({"percent": 50})
        await asyncio.sleep(0.05)
        return "done"

    def threaded(call: voxwire.ToolCall) -> str:
        call.progress("halfway")
        return "done"

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.say(tool_request=request("a", "looped"))
        await peer.say(tool_request=request("b", "threaded"))
        await peer.heard("tool_result", count=2)
        notes = {
            m.tool_progress.call_id: json.loads(m.tool_progress.note_json)
            for m in peer.received
            if m.WhichOneof("payload") == "tool_progress"
        }
        assert notes == {"a": {"percent": 50}, "b": "halfway"}
        await peer.goodbye()

    await converse(script, looped, threaded)
    assert 0 < left[0] <= 5000


async def test_handlers_end_with_the_session_and_a_hung_thread_holds_nobody_up() -> None:
    ended = asyncio.Event()
    let_go = threading.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def hangs() -> None:
        let_go.wait(30)

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.say(tool_request=request("a", "waits"))
        await peer.say(tool_request=request("b", "hangs"))
        await peer.heard("tool_accepted", count=2)
        await peer.goodbye()

    began = now_s()
    await converse(script, waits, hangs)
    assert ended.is_set()
    assert now_s() - began < 8 * UNIT_S
    let_go.set()


@virtual
async def test_more_than_fit_at_once_are_refused() -> None:
    async def waits() -> None:
        await asyncio.Event().wait()

    async def script(peer: Peer) -> None:
        await peer.ready()
        for number in range(40):
            await peer.say(tool_request=request(f"c{number}", "waits"))
        await peer.heard("tool_result", count=8)
        assert {code for code, _ in results(peer).values()} == {"CAPACITY"}
        await peer.goodbye()

    await converse(script, waits)
