"""A session in a Daily room whose room, network or client fails; rooms are never left behind.

The room is in memory (`tests/support/fake_room.py`), client and server are the real ones. In
virtual time.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import voxwire
from tests.support.daily_line import URL, DailyLine
from tests.support.daily_rest import KEY
from tests.support.front_door import House, token_of
from tests.support.phone_clicks import CLICK_MS, ClickingBot, clicks_in
from voxwire.testing import NetworkState
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.logs import JsonFormatter
from voxwire_server.redact import OneLineFilter
from voxwire_server.session.session import Session

RATE = 24_000


class Town:
    """A server with rooms, whose bots click when a test says so.

    Attributes:
        bots: In the order of their sessions.
    """

    def __init__(self, time: VirtualTime, **line: Any) -> None:
        self.time = time
        self.bots: list[ClickingBot] = []
        self.line = DailyLine(time, house=House(self._run), **line)
        self._calls = 0

    async def _run(self, session: Session) -> None:
        self.bots.append(ClickingBot(session))
        await self.bots[-1].run()

    def connection(self, **options: Any) -> voxwire.Connection:
        self._calls += 1
        options = {"speaker": voxwire.Recording(), **options}
        return voxwire.connect(
            URL,
            transport="daily",
            bot="a",
            token=token_of(token_id=f"token-of-a-call-{self._calls}"),
            environment=self.line.environment,
            **options,
        )

    @asynccontextmanager
    async def call(self, **options: Any) -> AsyncGenerator[voxwire.Session]:
        async with self.connection(**options) as session:
            await self.time.advance(500)
            yield session

    async def close(self) -> None:
        for bot in self.bots:
            bot.linger.set()
        await self.line.close()


def clicks_of(recording: voxwire.Recording) -> NDArray[np.float64]:
    """Where they stand on the media timeline, ms."""
    return np.array([at * 1000 / RATE for at in clicks_in(recording.samples)])


def expected(bot: ClickingBot, *lengths_ms: int) -> list[float]:
    return [
        start + at
        for start, length_ms in zip(bot.starts, lengths_ms, strict=True)
        for at in range(0, length_ms, CLICK_MS)
    ]


@in_virtual_time
async def test_the_users_voice_comes_through_the_room_from_its_first_sample(
    time: VirtualTime,
) -> None:
    town = Town(time, delay_ms=60)
    said = np.zeros(16_000 * 3, np.int16)
    for at in range(8_000, len(said), 1_600):
        said[at : at + 32] = 20_000
    async with town.call(microphone=said):
        await time.advance(5000)
        [bot] = town.bots
        heard = np.frombuffer(bytes(bot.voice), "<i2")
        clicks = np.diff(clicks_in(heard))
        assert len(clicks) == 24
        assert clicks.tolist() == [1600] * 24
    await town.close()


@pytest.mark.parametrize("wobble_ms", [0, 30])
@in_virtual_time
async def test_every_utterance_stands_where_it_was_placed(
    time: VirtualTime, wobble_ms: float
) -> None:
    """A jitter buffer that stretches sound by 30 ms, back and forth, moves it by that at most."""
    town, ear = Town(time, delay_ms=60, wobble_ms=wobble_ms), voxwire.Recording()
    lengths = (1000, 2500, 300, 4000)
    async with town.call(speaker=ear):
        [bot] = town.bots
        for length_ms in lengths:
            bot.say(length_ms)
            await time.advance(length_ms + 700)
        off = np.subtract(clicks_of(ear), expected(bot, *lengths))
        print(f"{wobble_ms} ms: {off.min():+.1f} to {off.max():+.1f} ms off")
        assert np.abs(off).max() <= 1 + 2 * wobble_ms
    await town.close()


@in_virtual_time
async def test_utterances_behind_one_another_are_one_stretch(time: VirtualTime) -> None:
    town, ear = Town(time, delay_ms=60), voxwire.Recording()
    async with town.call(speaker=ear):
        [bot] = town.bots
        bot.say(1000)
        bot.say(1000)
        await time.advance(3500)
        assert clicks_of(ear) == pytest.approx(expected(bot, 1000, 1000), abs=1)
    await town.close()


@in_virtual_time
async def test_a_control_channel_that_is_lost_for_a_moment_costs_no_sound(
    time: VirtualTime,
) -> None:
    town, ear = Town(time, delay_ms=60), voxwire.Recording()
    async with town.call(speaker=ear) as session:
        changed: list[voxwire.PathChanged] = []
        session.on(voxwire.PathChanged, changed.append)
        [bot] = town.bots
        bot.say(4000)
        await time.advance(1000)
        town.line.network.cut()
        await time.advance(5000)
        assert changed == []
        assert clicks_of(ear) == pytest.approx(expected(bot, 4000), abs=1)
    await town.close()


@in_virtual_time
async def test_a_listener_who_is_out_of_reach_hears_all_when_he_is_back(
    time: VirtualTime,
) -> None:
    town = Town(time, delay_ms=60, voice_gap_ms=20_000)
    ear = voxwire.Recording()
    async with town.call(speaker=ear):
        [bot] = town.bots
        bot_side, user_side = town.line.daily.sides
        bot.say(6000)
        await time.advance(1500)
        town.line.network.state = NetworkState.DARK
        bot_side.deaf = user_side.deaf = True
        await time.advance(4000)
        assert not [s for at, s in bot_side.sent if at > time.now_ms() - 1000 and s.any()]
        town.line.network.state = NetworkState.UP
        bot_side.deaf = user_side.deaf = False
        await time.advance(9000)
        heard = clicks_of(ear)
        missing = [at for at in expected(bot, 6000) if not np.any(np.abs(heard - at) < 3)]
        print(f"{len(heard)} clicks, {len(missing)} of 60 missing")
        assert missing == []
        assert len(heard) == 60
    await town.close()


@in_virtual_time
async def test_who_is_put_out_of_his_room_goes_on_in_another_one(time: VirtualTime) -> None:
    town, ear = Town(time, delay_ms=60), voxwire.Recording()
    async with town.call(speaker=ear) as session:
        changed: list[voxwire.PathChanged] = []
        session.on(voxwire.PathChanged, changed.append)
        [bot] = town.bots
        bot.say(3000)
        await time.advance(1000)
        for side in tuple(town.line.daily.sides):
            side.lose()
        await time.advance(6000)
        assert [event.carrier for event in changed] == [voxwire.Carrier.DAILY]
        assert len(town.line.rest.made) == 2
        assert town.line.rest.deleted == town.line.rest.made[:1]
        heard = clicks_of(ear)
        missing = [at for at in expected(bot, 3000) if not np.any(np.abs(heard - at) < 3)]
        assert missing == []
    await town.close()


@in_virtual_time
async def test_a_stuck_sdk_is_given_up(time: VirtualTime) -> None:
    town = Town(time)
    async with town.call():
        [bot] = town.bots
        town.line.daily.sides[0].stuck = True
        bot.say(3000)
        await time.advance(6000)
        assert len(town.line.rest.made) == 2
        assert not town.line.daily.sides[0].url
    await town.close()


@in_virtual_time
async def test_a_room_that_nobody_can_enter_is_a_typed_error_and_is_deleted(
    time: VirtualTime,
) -> None:
    town = Town(time)
    town.line.daily.unreachable = True
    with pytest.raises(voxwire.VoxwireError) as error:
        async with town.call(timeouts=voxwire.Timeouts(connect_ms=30_000)):
            pass
    assert error.value.code == ErrorCode.TIMEOUT
    await time.advance(2000)
    assert len(town.line.rest.made) >= 1
    await town.close()


@pytest.mark.parametrize("after_ms", [0, 100, 350, 400, 700, 900])
@in_virtual_time
async def test_who_hangs_up_while_it_opens_leaves_no_room(time: VirtualTime, after_ms: int) -> None:
    town = Town(time, delay_ms=60)

    async def call() -> None:
        async with town.call():
            await time.advance(10_000)

    calling = asyncio.ensure_future(call())
    await time.advance(after_ms)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    await time.advance(70_000)  # its session is kept for a minute
    assert not town.line.rest.rooms
    await town.close()


@pytest.mark.parametrize("status", [401, 429, 500])
@in_virtual_time
async def test_a_daily_that_refuses_is_a_typed_error(time: VirtualTime, status: int) -> None:
    town = Town(time)
    town.line.rest.answers["POST /rooms"] = [status] * 10
    with pytest.raises(voxwire.VoxwireError) as error:
        async with town.call():
            pass
    wanted = ErrorCode.RATE_LIMITED if status == 429 else ErrorCode.SERVICE_FAILED
    assert error.value.code == wanted
    await town.close()


@in_virtual_time
async def test_rooms_made_ahead_are_used_and_replaced(time: VirtualTime) -> None:
    town = Town(time, ahead=2)
    town.line.rooms.begin()
    await time.advance(1000)
    ahead = list(town.line.rest.made)
    async with town.call():
        in_use = [name for name in ahead if town.line.rest.rooms[name].tokens]
        assert in_use == ahead
        assert len(town.line.rest.made) == 3
    await time.advance(1000)
    assert town.line.rest.deleted == ahead[:1]
    await town.close()


@in_virtual_time
async def test_100_calls_leave_nothing_behind(time: VirtualTime) -> None:
    town = Town(time)
    for _ in range(100):
        async with town.connection():
            pass
    assert len(town.line.rest.made) == 100
    await time.advance(5000)
    assert not town.line.rest.rooms
    await town.close()


@in_virtual_time
async def test_neither_key_nor_tokens_are_in_the_logs_or_in_what_the_client_tells(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    logging.getLogger("voxwire").setLevel(1)
    clean, lines = OneLineFilter(), JsonFormatter()

    def line(record: logging.LogRecord) -> str:
        clean.filter(record)
        return lines.format(record)

    town = Town(time)
    told: list[str] = []
    async with town.call() as session:
        town.bots[0].say(500)
        await time.advance(1000)
        report: Callable[[], Any] = session.report
        told += [repr(report()), repr(session), repr(town.line.process.sessions[0].path)]
    tokens = ["token-canary", KEY]
    text = "".join(told) + "".join(map(line, caplog.records))
    assert not [token for token in tokens if token in text]

    await town.close()
