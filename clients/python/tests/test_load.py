"""`voxwire load`: what it counts, and what it draws."""

import argparse
import asyncio
from typing import Any
from xml.etree import ElementTree

import pytest
from virtual import virtual

import voxwire
from voxwire.cli.arguments import parser
from voxwire.cli.load import hold
from voxwire.cli.load_chart import WIDTH, chart
from voxwire.cli.load_figures import Load
from voxwire.latency import nearest_rank
from voxwire.testing import FakeServer, FakeSession, VirtualTime
from voxwire_protocol import wire


def asked(server: FakeServer, *more: str) -> argparse.Namespace:
    return parser().parse_args(["load", server.url, "--transport", "websocket", *more])


async def answers(session: FakeSession) -> None:
    for number in range(1000):
        await session.text()
        session.send(turn_metrics=wire.TurnMetrics(turn_id=f"t{number}", total_ms=100 + number))
        await session.say("it is one")


@virtual
async def test_every_session_asks_until_its_time_is_over(time: VirtualTime) -> None:
    load = Load()
    async with FakeServer(answers) as server:
        options = asked(server, "-n", "20", "--ramp", "2", "--duration", "10")
        await hold(options, load, server.environment)
        assert len(server.sessions) == 20
    assert (load.done, load.failed, load.stopped, load.running) == (20, 0, 0, 0)
    assert len(load.connect_ms) == 20
    assert len(load.turn_ms) >= 3 * 20
    assert load.unanswered == 0


@virtual
async def test_a_bot_that_does_not_answer_is_counted(time: VirtualTime) -> None:
    async def silent(session: FakeSession) -> None:
        while True:
            await session.text()

    load = Load()
    async with FakeServer(silent) as server:
        options = asked(server, "-n", "1", "--ramp", "0", "--duration", "25")
        await hold(options, load, server.environment)
    assert (load.done, load.unanswered, load.turn_ms) == (1, 1, [])
    assert "turns     none; 1 questions not answered" in str(load)


@virtual
async def test_sessions_that_fail_are_told_by_why_and_spoil_no_other(time: VirtualTime) -> None:
    async def bot(session: FakeSession) -> None:
        number = server.sessions.index(session)
        await session.text()
        if number == 1:
            session.fail(voxwire.ErrorCode.BOT_FAILED)
        elif number == 2:
            session.drop()
            server.forgetful = True
        else:
            await answers(session)

    load = Load()
    async with FakeServer(bot) as server:
        options = asked(server, "-n", "4", "--ramp", "1", "--duration", "6")
        await hold(options, load, server.environment)
    assert load.errors["BOT_FAILED"] == 1
    assert load.failed == 4 - load.done
    assert "INVALID_STATE" not in load.errors
    assert load.lost >= 1


@virtual
async def test_what_nobody_expects_fails_one_session_and_not_the_load(time: VirtualTime) -> None:
    load = Load()
    async with FakeServer(answers) as server:
        dialled = 0
        around = server.environment

        async def dial(url: str, *, timeout_ms: int) -> Any:
            nonlocal dialled
            dialled += 1
            if dialled == 2:
                raise LookupError("nobody expects it")
            return await around.dial(url, timeout_ms=timeout_ms)

        options = asked(server, "-n", "3", "--ramp", "1", "--duration", "2")
        environment = voxwire.testing.Environment(dial=dial, clock=around.clock, webrtc=False)
        await hold(options, load, environment)
    assert (load.done, dict(load.errors)) == (2, {"LookupError": 1})


@virtual
async def test_stopped_sessions_end_in_order_and_are_counted(time: VirtualTime) -> None:
    load = Load()
    async with FakeServer(answers) as server:
        options = asked(server, "-n", "10", "--ramp", "9", "--duration", "60")
        holding = asyncio.create_task(hold(options, load, server.environment))
        await time.advance(4500)
        holding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holding
        assert all(session.said("bye") for session in server.sessions)
    assert (load.done, load.failed, load.stopped, load.running) == (0, 0, 5, 0)
    assert load.as_json()["sessions"] == 5
    assert "0 ended, 0 failed, 5 stopped by Ctrl-C" in str(load)


def test_the_nearest_rank() -> None:
    assert nearest_rank([], 50) is None
    assert nearest_rank([3.5], 1) == nearest_rank([3.5], 100) == 3.5
    assert [nearest_rank([1, 2, 3, 4], share) for share in (25, 26, 50, 75, 76, 100)] == [
        *(1, 2, 2, 3, 4, 4)
    ]


CHAR = 7.5  # wider than any of these letters at 12 px


@pytest.mark.parametrize(
    "values", [[1.0], [100.0, 3999.0, 4000.0], [80_000.0] * 3, [250.0] * 99 + [90_000.0], [0.0]]
)
def test_nothing_of_the_chart_is_cut_off(values: list[float]) -> None:
    drawn = ElementTree.fromstring(chart({"answers": values, "connecting": []}))
    texts = [it for it in drawn.iter() if it.tag.endswith("}text")]
    assert len(texts) >= 11
    for text in texts:
        wide = CHAR * len(text.text or "")
        anchor = text.get("text-anchor", "start")
        left = float(text.attrib["x"]) - wide * {"start": 0, "middle": 0.5, "end": 1}[anchor]
        assert 0 <= left <= left + wide <= WIDTH, text.text
