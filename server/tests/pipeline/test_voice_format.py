"""The bot's voice in the session's format: nothing of it is lost, nothing becomes noise."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import OutputAudioRawFrame

from voxwire_server.pipeline.voice_format import UnusableAudioError, VoiceFormat
from voxwire_server.pipeline.voice_source import VoiceSource

RATE = 24_000


def sine(rate: int, secs: float = 0.5) -> np.ndarray:
    t = np.arange(int(rate * secs)) / rate
    return np.rint(np.sin(2 * np.pi * 440 * t) * 8000).astype("<i2")


def frame(audio: bytes, rate: int = RATE, channels: int = 1) -> OutputAudioRawFrame:
    return OutputAudioRawFrame(audio, rate, channels)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def joined(voiced: list[tuple[str | None, bytes]]) -> np.ndarray:
    return np.frombuffer(b"".join(pcm for _, pcm in voiced), "<i2")


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_the_end_of_an_answer_is_not_lost_at_any_rate(rate: int) -> None:
    audio = VoiceFormat(sample_rate=RATE, volume=1.0)
    data = sine(rate).tobytes()
    voiced = [
        v for part in cut(data, rate // 50 * 2) for v in audio.convert(frame(part, rate), "a")
    ]
    voiced += audio.finish()
    got, expected = joined(voiced), sine(RATE)
    assert abs(len(got) - len(expected)) <= 1
    assert {context for context, _ in voiced} == {"a"}
    middle = slice(RATE // 50, -RATE // 50)
    assert np.abs(got[middle].astype(int) - expected[: len(got)][middle]).max() < 400
    assert np.abs(got[-480:].astype(int)).max() > 6000, "the last 20 ms are there"
    assert audio.finish() == []


def test_the_end_of_one_context_comes_before_the_next_one() -> None:
    audio = VoiceFormat(sample_rate=RATE, volume=1.0)
    first = audio.convert(frame(sine(16_000).tobytes(), 16_000), "a")
    second = audio.convert(frame(sine(16_000).tobytes(), 16_000), "b")
    assert [context for context, _ in second] == ["a", "b"]
    assert abs(len(joined(first)) + len(joined(second[:1])) - RATE // 2) <= 1


def test_what_was_cut_is_not_heard_later() -> None:
    audio = VoiceFormat(sample_rate=RATE, volume=1.0)
    audio.convert(frame(sine(16_000).tobytes() + b"x", 16_000), "a")
    audio.cut()
    assert audio.finish() == []
    silence = audio.convert(frame(bytes(3200), 16_000), "b")
    assert np.abs(joined(silence)).max() <= 1, "silence, but for the dither"


@pytest.mark.parametrize("size", [1, 3, 641])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_frames_that_are_cut_anywhere_are_put_together(size: int, channels: int) -> None:
    audio = VoiceFormat(sample_rate=RATE, volume=1.0)
    data = np.repeat(sine(RATE, 0.05), channels).tobytes()
    got = joined(
        [v for part in cut(data, size) for v in audio.convert(frame(part, RATE, channels), "a")]
    )
    assert (got == sine(RATE, 0.05)).all()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("sample_rate", 0, "sample_rate must be a whole number of 1000 to 768000"),
        ("sample_rate", -24_000, "sample_rate"),
        ("sample_rate", 24_000.0, "sample_rate"),
        ("sample_rate", None, "sample_rate"),
        ("num_channels", 0, "num_channels must be a whole number of 1 to 8"),
        ("num_channels", 99, "num_channels"),
        ("audio", None, "bytes"),
        ("audio", [1, 2], "bytes"),
    ],
)
def test_a_frame_that_cannot_be_played_says_why(field: str, value: Any, says: str) -> None:
    audio = VoiceFormat(sample_rate=RATE, volume=1.0)
    odd = frame(bytes(960))
    setattr(odd, field, value)
    with pytest.raises(UnusableAudioError, match=says):
        audio.convert(odd, None)


class Placed:
    """What a source handed on."""

    def __init__(self) -> None:
        self.voiced: list[tuple[str | None, bytes]] = []
        self.refused: list[str] = []
        self.failed: list[str] = []
        self.fails = False
        self.source = VoiceSource(
            VoiceFormat(sample_rate=RATE, volume=1.0),
            place=self.place,
            refuse=self.refused.append,
            guarded=self.guarded,
        )

    def guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        def guard() -> None:
            try:
                work()
            except RuntimeError as error:
                self.failed.append(str(error))

        return guard

    def place(self, context: str | None, pcm: bytes, *, spoken: bool) -> None:
        if self.fails:
            raise RuntimeError("no place")
        self.voiced.append((context, pcm))


async def test_what_fails_when_no_more_comes_is_told() -> None:
    placed = Placed()
    placed.source.take(frame(sine(16_000, 0.02).tobytes(), 16_000), None, spoken=False)
    placed.fails = True
    async with asyncio.timeout(60):
        while not placed.failed:
            await asyncio.sleep(0.01)
    assert placed.failed == ["no place"]


async def test_audio_of_no_context_ends_when_no_more_comes() -> None:
    placed = Placed()
    for part in cut(sine(16_000).tobytes(), 640):
        placed.source.take(frame(part, 16_000), None, spoken=False)
    before = len(placed.voiced)
    async with asyncio.timeout(60):
        while len(placed.voiced) == before:
            await asyncio.sleep(0.01)
    assert abs(len(joined(placed.voiced)) - RATE // 2) <= 1


async def test_an_end_ends_its_own_context_only() -> None:
    placed = Placed()
    placed.source.take(frame(sine(16_000).tobytes(), 16_000), "b", spoken=True)
    placed.source.finish("a")
    assert len(placed.voiced) == 1
    placed.source.finish("b")
    assert abs(len(joined(placed.voiced)) - RATE // 2) <= 1
    placed.source.cut()


async def test_audio_that_cannot_be_played_is_told_once_and_the_rest_is_played() -> None:
    placed = Placed()
    odd = frame(bytes(960))
    odd.sample_rate = 0
    for _ in range(3):
        assert not placed.source.take(odd, None, spoken=False)
    assert placed.source.take(frame(bytes(960)), None, spoken=False)
    assert len(placed.refused) == 1
    assert len(joined(placed.voiced)) == 480
