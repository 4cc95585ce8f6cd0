"""A telephone call through the whole kernel, in virtual time: what the caller heard, and when."""

import numpy as np
import pytest

from tests.support.front_door import House
from tests.support.phone_clicks import CLICK_MS, ClickingBot, clicks_in
from tests.support.phone_line import Exchange, Line
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.session import Session

NETWORKS = pytest.mark.parametrize(
    ("vendor", "delay_ms"),
    [
        *(("twilio", 10), ("twilio", 40), ("twilio", 120)),
        *(("telnyx", 40), ("plivo", 40), ("exotel", 40), ("vonage", 40)),
    ],
)
MORE_MS = {"exotel": 100, "vonage": 20}
"""What a vendor may be worse by: its pieces are long, or what it measures the way by is."""
REPORTED = wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT


class Calls:
    """An exchange whose bot clicks."""

    def __init__(self, time: VirtualTime, **settings: object) -> None:
        self.time = time
        self.bots: list[ClickingBot] = []
        self.exchange = Exchange(time, house=House(self._run), **settings)

    async def _run(self, session: Session) -> None:
        self.bots.append(ClickingBot(session))
        await self.bots[-1].run()

    async def call(self, vendor: str, **network: float) -> tuple[Line, ClickingBot]:
        """A call whose path is in use."""
        before = len(self.bots)
        line = await self.exchange.call(vendor, **network)
        while len(self.bots) == before or self.bots[-1].session.path is None:
            await self.time.advance(5)
        await self.time.advance(1000)  # the way is measured
        return line, self.bots[-1]


def heard_ms(line: Line, first: int, start_ms: float) -> float:
    """Where the caller is on the media clock, by the clicks that he has heard.

    Args:
        line: His line.
        first: Sample of what he heard before which nothing of the utterance is.
        start_ms: Where the utterance begins.
    """
    samples = line.phone.heard[first:]
    clicks = clicks_in(samples)
    if not clicks:
        return start_ms
    rate = line.phone.far.rate
    waits = line.phone.waiting_ms > 0
    since_ms = (len(samples) - clicks[-1]) * 1000 / rate if waits else 0.0
    return start_ms + (len(clicks) - 1) * CLICK_MS + min(since_ms, CLICK_MS)


@NETWORKS
@in_virtual_time
async def test_the_position_is_where_the_caller_is(
    time: VirtualTime, vendor: str, delay_ms: int
) -> None:
    calls = Calls(time)
    line, bot = await calls.call(vendor, delay_ms=delay_ms, jitter_ms=20)
    first = len(line.phone.heard)
    bot.say(4000)
    errors: list[float] = []
    for _ in range(60):
        await time.advance(53)
        if line.phone.waiting_ms:
            believed = bot.session.voice.heard_ms()
            errors.append(believed - heard_ms(line, first, bot.starts[-1]))
    p5, p50, p95 = np.percentile(errors[4:], [5, 50, 95])
    more_ms = MORE_MS.get(vendor, 0)
    assert abs(p50) <= 15 + more_ms
    assert -45 - more_ms <= p5 <= p95 <= 45 + more_ms
    await calls.exchange.close()


@NETWORKS
@in_virtual_time
async def test_a_cut_is_where_the_caller_stops_to_hear(
    time: VirtualTime, vendor: str, delay_ms: int
) -> None:
    calls = Calls(time)
    errors: list[float] = []
    for seed in range(8):
        line, bot = await calls.call(vendor, delay_ms=delay_ms, jitter_ms=20, seed=seed)
        first = len(line.phone.heard)
        bot.say(4000)
        await time.advance(150 + 2 * delay_ms + seed * 277)
        believed, source = await bot.cut()
        assert source == REPORTED
        await time.advance(3 * delay_ms + 100)
        [cleared] = line.phone.cleared
        truth = line.phone.heard[first : cleared.at]
        clicks = clicks_in(truth)
        rest_ms = (len(truth) - clicks[-1]) * 1000 / line.phone.far.rate
        true_ms = bot.starts[-1] + (len(clicks) - 1) * CLICK_MS + rest_ms
        errors.append(believed - true_ms)
        assert clicks_in(line.phone.heard[cleared.at :]) == []
        line.hang_up()
        await bot.session.ended.wait()
    more_ms = MORE_MS.get(vendor, 0)
    assert abs(float(np.median(errors))) <= 15 + more_ms
    assert max(map(abs, errors)) <= 45 + more_ms
    await calls.exchange.close()
