"""A bot's own audio of another shape: heard whole and clean, or refused in words."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

import voxwire
from voxwire_server import BotSession
from voxwire_server.testing import running_server


def tone(rate: int, secs: float) -> NDArray[np.int16]:
    t = np.arange(int(rate * secs)) / rate
    return np.rint(np.sin(2 * np.pi * 440 * t) * 8000).astype(np.int16)


class Speaks(FrameProcessor):
    """Speaks by itself once the session is up."""

    def __init__(self, frames: list[Frame]) -> None:
        super().__init__()
        self._frames = frames

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self.create_task(self._speak())

    async def _speak(self) -> None:
        for frame in self._frames:
            await self.push_frame(frame)


def odd_frame(**fields: Any) -> Frame:
    frame = OutputAudioRawFrame(bytes(960), 24_000, 1)
    for name, value in fields.items():
        setattr(frame, name, value)
    return frame


async def play(
    frames: list[Frame], until: Callable[[voxwire.Recording], bool]
) -> tuple[voxwire.Recording, list[voxwire.Event]]:
    """What a client hears of a bot that says these frames, and what it is told."""

    async def bot(session: BotSession) -> None:
        await session.run([session.input(), Speaks(frames), session.output()])

    speaker, told = voxwire.Recording(), []
    async with running_server(bot) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, speaker=speaker, transport="websocket") as session:

            async def read() -> None:
                async for event in session:
                    told.append(event)

            reading = asyncio.create_task(read())
            while not until(speaker):
                await asyncio.sleep(0.02)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    return speaker, told


def loud_ms(speaker: voxwire.Recording) -> float:
    """From the first loud sample to the last."""
    loud = np.flatnonzero(np.abs(speaker.samples.astype(int)) > 800)
    return 0.0 if not len(loud) else (loud[-1] - loud[0] + 1) * 1000 / speaker.sample_rate


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
async def test_an_answer_of_another_rate_is_heard_to_its_last_millisecond(rate: int) -> None:
    """600 ms are 600 ms; at 8 kHz the last 37 were lost."""
    data = tone(rate, 0.6).tobytes()
    size = rate // 50 * 2
    frames: list[Frame] = [TTSStartedFrame(context_id="c")]
    frames += [
        TTSAudioRawFrame(data[at : at + size], rate, 1, context_id="c")
        for at in range(0, len(data), size)
    ]
    frames.append(TTSStoppedFrame(context_id="c"))
    speaker, told = await play(frames, lambda s: loud_ms(s) > 598)
    assert abs(loud_ms(speaker) - 600) < 2
    assert not any(isinstance(event, voxwire.ErrorEvent) for event in told)


@pytest.mark.parametrize(
    "shape",
    [
        {"rate": 44_100, "channels": 2, "size": 1764 * 2},
        {"rate": 24_000, "channels": 1, "size": 961},
        {"rate": 16_000, "channels": 6, "size": 641},
    ],
)
async def test_frames_of_a_processor_of_the_bot_s_own_are_heard_whole(
    shape: dict[str, int],
) -> None:
    rate, channels, size = shape["rate"], shape["channels"], shape["size"]
    data = np.repeat(tone(rate, 0.4), channels).tobytes()
    frames: list[Frame] = [
        OutputAudioRawFrame(data[at : at + size], rate, channels)
        for at in range(0, len(data), size)
    ]
    speaker, told = await play(frames, lambda s: loud_ms(s) > 398)
    assert abs(loud_ms(speaker) - 400) < 2
    loud = np.flatnonzero(np.abs(speaker.samples.astype(int)) > 800)
    heard = speaker.samples[loud[0] : loud[-1]].astype(int)
    assert np.abs(np.diff(heard)).max() < 1300, "a sine of 440 Hz has no steps"
    assert not any(isinstance(event, voxwire.ErrorEvent) for event in told)


async def test_audio_that_cannot_be_played_is_an_error_event_and_the_bot_goes_on() -> None:
    frames = [odd_frame(sample_rate=0), odd_frame(sample_rate=0), odd_frame(num_channels=0)]
    frames.append(OutputAudioRawFrame(tone(24_000, 0.2).tobytes(), 24_000, 1))
    speaker, told = await play(frames, lambda s: loud_ms(s) > 190)
    errors = [event for event in told if isinstance(event, voxwire.ErrorEvent)]
    assert [error.code for error in errors] == [voxwire.ErrorCode.UNSUPPORTED_FORMAT] * 2
    assert "sample_rate must be" in errors[0].reason
    assert "num_channels must be" in errors[1].reason
    assert loud_ms(speaker) > 190


async def test_audio_that_a_processor_brings_in_has_the_session_s_format() -> None:
    """`push_audio_frame` of 48 kHz stereo is what a recogniser hears, at its own rate."""
    heard: list[bytes] = []

    class Hears(FrameProcessor):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, InputAudioRawFrame):
                heard.append(frame.audio)
            await self.push_frame(frame, direction)

    async def bot(session: BotSession) -> None:
        entry = session.input()

        started = asyncio.Event()

        @session.transport.event_handler("on_client_connected")
        async def _(*_: object) -> None:
            started.set()

        async def bring() -> None:
            await started.wait()
            data = np.repeat(tone(48_000, 0.5), 2).tobytes()
            for at in range(0, len(data), 3840):
                await entry.push_audio_frame(InputAudioRawFrame(data[at : at + 3840], 48_000, 2))

        bringing = asyncio.create_task(bring())
        await session.run([entry, Hears(), session.output()])
        await bringing

    async with running_server(bot) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket"):
            while sum(map(len, heard)) < 2 * 16_000 * 0.5 - 4:
                await asyncio.sleep(0.02)
    samples = np.frombuffer(b"".join(heard), "<i2").astype(int)
    assert abs(len(samples) - 8000) <= 2
    expected = tone(16_000, 0.5).astype(int)[: len(samples)]
    assert np.abs(samples - expected)[200:-200].max() < 400
