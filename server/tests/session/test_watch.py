"""The heartbeat: what is due when, and what becomes of it, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.control.none import NoChannel
from voxwire_server.ports import ControlChannel
from voxwire_server.session.limits import SessionLimits
from voxwire_server.session.watch import Gone, Rhythm, Watch, gone, next_look_ms

RHYTHM = Rhythm(heartbeat_ms=1000, dead_after_ms=5000)
SEQUENCE = wire.Feature.FEATURE_SEQUENCE


@pytest.mark.parametrize(
    ("silent_ms", "overflowing", "why"),
    [
        (None, False, None),
        (None, True, Gone.DEAF),
        (0.0, False, None),
        (5000.0, False, None),
        (5001.0, False, Gone.SILENT),
        (5001.0, True, Gone.SILENT),
        (10.0, True, Gone.DEAF),
    ],
)
def test_who_is_gone(silent_ms: float | None, overflowing: bool, why: Gone | None) -> None:
    assert gone(RHYTHM, silent_ms, overflowing=overflowing) is why


@pytest.mark.parametrize(
    ("silent_ms", "look_ms"),
    [(None, 1000), (0.0, 1000), (4001.0, 1000), (4501.0, 500), (5000.0, 10), (9000.0, 10)],
)
def test_a_look_comes_with_the_heartbeat_or_as_soon_as_a_silent_client_is_gone(
    silent_ms: float | None, look_ms: float
) -> None:
    assert next_look_ms(RHYTHM, silent_ms) == look_ms


class Channel:
    """A channel with a client that says something when the test says so."""

    def __init__(self, clock: VirtualTime, *features: wire.Feature) -> None:
        self.features = frozenset(features)
        self.last_sign_ms = clock.now_ms()
        self.attached = True
        self.overflowing = False
        self.closed: list[tuple[int, str, bool]] = []

    def begin(self, inbox: object) -> None: ...

    def send(self, envelope: wire.Envelope) -> None: ...

    def close(self, code: int, reason: str, *, gone: bool = False) -> None:
        self.closed.append((code, reason, gone))
        self.attached = False


class Voice:
    """Notes what it is told of the listener."""

    def __init__(self) -> None:
        self.signs: list[float] = []
        self.stood_since: list[float] = []

    def stood_still(self, since_ms: float) -> None:
        self.stood_since.append(since_ms)

    def watch(self, last_sign_ms: float) -> None:
        self.signs.append(last_sign_ms)


class Watched:
    """What a running watch looks after."""

    def __init__(self, limits: SessionLimits) -> None:
        self.port = FakePort()
        self.voice = Voice()
        self.limits = limits
        self.busy = False

    def stand_still(self, stalled_ms: float) -> None:
        """Let time pass in which nothing of this process runs."""
        clock = self.port.clock
        before = clock.now_ms
        self.port.clock.now_ms = lambda: before() + stalled_ms  # type: ignore[method-assign]


@asynccontextmanager
async def watching(
    time: VirtualTime, channel: Any, *, max_duration_s: int = 0, idle_s: int = 0
) -> AsyncIterator[Watched]:
    """A session that is looked after while the block lasts."""
    limits = SessionLimits(time.now_ms(), max_duration_s=max_duration_s, idle_s=idle_s)
    watched, door = Watched(limits), channel
    watch = Watch(
        watched.port,
        door,
        watched.voice,
        clock_sync=ClockSync(),
        limits=limits,
        busy=lambda: watched.busy,
        rhythm=RHYTHM,
    )
    task = asyncio.ensure_future(watch.run())
    await time.settle()
    try:
        yield watched
    finally:
        task.cancel()
        await asyncio.wait({task})


@in_virtual_time
async def test_a_client_that_answers_is_pinged_with_every_heartbeat(time: VirtualTime) -> None:
    channel = Channel(time, SEQUENCE)
    async with watching(time, channel) as watched:
        for _ in range(60):
            await time.advance(1001)
            channel.last_sign_ms = time.now_ms()
        assert len(watched.port.of("ping")) == 60
        assert [ping.number for ping in watched.port.of("ping")] == list(range(1, 61))
        assert channel.closed == []
        assert len(watched.voice.signs) == 60


@in_virtual_time
async def test_a_client_that_stays_silent_is_gone_at_once_after_its_time(
    time: VirtualTime,
) -> None:
    channel = Channel(time, SEQUENCE)
    born_ms = channel.last_sign_ms
    async with watching(time, channel) as watched:
        await time.advance(5000)
        assert channel.closed == []
        await time.advance(11)
        code = 4000 + wire.ErrorCode.ERROR_CODE_CONNECTION_LOST
        assert channel.closed == [(code, Gone.SILENT.value, True)]
        pings = len(watched.port.of("ping"))
        await time.advance(60_000)
        assert len(channel.closed) == 1
        assert len(watched.port.of("ping")) == pings
        assert set(watched.voice.signs) == {born_ms}
        assert watched.port.ended == []


@in_virtual_time
async def test_a_client_that_stopped_reading_is_gone_with_the_next_heartbeat(
    time: VirtualTime,
) -> None:
    channel = Channel(time, SEQUENCE)
    async with watching(time, channel):
        channel.overflowing = True
        await time.advance(999)
        assert channel.closed == []
        await time.advance(2)
        assert [(reason, gone) for _, reason, gone in channel.closed] == [(Gone.DEAF.value, True)]


@in_virtual_time
async def test_a_process_that_stood_still_has_not_heard_what_waits_for_it(
    time: VirtualTime,
) -> None:
    channel = Channel(time, SEQUENCE)
    async with watching(time, channel) as watched:
        await time.advance(1500)
        due_ms = time.now_ms() + 500
        assert watched.voice.stood_since == []
        watched.stand_still(6000)
        await time.advance(500)  # the look that was due is 6 s late
        assert channel.closed == []
        assert watched.voice.stood_since == [due_ms]
        channel.last_sign_ms = watched.port.clock.now_ms()  # what waited is read
        await time.advance(1500)
        assert channel.closed == []
        watched.stand_still(6000)
        await time.advance(500)
        assert channel.closed == []
        await time.advance(30)  # nothing waited
        assert [reason for _, reason, _ in channel.closed] == [Gone.SILENT.value]


@in_virtual_time
async def test_nobody_is_gone_while_nothing_carries_the_channel(time: VirtualTime) -> None:
    channel = Channel(time, SEQUENCE)
    channel.attached = False
    channel.overflowing = True
    async with watching(time, channel) as watched:
        await time.advance(60_000)
        assert channel.closed == []
        assert watched.port.sent == []
        assert len(watched.voice.signs) >= 59


@in_virtual_time
async def test_a_client_that_answers_no_pings_may_be_silent_and_is_still_read_by(
    time: VirtualTime,
) -> None:
    channel = Channel(time, wire.Feature.FEATURE_WORDS)
    async with watching(time, channel) as watched:
        await time.advance(3_600_000)
        assert channel.closed == []
        assert watched.port.sent == []
        channel.overflowing = True
        await time.advance(1001)
        assert [reason for _, reason, _ in channel.closed] == [Gone.DEAF.value]


@in_virtual_time
async def test_a_telephone_that_says_nothing_stays(time: VirtualTime) -> None:
    channel: ControlChannel = NoChannel(clock=time)
    async with watching(time, channel) as watched:
        await time.advance(3_600_000)
        assert channel.attached
        assert watched.port.sent == []
        assert watched.port.ended == []
        ages = [sign_ms - time.now_ms() for sign_ms in watched.voice.signs]
        assert ages[-1] > -1001


@in_virtual_time
async def test_the_longest_duration_is_warned_of_and_then_ends_the_session(
    time: VirtualTime,
) -> None:
    async with watching(time, NoChannel(clock=time), max_duration_s=60) as watched:
        await time.advance(53_000)
        assert watched.port.sent == []
        await time.advance(2000)
        [warning] = watched.port.of("go_away")
        assert 4000 <= warning.time_left_ms <= 6000
        assert watched.port.ended == []
        await time.advance(6000)
        assert set(watched.port.ended) == {wire.EndReason.END_REASON_ERROR}


@in_virtual_time
async def test_a_session_that_is_used_is_not_idle(time: VirtualTime) -> None:
    async with watching(time, NoChannel(clock=time), idle_s=30) as watched:
        watched.busy = True
        await time.advance(120_000)
        assert watched.port.sent == []
        watched.busy = False
        await time.advance(31_000)
        assert len(watched.port.of("go_away")) == 1
        assert set(watched.port.ended) == {wire.EndReason.END_REASON_IDLE}
