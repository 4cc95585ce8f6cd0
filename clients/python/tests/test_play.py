"""What a program plays as the user's voice: sent once, in real time, in place of the microphone."""

import asyncio
import io
import threading
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live import live, microphone, speaker
from virtual import session_of, virtual

import voxwire
from voxwire.testing import (
    FakeDevices,
    FakeMicrophone,
    FakeServer,
    FakeSession,
    NetworkState,
    VirtualTime,
    loud_ms,
    tone,
)

CODE = voxwire.ErrorCode
RATE = 16_000
RAMP = (np.arange(RATE // 2) % 8000 + 1000).astype(np.int16)
"""Half a second in which every sample says where it belongs."""


async def for_ever(session: FakeSession) -> None:
    await asyncio.Event().wait()


async def answers(session: FakeSession) -> None:
    await session.listen("what time is it")
    await session.say("Noon.")


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return written.getvalue()


def halves() -> Iterator[np.ndarray]:
    yield RAMP[:3001]
    yield RAMP[3001:]


async def async_halves() -> AsyncIterator[bytes]:
    data = RAMP.astype("<i2").tobytes()
    yield data[:3001]
    await asyncio.sleep(0)
    yield data[3001:]


SHAPES: dict[str, Callable[[Path], Any]] = {
    "a path": lambda path: str(path),
    "a Path": lambda path: path,
    "the bytes of a WAV": lambda path: path.read_bytes(),
    "BytesIO": lambda path: io.BytesIO(path.read_bytes()),
    "an open file": lambda path: path.open("rb"),
    "an array": lambda path: RAMP,
    "Audio of bytes": lambda path: voxwire.Audio(RAMP.tobytes(), sample_rate=RATE),
    "Audio of a generator": lambda path: voxwire.Audio(halves(), sample_rate=RATE),
    "a generator": lambda path: halves(),
    "an async generator": lambda path: async_halves(),
}


def sound(session: FakeSession) -> list[int]:
    """All that came of the user, without the silence around it."""
    heard = session.user_samples
    found = np.flatnonzero(heard)
    return heard[found[0] : found[-1] + 1].tolist() if len(found) else []


@pytest.mark.parametrize("shape", SHAPES)
@virtual
async def test_it_arrives_whole_and_once_in_every_shape(
    shape: str, time: VirtualTime, tmp_path: Path
) -> None:
    path = tmp_path / "question.wav"
    path.write_bytes(wav(RAMP))
    async with FakeServer(for_ever) as server, session_of(server) as session:
        began_ms = time.now_ms()
        result = await session.play(SHAPES[shape](path))
        assert result == voxwire.PlayResult(sent_ms=500)
        assert 480 <= time.now_ms() - began_ms <= 560, "in real time"
        await time.advance(1000)
        assert sound(server.session) == RAMP.tolist()
        assert len(server.session.user_samples) >= RATE, "and silence behind it"


@virtual
async def test_a_session_without_a_microphone_asks_by_voice_and_is_answered(
    time: VirtualTime,
) -> None:
    async with FakeServer(answers) as server, session_of(server) as session:
        await time.advance(1000)
        assert not len(server.session.user_samples), "nothing is sent before"
        await session.play(voxwire.Audio(tone(800, sample_rate=48_000), sample_rate=48_000))
        words = [event.text async for event in session if isinstance(event, voxwire.BotWord)]
    assert words == ["Noon."]


@virtual
async def test_several_go_one_after_the_other(time: VirtualTime) -> None:
    async with FakeServer(for_ever) as server, session_of(server) as session:
        both = [session.play(RAMP[:4800]), session.play(RAMP[4800:])]
        assert [one.sent_ms for one in await asyncio.gather(*both)] == [300, 200]
        await time.advance(200)
        assert sound(server.session) == RAMP.tolist()


@virtual
async def test_cancelled_it_stops_with_the_block_and_what_waits_goes_on(time: VirtualTime) -> None:
    async with FakeServer(for_ever) as server, session_of(server) as session:
        first = asyncio.create_task(session.play(np.full(RATE * 10, 1000, np.int16)))
        second = asyncio.create_task(session.play(RAMP))
        await time.advance(2000)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert (await second).sent_ms == 500
        await time.advance(200)
        heard = sound(server.session)
        assert heard[-len(RAMP) :] == RAMP.tolist()
        assert 1900 <= (len(heard) - len(RAMP)) * 1000 / RATE <= 2040


@virtual
async def test_a_file_that_is_the_microphone_pauses_meanwhile(time: VirtualTime) -> None:
    async with FakeServer(for_ever) as server:
        async with session_of(server, microphone=RAMP) as session:
            await time.advance(190)
            await session.play(np.full(RATE // 5, 20_000, np.int16))
            await time.advance(1000)
            heard = np.array(sound(server.session))
    assert (heard == 20_000).sum() == RATE // 5
    assert heard[heard != 20_000].tolist() == RAMP.tolist()


@virtual
async def test_what_a_live_microphone_hears_meanwhile_is_dropped(time: VirtualTime) -> None:
    mic, out = microphone(), speaker()
    async with FakeServer(for_ever) as server, live(server, FakeDevices(mic, out)) as session:
        await time.advance(500)
        mic.speak(tone(2000, sample_rate=48_000, hz=200))
        await session.play(np.zeros(RATE * 2, np.int16))
        await time.advance(500)
        assert loud_ms(server.session.user_samples, sample_rate=RATE) < 20
        mic.speak(tone(400, sample_rate=48_000, hz=200))
        await time.advance(1000)
        assert 350 < loud_ms(server.session.user_samples, sample_rate=RATE) < 450


@virtual
async def test_it_waits_for_a_connection_that_is_away_and_nothing_is_lost(
    time: VirtualTime,
) -> None:
    long = (np.arange(RATE * 6) % 20_000 + 1000).astype(np.int16)
    async with FakeServer(for_ever) as server, session_of(server) as session:
        playing = asyncio.create_task(session.play(long))
        await time.advance(2000)
        server.network.state = NetworkState.REFUSED
        server.network.cut()
        await time.advance(6000)
        server.network.state = NetworkState.UP
        assert await playing == voxwire.PlayResult(sent_ms=6000)
        await time.advance(200)
        assert sound(server.session) == long.tolist()


@virtual
async def test_muted_meanwhile_it_waits_and_a_muted_session_plays_nothing(
    time: VirtualTime,
) -> None:
    async with FakeServer(for_ever) as server, session_of(server) as session:
        playing = asyncio.create_task(session.play(RAMP))
        await time.advance(190)
        await session.mute()
        with pytest.raises(voxwire.UsageError, match="muted") as caught:
            await session.play(RAMP)
        assert caught.value.code == CODE.INVALID_STATE
        await time.advance(1000)
        assert not playing.done()
        await session.mute(False)
        assert (await playing).sent_ms == 500
        await time.advance(200)
        heard = np.array(sound(server.session))
        assert heard[heard != 0].tolist() == RAMP.tolist()


@virtual
async def test_the_end_of_the_session_is_raised_where_something_is_played() -> None:
    async with FakeServer(for_ever) as server, session_of(server) as session:
        playing = asyncio.create_task(session.play(np.zeros(RATE * 60, np.int16)))
        await asyncio.sleep(1)
        await session.close()
        with pytest.raises(voxwire.UsageError, match="has ended"):
            await playing
        with pytest.raises(voxwire.UsageError, match="has ended"):
            await session.play(RAMP)


@virtual
async def test_what_a_generator_raises_is_raised_and_the_session_goes_on() -> None:
    threads: list[str] = []

    def broken() -> Iterator[np.ndarray]:
        threads.append(threading.current_thread().name)
        yield RAMP
        raise LookupError("no more")

    async with FakeServer(for_ever) as server, session_of(server) as session:
        with pytest.raises(LookupError, match="no more"):
            await session.play(broken())
        with pytest.raises(voxwire.MediaError, match="str is no piece of audio"):
            await session.play(iter(["a", "b"]))
        assert (await session.play(RAMP)).sent_ms == 500
    assert threads != [threading.current_thread().name], "one that blocks must not hold the loop"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (None, CODE.INVALID_ARGUMENT),
        (True, CODE.INVALID_ARGUMENT),
        (voxwire.Device("USB"), CODE.INVALID_ARGUMENT),
        (FakeMicrophone(), CODE.INVALID_ARGUMENT),
        ([1, 2], CODE.INVALID_ARGUMENT),
        (b"abc", CODE.INVALID_ARGUMENT),
        ("no/such.wav", CODE.DEVICE),
        (b"RIFF0000WAVE", CODE.UNSUPPORTED_FORMAT),
    ],
)
@virtual
async def test_what_has_no_end_or_cannot_be_read_is_refused(source: Any, code: CODE) -> None:
    async with FakeServer(for_ever) as server, session_of(server) as session:
        with pytest.raises(voxwire.VoxwireError) as caught:
            await session.play(source)
        assert caught.value.code == code
