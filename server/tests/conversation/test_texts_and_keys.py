"""What the user types and what keys the user presses reach the bot in order, or are refused."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_pipeline import FakePipeline
from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.conversation.keys import Keys
from voxwire_server.conversation.lane import MAX_WAITING, Errand, Lane
from voxwire_server.conversation.texts import Texts


class Bench:
    """The texts and keys of one session, with a pipeline that has started."""

    def __init__(self) -> None:
        self.port = FakePort()
        self.pipeline: FakePipeline | None = FakePipeline()
        self.told = self.pipeline.told
        self.may_answer = True
        self.used = 0
        self.ready = asyncio.Event()
        self.ready.set()
        self.lane = Lane(self.port, session_id="s", ready=self.ready, over=lambda: False)
        self.texts = Texts(self.port, self.lane, pipeline=lambda: self.pipeline)
        self.keys = Keys(
            self.port,
            self.lane,
            pipeline=lambda: self.pipeline,
            may_answer=lambda: self.may_answer,
            active=self._use,
        )

    def _use(self) -> None:
        self.used += 1

    def type(self, text: str, **fields: Any) -> None:
        self.texts.take(wire.SendText(text=text, **fields))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@in_virtual_time
async def test_texts_and_keys_reach_the_bot_as_they_came(bench: Bench) -> None:
    bench.type("a")
    bench.keys.press("42#")
    bench.type("b", run_immediately=False, audio_response=False)
    await bench.port.settle()
    assert bench.told == [
        ("text", ("a", True, True)),
        ("keys", "42#"),
        ("text", ("b", False, False)),
    ]
    assert bench.port.errors == []


@in_virtual_time
async def test_keys_count_as_use_of_the_session_when_they_reach_the_bot(bench: Bench) -> None:
    bench.ready.clear()
    bench.keys.press("1")
    await bench.port.settle()
    assert bench.used == 0
    bench.ready.set()
    await bench.port.settle()
    assert bench.used == 1


@in_virtual_time
async def test_when_the_pipeline_is_gone_what_waits_is_dropped(bench: Bench) -> None:
    bench.type("a")
    bench.keys.press("1")
    bench.pipeline = None
    await bench.port.settle()
    assert bench.told == []
    assert bench.used == 0


@pytest.mark.parametrize(
    "digits", ["", "a", "1 2", "+49", "１", "1\n", "1" * 65, None, 12, ["1"], {"digits": "1"}]
)
@in_virtual_time
async def test_what_are_no_keys_is_refused(bench: Bench, digits: object) -> None:
    bench.keys.press(digits)
    await bench.port.settle()
    assert (bench.told, bench.port.codes) == ([], [ErrorCode.INVALID_ARGUMENT])


@given(st.text(alphabet="0123456789*#", min_size=1, max_size=64))
@in_virtual_time
async def test_all_keys_of_a_telephone_are_taken(digits: str) -> None:
    bench = Bench()
    bench.keys.press(digits)
    await bench.port.settle()
    assert bench.told == [("keys", digits)]


@in_virtual_time
async def test_a_flood_of_bad_keys_is_not_answered(bench: Bench) -> None:
    bench.may_answer = False
    bench.keys.press("x")
    assert bench.port.errors == []


@in_virtual_time
async def test_more_than_may_wait_is_refused_until_there_is_room(
    bench: Bench, time: VirtualTime
) -> None:
    bench.ready.clear()
    for _ in range(MAX_WAITING):
        bench.type("x")
    bench.type("too many")
    bench.keys.press("1")
    assert bench.port.codes == [ErrorCode.RATE_LIMITED] * 2
    bench.ready.set()
    await time.advance(1)
    bench.keys.press("2")
    await time.advance(1)
    assert len(bench.told) == MAX_WAITING + 1
    assert bench.told[-1] == ("keys", "2")


@in_virtual_time
async def test_a_text_that_is_too_long_is_refused_and_an_empty_one_ignored(bench: Bench) -> None:
    bench.type("x" * 65_537)
    assert bench.port.codes == [ErrorCode.TOO_LARGE]
    for empty in ("", " ", "\n\t"):
        bench.type(empty)
    bench.type("y" * 65_536)
    await bench.port.settle()
    assert len(bench.told) == 1
    assert len(bench.port.errors) == 1


@in_virtual_time
async def test_a_text_that_is_cut_while_it_is_handed_over_is_not_asked(
    bench: Bench, time: VirtualTime
) -> None:
    async def cut(_: Errand) -> None:
        bench.told.append(("cut", None))

    assert bench.pipeline is not None
    bench.pipeline.busy_ms = 200
    bench.type("slow")
    bench.type("waits")
    bench.type("note", run_immediately=False)
    await time.advance(100)
    bench.lane.cut(cut)
    bench.type("answered")
    await time.advance(1_000)
    assert bench.told == [
        ("text", ("slow", False, True)),
        ("text", ("note", False, True)),
        ("cut", None),
        ("text", ("answered", True, True)),
    ]
