"""A voice of a plain processor is ended for it, and what fails then is told."""

import asyncio
from collections.abc import Callable

import pytest
from pipecat.frames.frames import TTSAudioRawFrame, TTSStoppedFrame

from voxwire_server.pipeline import plain
from voxwire_server.pipeline.plain import PlainVoice


async def test_a_voice_that_is_left_open_is_ended_under_guard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plain, "_QUIET_SECS", 0.01)
    told, done = list[str](), asyncio.Event()

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def guard() -> None:
            try:
                work()
            except RuntimeError as error:
                told.append(str(error))
            done.set()

        return guard

    def stop(frame: TTSStoppedFrame) -> None:
        raise RuntimeError(f"{frame.context_id} cannot be ended")

    voice = PlainVoice("mine", stop, guarded=guarded)
    voice.note(TTSAudioRawFrame(b"\0\0", 24_000, 1))
    async with asyncio.timeout(60):
        await done.wait()
    assert told == ["mine-1 cannot be ended"]
