"""Microphones and speakers that are slow or raise: a typed error, and the event loop lives."""

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peer import UNIT_S, Peer, serving

import voxwire
from voxwire import _devices
from voxwire._devices import WINDOW, GuardedSpeaker, Pace
from voxwire._player import Player
from voxwire._user import UserAudio
from voxwire.audio import StreamMicrophone, as_speaker
from voxwire.playout import PlayoutBuffer, Samples
from voxwire_protocol.clocks import SystemClock
from voxwire_protocol.errors import ErrorCode


class HandClock(SystemClock):
    """Stands still but for what a test says that something took."""

    def __init__(self) -> None:
        self.at_ms = 0.0

    def now_ms(self) -> float:
        return self.at_ms


@pytest.fixture
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else gets the processor meanwhile."""
    monkeypatch.setattr(_devices, "preemptions", lambda: 0)


class SlowMicrophone:
    """Every read takes so long, by the clock."""

    def __init__(self, clock: HandClock, took_ms: float) -> None:
        self._clock = clock
        self._took_ms = took_ms

    def read(self, num_samples: int) -> Samples:
        self._clock.at_ms += self._took_ms
        return np.zeros(num_samples, np.int16)

    async def run(self) -> None:
        return


@pytest.mark.usefixtures("undisturbed")
async def test_a_microphone_that_needs_a_whole_block_is_too_slow_and_says_what_was_measured() -> (
    None
):
    clock = HandClock()
    user = UserAudio(SlowMicrophone(clock, 25), clock=clock)
    running = asyncio.create_task(user.run())
    heard = [user.read(320) for _ in range(WINDOW + 5)]
    assert heard[WINDOW - 2] is not None
    assert heard[-1] is None
    with pytest.raises(BaseExceptionGroup) as caught:
        await running
    (error,) = caught.value.exceptions
    assert isinstance(error, voxwire.MediaError)
    assert error.code == ErrorCode.DEVICE
    assert "read() is too slow: it took 25 ms for each block of 20 ms" in error.reason
    assert "async iterator" in error.reason


@pytest.mark.usefixtures("undisturbed")
async def test_a_speaker_that_needs_a_whole_block_is_too_slow() -> None:
    clock = HandClock()

    def play(samples: Samples, media_ms: int) -> None:
        clock.at_ms += 22

    speaker = GuardedSpeaker(as_speaker(play), clock=clock)
    speaker.open(24_000)
    buffer = PlayoutBuffer(sample_rate=24_000)
    with pytest.raises(voxwire.MediaError, match="took 22 ms for each block") as caught:
        for _ in range(WINDOW):
            speaker.write(buffer.pull(480), 0.0)
    assert caught.value.code == ErrorCode.DEVICE


def test_a_stall_of_the_program_is_not_the_device_s_fault() -> None:
    pace = Pace("read()", "be quick")
    for _ in range(3):
        pace.note(30_000)
        for _ in range(WINDOW):
            pace.note(2)


class Blocking:
    """A device as a sound library has it: read() returns when the samples are there."""

    def read(self, num_samples: int) -> Samples:
        time.sleep(0.025)  # real time: slow
        return np.zeros(num_samples, np.int16)

    async def run(self) -> None:
        return


def blocking_speaker(samples: Samples, media_ms: int) -> None:
    time.sleep(0.022)  # real time: slow


async def until_gone(peer: Peer) -> None:
    await peer.ready()
    await peer.socket.wait_closed()


@pytest.mark.parametrize("device", [{"microphone": Blocking()}, {"speaker": blocking_speaker}])
async def test_a_device_slower_than_real_time_ends_the_session_and_never_holds_the_loop(
    device: dict[str, Any],
) -> None:
    """By turns of the loop: there is one for every block, so that every time-out can fire."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with serving(until_gone) as url, asyncio.timeout(30 * UNIT_S):
        counting = asyncio.create_task(count())
        with pytest.raises(voxwire.MediaError, match="too slow") as caught:
            async with voxwire.connect(url, transport="websocket", **device) as session:
                turns = 0
                async for _ in session:
                    pass
        assert turns >= WINDOW - 1
        counting.cancel()
    assert caught.value.code == ErrorCode.DEVICE


async def test_a_player_that_is_behind_yields_with_every_block() -> None:
    """What sounds late is caught up, one block a turn of the loop."""
    turns = written = 0
    clock = HandClock()

    class Speaker(voxwire.Recording):
        def write(self, block: Any, at: float) -> None:
            nonlocal written
            written += 1
            assert turns >= written - 1, "two blocks in one turn of the loop"

    player = Player(
        Speaker(),
        sample_rate=24_000,
        target_ms=20,
        continuous=False,
        emit=lambda _: None,
        report=lambda _: None,
        clock=clock,
    )
    running = asyncio.create_task(player.run())
    await asyncio.sleep(0)
    clock.at_ms += 500  # the loop stood still: 25 blocks are due
    while written < 20:
        turns += 1
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    player.close()


async def test_a_source_that_yields_nothing_for_ever_does_not_hold_the_loop() -> None:
    async def nothing():
        while True:
            yield b""

    running = asyncio.create_task(StreamMicrophone(nothing()).run())
    for _ in range(10):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Raising:
    """A device whose method of that name raises."""

    def __init__(self, method: str) -> None:
        self._method = method

    def _do(self, method: str) -> None:
        if method == self._method:
            raise ZeroDivisionError("division by zero")

    def open(self, sample_rate: int) -> None:
        self._do("open")

    def write(self, block: Any, at: float) -> None:
        self._do("write")

    def close(self) -> None:
        self._do("close")

    def read(self, num_samples: int) -> Samples:
        self._do("read")
        return np.zeros(num_samples, np.int16)

    async def run(self) -> None:
        self._do("run")


async def raising_function(samples: Samples, media_ms: int) -> None:
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    "device",
    [
        {"microphone": Raising("read")},
        {"microphone": Raising("run")},
        {"speaker": Raising("open")},
        {"speaker": Raising("write")},
        {"speaker": raising_function},
        {"speaker": lambda samples, media_ms: 1 / 0},
    ],
)
async def test_what_a_device_raises_is_a_device_error_with_its_cause(
    device: dict[str, Any],
) -> None:
    async with serving(until_gone) as url, asyncio.timeout(10 * UNIT_S):
        with pytest.raises(voxwire.MediaError) as caught:
            async with voxwire.connect(url, transport="websocket", **device) as session:
                async for _ in session:
                    pass
    assert caught.value.code == ErrorCode.DEVICE
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_a_speaker_that_cannot_be_closed_does_not_stop_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.until_bye()

    speaker: Any = Raising("close")
    async with serving(script) as url:
        async with voxwire.connect(url, transport="websocket", speaker=speaker) as session:
            await session.close()
    assert "could not be closed" in caplog.text


async def test_an_async_function_gets_every_block_in_order() -> None:
    """A slow first block delays those behind it; it does not overtake, and none is dropped."""
    got: list[int] = []
    go = asyncio.Event()

    async def play(samples: Samples, media_ms: int) -> None:
        await go.wait()
        got.append(media_ms)

    speaker = as_speaker(play)
    buffer = PlayoutBuffer(sample_rate=24_000)
    speaker.open(24_000)
    buffer.push(0, np.ones(24_000, np.int16))
    for _ in range(20):
        speaker.write(buffer.pull(480), 0.0)
    assert got == []
    go.set()
    async with asyncio.timeout(10 * UNIT_S):
        while len(got) < 20:
            await asyncio.sleep(0)
    speaker.close()
    assert got == sorted(got)
    assert len(set(got)) > 10


async def test_an_async_function_that_does_not_keep_up_is_a_device_error() -> None:
    async def play(samples: Samples, media_ms: int) -> None:
        await asyncio.Event().wait()

    speaker = GuardedSpeaker(as_speaker(play))
    speaker.open(24_000)
    buffer = PlayoutBuffer(sample_rate=24_000)
    with pytest.raises(voxwire.MediaError, match="2 s behind") as caught:
        for _ in range(200):
            speaker.write(buffer.pull(480), 0.0)
    assert caught.value.code == ErrorCode.DEVICE
    speaker.close()


def test_a_recording_is_whole_at_any_moment(tmp_path: Path) -> None:
    """What a program that is killed leaves behind says how long it is."""
    path = tmp_path / "bot.wav"
    speaker = voxwire.FileSpeaker(path)
    speaker.open(24_000)
    buffer = PlayoutBuffer(sample_rate=24_000)
    buffer.push(0, np.full(24_000, 7, np.int16))
    played = 0
    for _ in range(20):
        block = buffer.pull(480)
        speaker.write(block, 0.0)
        played += sum(s.length for s in block.spans if s.kind is voxwire.SpanKind.PLAYED)
        with path.open("rb") as file:
            data = file.read()
        assert int.from_bytes(data[40:44], "little") == len(data) - 44 == 2 * played
        assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert played > 0
    speaker.close()


def test_a_machine_that_is_busy_with_others_is_not_the_device_s_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of every block is spent on others' work, in the middle of a call."""
    taken = iter(range(10**6))
    clock, pace = HandClock(), Pace("read()", "be quick")
    monkeypatch.setattr(_devices, "preemptions", lambda: next(taken))
    for _ in range(3 * WINDOW):
        with pace.call(clock):
            clock.at_ms += 15
    monkeypatch.setattr(_devices, "preemptions", lambda: 7)
    with pytest.raises(voxwire.MediaError, match="too slow"):
        for _ in range(WINDOW):
            with pace.call(clock):
                clock.at_ms += 15
