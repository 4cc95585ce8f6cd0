"""Results that must not count: forged, late, twice, of another session, malformed."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import websockets
from pipecat.processors.aggregators.llm_context import LLMContext

from tests.integration.test_races import Peer
from tests.support.calling import make_bot, settled
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_server import BotSession
from voxwire_server.testing import RunningServer, running_server
from voxwire_server.tools.values import LateResult, ToolProgress

SCHEMA = '{"type":"object","properties":{"n":{"type":"integer"}},"additionalProperties":false}'
DONE = wire.ToolOutcome.TOOL_OUTCOME_DONE


def declaration(**fields: Any) -> wire.ToolDeclaration:
    return wire.ToolDeclaration(
        **{"name": "show", "parameters_json": SCHEMA, "result_schema_json": SCHEMA, **fields}
    )


@asynccontextmanager
async def dialled(server: RunningServer, *tools: wire.ToolDeclaration) -> AsyncIterator[Peer]:
    """A client without audio that declares tools, and whose ``name`` is the session's id."""
    async with websockets.connect(
        server.url + "/v1/session",
        subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
        compression=None,
    ) as socket:
        peer = Peer(socket)
        features = [wire.Feature.FEATURE_CLIENT_TOOLS, wire.Feature.FEATURE_CHUNKS]
        await peer.send(
            hello=wire.Hello(
                protocol_version=1, attach_nonce=os.urandom(16), features=features, tools=tools
            )
        )
        await peer.next("welcome")
        yield peer


def session_of(peer: Peer) -> str:
    return peer.seen[0].welcome.session_id


async def requested(peer: Peer) -> wire.ToolRequest:
    """Has the model call the tool, and takes the request."""
    await peer.send(send_text=wire.SendText(text='call show {"n": 1}'))
    request: wire.ToolRequest = await peer.next("tool_request")
    return request


async def refusal(peer: Peer, call_id: str = "", **payload: Any) -> ErrorCode:
    """Sends a message and returns the error that answers it."""
    await peer.send(**payload)
    error: wire.Error = await peer.next("error")
    assert error.subject_id == call_id
    assert not error.fatal
    return ErrorCode(error.code)


def result(call: wire.ToolRequest, text: str = '{"n":2}', **fields: Any) -> wire.ToolResult:
    made = {"call_id": call.call_id, "call_token": call.call_token, "result_json": text}
    return wire.ToolResult(**{**made, **fields})


@pytest.fixture
async def running() -> AsyncIterator[tuple[RunningServer, dict[str, LLMContext], list[Any]]]:
    contexts: dict[str, LLMContext] = {}
    told: list[Any] = []

    def prepare(session: BotSession) -> None:
        session.on_late_result(told.append)
        session.on_tool_progress(told.append)

    def tools(session: BotSession) -> list[Any]:
        async def mine() -> str:
            """A tool of the server's."""
            await asyncio.sleep(0.5)  # real time: slow
            return "mine"

        return [session.tool(mine), *session.client_tools(["show"])]

    async with running_server(make_bot(tools, contexts, prepare=prepare)) as server:
        async with asyncio.timeout(60):
            yield server, contexts, told


Running = tuple[RunningServer, dict[str, LLMContext], list[Any]]


async def test_forged_results_do_not_count_and_the_genuine_one_does_once(running: Running) -> None:
    server, contexts, told = running
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(dialled(server, declaration()))
        other = await stack.enter_async_context(dialled(server, declaration()))
        call = await requested(peer)
        theirs = await requested(other)
        forged = result(call, '{"n":666}')
        assert len(call.call_token) >= 16 and call.call_token != theirs.call_token
        # another session answers, also with the right token
        code = await refusal(other, call.call_id, tool_result=forged)
        assert code is ErrorCode.TOOL_CLOSED
        for token in (b"", theirs.call_token, call.call_token[:-1], call.call_token + b"\0"):
            wrong = result(call, '{"n":666}', call_token=token)
            assert await refusal(peer, call.call_id, tool_result=wrong) is ErrorCode.FORBIDDEN
        unknown = result(call, call_id="guessed")
        assert await refusal(peer, "guessed", tool_result=unknown) is ErrorCode.TOOL_CLOSED
        assert "666" not in str(contexts[session_of(peer)].get_messages())
        await peer.send(tool_accepted=wire.ToolAccepted(call_id=call.call_id))
        progress = wire.ToolProgress(call_id=call.call_id, note_json='{"half":true}')
        await peer.send(tool_progress=progress)
        await peer.send(tool_result=result(call))
        ended: wire.ToolCallEnded = await peer.next("tool_call_ended")
        assert (ended.call_id, ended.outcome) == (call.call_id, DONE)
        await peer.send(tool_result=result(call))  # the same once more: no effect, no answer
        second = result(call, '{"n":3}')
        assert await refusal(peer, call.call_id, tool_result=second) is ErrorCode.TOOL_CLOSED
        assert await settled(contexts[session_of(peer)]) == [{"n": 2}]
        ends = [m for m in peer.seen if m.WhichOneof("payload") == "tool_call_ended"]
        assert len(ends) == 1
        assert told == [ToolProgress(call.call_id, "show", {"half": True})]


DEEP = "[" * 20_000 + "]" * 20_000
BAD = {
    "too large": (json.dumps({"n": "x" * 50_000}), ErrorCode.TOO_LARGE),
    "too deep": (DEEP, ErrorCode.MALFORMED),
    "deeper than allowed": ("[" * 40 + "]" * 40, ErrorCode.MALFORMED),
    "no JSON": ("{", ErrorCode.MALFORMED),
    "NaN": ('{"n": NaN}', ErrorCode.MALFORMED),
    "infinite": ('{"n": 1e999}', ErrorCode.MALFORMED),
    "a lone surrogate": ('{"n": "\\ud800"}', ErrorCode.MALFORMED),
    "a huge number": ('{"n": ' + "9" * 5000 + "}", ErrorCode.MALFORMED),
    "not of the schema": ('{"n": "one"}', ErrorCode.INVALID_ARGUMENT),
    "nothing": (None, ErrorCode.MALFORMED),
}


async def test_results_that_cannot_be_read_or_do_not_fit_fail_the_call(running: Running) -> None:
    server, contexts, _ = running
    async with dialled(server, declaration()) as peer:
        for name, (text, code) in BAD.items():
            call = await requested(peer)
            bad = wire.ToolResult(call_id=call.call_id, call_token=call.call_token)
            if text is not None:
                bad.result_json = text
            # with a wrong token it is only forged, and the call goes on
            bad.call_token = b"wrong" * 4
            forged = await refusal(peer, call.call_id, tool_result=bad)
            assert forged is ErrorCode.FORBIDDEN, name
            bad.call_token = call.call_token
            await peer.send(tool_result=bad)
            ended: wire.ToolCallEnded = await peer.next("tool_call_ended")
            assert ended.outcome == wire.ToolOutcome.TOOL_OUTCOME_FAILED, name
            error: wire.Error = await peer.next("error")
            assert (ErrorCode(error.code), error.subject_id) == (code, call.call_id), name
        call = await requested(peer)
        await peer.send(tool_result=result(call))
        came = await settled(contexts[session_of(peer)], len(BAD) + 1)
    assert [one["error"]["code"] for one in came[:-1]] == [code.name for _, code in BAD.values()]
    assert came[-1] == {"n": 2}


async def test_late_results_go_to_the_hook_and_never_to_the_model(running: Running) -> None:
    server, contexts, told = running
    async with dialled(server, declaration(timeout_ms=200)) as peer:
        call = await requested(peer)
        await peer.send(tool_accepted=wire.ToolAccepted(call_id=call.call_id))
        cancel: wire.ToolCancel = await peer.next("tool_cancel")
        assert cancel.call_id == call.call_id
        late = result(call)
        assert await refusal(peer, call.call_id, tool_result=late) is ErrorCode.TOOL_CLOSED
        assert await refusal(peer, call.call_id, tool_result=late) is ErrorCode.TOOL_CLOSED
        [came] = await settled(contexts[session_of(peer)])
    assert came["error"]["code"] == "TIMEOUT"
    [one] = told
    assert isinstance(one, LateResult)
    assert (one.call_id, str(one.outcome), one.value) == (call.call_id, "timed_out", {"n": 2})


async def test_a_client_answers_no_tool_of_the_servers(running: Running) -> None:
    server, contexts, _ = running
    async with dialled(server, declaration()) as peer:
        await peer.send(send_text=wire.SendText(text="call mine"))
        started: wire.ToolCallStarted = await peer.next("tool_call_started")
        forged = wire.ToolResult(call_id=started.call_id, result_json='"forged"')
        assert await refusal(peer, started.call_id, tool_result=forged) is ErrorCode.FORBIDDEN
        cancel = wire.ToolCancel(call_id=started.call_id)
        assert await refusal(peer, started.call_id, tool_cancel=cancel) is ErrorCode.FORBIDDEN
        assert await settled(contexts[session_of(peer)]) == [{"result": "mine"}]


async def test_a_client_that_does_not_take_a_call_or_withdraws_it_ends_it(running: Running) -> None:
    server, contexts, _ = running
    async with dialled(server, declaration()) as peer:
        call = await requested(peer)
        await peer.send(tool_cancel=wire.ToolCancel(call_id=call.call_id, reason="not now"))
        ended: wire.ToolCallEnded = await peer.next("tool_call_ended")
        assert ended.outcome == wire.ToolOutcome.TOOL_OUTCOME_CANCELLED
        began = time.monotonic()
        call = await requested(peer)
        cancel: wire.ToolCancel = await peer.next("tool_cancel")
        assert cancel.call_id == call.call_id
        assert time.monotonic() - began >= 1.5  # real time: order
        withdrawn, untaken = await settled(contexts[session_of(peer)], 2)
        assert not [m for m in peer.seen if m.WhichOneof("payload") == "error"]
    assert withdrawn == {"cancelled": True, "reason": "not now"}
    assert untaken["error"]["code"] == "UNREACHABLE"


async def test_bad_declarations_are_answered_and_left_out(running: Running) -> None:
    server, _, _ = running
    bad = [
        declaration(name="1st"),
        declaration(name="a" * 65),
        declaration(name="not_an_object", parameters_json="[1]"),
        declaration(name="not_json", parameters_json="{"),
        declaration(name="an_array", parameters_json='{"type":"array"}'),
        declaration(name="unsupported", parameters_json='{"type":"object","not":{}}'),
        declaration(name="deep", parameters_json="[" * 3000),
        declaration(name="later", timeout_ms=10_000_000),
        declaration(name="odd_result", result_schema_json='{"type":"money"}'),
        declaration(),  # twice
    ]
    async with dialled(server, declaration(), *bad) as peer:
        errors: list[wire.Error] = [await peer.next("error") for _ in bad]
        assert [error.subject_id for error in errors] == [d.name for d in bad]
        assert {ErrorCode(error.code) for error in errors} == {ErrorCode.INVALID_ARGUMENT}
        call = await requested(peer)
        await peer.send(tool_result=result(call))
        ended: wire.ToolCallEnded = await peer.next("tool_call_ended")
        assert ended.outcome == DONE
