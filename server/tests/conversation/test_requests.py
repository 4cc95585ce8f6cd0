"""Requests both ways over application messages: one answer each, in time or a typed error."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError, make_error
from voxwire_protocol.json_text import JsonTextError
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.conversation.requests import Requests


class Bench:
    """The requests of one session."""

    def __init__(self) -> None:
        self.port = FakePort()
        self.pressed: list[object] = []
        self.may_answer = True
        self.requests = Requests(
            self.port,
            session_id="s",
            press=self.pressed.append,
            may_answer=lambda: self.may_answer,
        )

    def say(self, kind: str, data: object = None, **fields: Any) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        self.requests.take(wire.AppMessage(type=kind, data_json=text, **fields))

    @property
    def sent(self) -> list[wire.AppMessage]:
        return self.port.of("app_message")

    async def asked(self, method: str = "where", timeout_ms: int = 5_000) -> "asyncio.Task[Any]":
        asking = asyncio.ensure_future(self.requests.ask(method, {"x": 1}, timeout_ms))
        await self.port.settle()
        return asking


@pytest.fixture
def bench() -> Bench:
    return Bench()


# the bot asks


@in_virtual_time
async def test_the_client_s_answer_is_returned_once(bench: Bench) -> None:
    asking = await bench.asked()
    [request] = bench.sent
    assert (request.type, request.data_json, request.response) == ("where", '{"x":1}', False)
    bench.say("where", [1], request_id=request.request_id, response=True)
    bench.say("where", [2], request_id=request.request_id, response=True)
    assert await asking == [1]
    bench.say("where", [3], request_id=request.request_id, response=True)
    assert bench.port.errors == []


@in_virtual_time
async def test_an_answer_to_another_request_changes_nothing(
    bench: Bench, time: VirtualTime
) -> None:
    first, second = await bench.asked("a"), await bench.asked("b")
    bench.say("b", 2, request_id=bench.sent[1].request_id, response=True)
    bench.say("a", 9, request_id="nobody", response=True)
    assert await second == 2
    assert not first.done()
    bench.say("a", 1, request_id=bench.sent[0].request_id, response=True)
    assert await first == 1


@in_virtual_time
async def test_without_an_answer_a_request_times_out_at_its_deadline(
    bench: Bench, time: VirtualTime
) -> None:
    began_ms = time.now_ms()
    asking = await bench.asked(timeout_ms=60_000)
    with pytest.raises(VoxwireError) as raised:
        await asking
    assert time.now_ms() - began_ms == pytest.approx(60_000, abs=1)
    assert (raised.value.code, raised.value.retryable) == (ErrorCode.TIMEOUT, True)
    bench.say("where", 1, request_id=bench.sent[0].request_id, response=True)
    assert bench.port.errors == []


@in_virtual_time
async def test_an_error_that_names_the_request_is_its_answer(bench: Bench) -> None:
    asking = await bench.asked()
    code = wire.ErrorCode.ERROR_CODE_UNSUPPORTED
    bench.requests.refused(wire.Error(code=code, subject_id="nobody"))
    bench.requests.refused(wire.Error(code=code, subject_id=bench.sent[0].request_id))
    bench.requests.refused(wire.Error(code=code, subject_id=bench.sent[0].request_id))
    with pytest.raises(VoxwireError) as raised:
        await asking
    assert raised.value.code is ErrorCode.UNSUPPORTED


@in_virtual_time
async def test_a_cancelled_request_leaves_nothing_that_waits(bench: Bench) -> None:
    asking = await bench.asked()
    asking.cancel()
    await bench.port.settle()
    assert asking.cancelled()
    bench.say("where", 1, request_id=bench.sent[0].request_id, response=True)
    assert bench.requests._open == {}


@in_virtual_time
async def test_what_json_cannot_hold_is_not_asked(bench: Bench) -> None:
    with pytest.raises(JsonTextError):
        await bench.requests.ask("where", {"x": object()}, 1_000)
    assert (bench.sent, bench.requests._open) == ([], {})


# the client asks


@in_virtual_time
async def test_a_handler_answers_plain_or_later(bench: Bench, time: VirtualTime) -> None:
    async def later(data: Any) -> Any:
        await asyncio.sleep(2)
        return {"got": data}

    bench.requests.handlers = {"plain": lambda data: data, "later": later}
    bench.say("later", [2], request_id="r2")
    bench.say("plain", [1], request_id="r1")
    await time.advance(1_999)
    assert [m.request_id for m in bench.sent] == ["r1"]
    await time.advance(2)
    answers = [(m.request_id, m.response, json.loads(m.data_json)) for m in bench.sent]
    assert answers == [("r1", True, [1]), ("r2", True, {"got": [2]})]


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (make_error(ErrorCode.INVALID_ARGUMENT, "no such table"), ErrorCode.INVALID_ARGUMENT),
        (RuntimeError("secret"), ErrorCode.INTERNAL),
    ],
)
@in_virtual_time
async def test_a_handler_that_raises_is_an_error_that_names_the_request(
    bench: Bench, raised: Exception, code: ErrorCode
) -> None:
    def handler(_: Any) -> Any:
        raise raised

    bench.requests.handlers["do"] = handler
    bench.say("do", request_id="r1")
    await bench.port.settle()
    [error] = bench.port.errors
    assert (error.code, error.subject) == (code, "r1")
    assert "secret" not in error.reason


@in_virtual_time
async def test_what_cannot_be_answered_is_refused(bench: Bench) -> None:
    bench.say("nobody", request_id="r1")
    bench.say("nobody", "{", request_id="r2")
    bench.requests.handlers["odd"] = lambda _: object()
    bench.say("odd", request_id="r3")
    await bench.port.settle()
    told = [(error.subject, error.code) for error in bench.port.errors]
    assert [subject for subject, _ in told] == ["r1", "r2", "r3"]
    assert told[0][1] is ErrorCode.UNSUPPORTED
    assert told[1][1] is ErrorCode.MALFORMED
    bench.may_answer = False
    bench.say("nobody", request_id="r4")
    assert len(bench.port.errors) == 3


@in_virtual_time
async def test_of_requests_that_wait_at_once_there_are_at_most_32(
    bench: Bench, time: VirtualTime
) -> None:
    async def slow(_: Any) -> None:
        await asyncio.sleep(1)

    bench.requests.handlers["slow"] = slow
    for number in range(33):
        bench.say("slow", request_id=str(number))
    assert [error.subject for error in bench.port.errors] == ["32"]
    assert bench.port.codes == [ErrorCode.RATE_LIMITED]
    await time.advance(1_001)
    bench.say("slow", request_id="again")
    await time.advance(1_001)
    assert [m.request_id for m in bench.sent][-1] == "again"
    assert len(bench.port.errors) == 1


# what asks nothing


@in_virtual_time
async def test_messages_are_told_to_the_bot_and_never_answered(bench: Bench) -> None:
    told: list[tuple[str, Any]] = []

    async def note(kind: str, data: Any) -> None:
        told.append((kind, data))
        raise ZeroDivisionError

    bench.say("early", 0)
    bench.requests.on_message = note
    bench.say("hello", {"a": 1})
    bench.say("bare", "")
    await bench.port.settle()
    assert told == [("hello", {"a": 1}), ("bare", None)]
    assert (bench.sent, bench.port.errors) == ([], [])


@in_virtual_time
async def test_keys_are_pressed_whatever_the_message_has_and_told_as_well(bench: Bench) -> None:
    told: list[str] = []
    bench.requests.on_message = lambda kind, _: told.append(kind)
    for data in ({"digits": "12"}, {"digits": 3}, {}, [], None):
        bench.say("dtmf", data)
    bench.say("other", {"digits": "9"})
    await bench.port.settle()
    assert bench.pressed == ["12", 3, None, None, None]
    assert told == ["dtmf"] * 5 + ["other"]
