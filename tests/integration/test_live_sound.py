"""The live example of the client's README on real sound devices: PulseAudio's null sinks."""

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.programs import ADDRESS, environment
from tests.support.readmes import fences
from tests.support.sound_server import (
    SoundServer,
    loud_spans,
    missing,
    sound_server,
    write_wav,
)
from tests.support.waiting import DEADLINE_S, PATIENT
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.offline.phrases import render_pcm
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import running_server

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "all is there")

QUESTION = "what is the weather in paris"
(PROGRAM,) = [
    fence
    for fence in fences()
    if fence.path == "clients/python/README.md" and Path(fence.of).name == Path(__file__).name
]


@pytest.fixture
async def sound() -> AsyncIterator[SoundServer]:
    with tempfile.TemporaryDirectory() as folder:
        async with sound_server(Path(folder)) as server:
            yield server


async def test_a_question_spoken_into_the_microphone_is_answered_by_the_speaker(
    sound: SoundServer, tmp_path: Path
) -> None:
    bot = LoadedBot(name="offline", run=offline.bot, warm=offline.warm, close=offline.close)
    pcm, _ = await render_pcm(QUESTION, sample_rate=48_000)
    write_wav(tmp_path / "question.wav", np.frombuffer(pcm, np.int16), 48_000)
    async with running_server(bot, **PATIENT) as server:
        program = tmp_path / "program.py"
        text = PROGRAM.text.replace(ADDRESS, server.url.removeprefix("ws://"))
        program.write_text(text, "utf-8")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(program)),
            env=environment(**sound.environment),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(DEADLINE_S):
                await said(process.stdout, "story.")  # the greeting's last word
                recording = await sound.record(tmp_path / "answer.raw")
                asked = asyncio.create_task(sound.play(tmp_path / "question.wav"))
                await said(process.stdout, f"you: {QUESTION}")
                await said(process.stdout, "degrees")
                await asked
                await sound.stop(recording)
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = await process.communicate()
    assert errors.rstrip().endswith(b"KeyboardInterrupt"), errors.decode()
    assert len(loud_spans(tmp_path / "answer.raw")) > 25, "half a second of speech at least"


async def said(out: asyncio.StreamReader, text: str) -> None:
    """Reads until a program has printed that."""
    seen = ""
    while text not in seen:
        piece = await out.read(1000)
        assert piece, f"the program ended; {seen!r} has no {text!r}"
        seen += piece.decode()
