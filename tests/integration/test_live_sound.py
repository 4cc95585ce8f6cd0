"""The live example of the client's README on real sound devices: PulseAudio's null sinks."""

import asyncio
import contextlib
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.espeak import render_pcm
from tests.support.fresh_python import fresh_python
from tests.support.programs import ADDRESS, environment
from tests.support.readmes import fences
from tests.support.sound_server import (
    SoundServer,
    loud_blocks,
    missing,
    sound_server,
    write_wav,
)
from tests.support.waiting import DEADLINE_S, PATIENT
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import running_server

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "all is there")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUESTION = "what is the weather in paris"
LAST_OF_GREETING, LATE_IN_ANSWER = r"(story)\.", "(degrees)"
TRIES = 3
HALF_A_SECOND = 25
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


class Printed:
    """What a program prints, read from where it was read before."""

    def __init__(self, out: asyncio.StreamReader) -> None:
        self._out = out
        self._text = ""

    async def find(self, pattern: str) -> str:
        """Reads on until something matches; the first group of it."""
        while (found := re.search(pattern, self._text)) is None:
            piece = await self._out.read(1000)
            assert piece, f"the program ended; {self._text!r} has no {pattern!r}"
            self._text += piece.decode()
        self._text = self._text[found.end() :]
        return found[1]


@contextlib.asynccontextmanager
async def talking(
    sound: SoundServer,
    folder: Path,
    text: str = PROGRAM.text,
    *,
    python: str | Path = sys.executable,
    raises: bool = True,
) -> AsyncIterator[Printed]:
    """Runs a program, the README's as it is written; gives what it prints, from the greeting on.

    It ends by Ctrl-C, with a traceback if it `raises` what that is.
    """
    bot = LoadedBot(name="offline", run=offline.bot, warm=offline.warm, close=offline.close)
    pcm, _ = await render_pcm(QUESTION, sample_rate=48_000)
    write_wav(folder / "question.wav", np.frombuffer(pcm, np.int16), 48_000)
    async with running_server(bot, **PATIENT) as server:
        program = folder / "program.py"
        program.write_text(text.replace(ADDRESS, server.url.removeprefix("ws://")), "utf-8")
        process = await asyncio.create_subprocess_exec(
            *(str(python), str(program)),
            env=environment(**sound.environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(2 * DEADLINE_S):
                printed = Printed(process.stdout)
                await printed.find(LAST_OF_GREETING)
                yield printed
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = await process.communicate()
    assert errors.rstrip().endswith(b"KeyboardInterrupt") is raises, errors.decode()
    assert (b"Traceback" in errors) is raises


async def ask(sound: SoundServer, printed: Printed, folder: Path, sink: str) -> int:
    """Speaks the question, again if a busy machine broke the sound up and it was not understood.

    Returns:
        How much of what a sink played meanwhile is loud, blocks of 20 ms.
    """
    recording = await sound.record(folder / "answer.raw", sink)
    for _ in range(TRIES):
        await sound.play(folder / "question.wav")
        if await printed.find(r"you: (.*)\n") == QUESTION:
            break
    else:
        raise AssertionError(f"not understood {TRIES} times")
    await printed.find(LATE_IN_ANSWER)
    await sound.stop(recording)
    return loud_blocks(folder / "answer.raw")


async def test_a_question_spoken_into_the_microphone_is_answered_by_the_speaker(
    sound: SoundServer, tmp_path: Path
) -> None:
    async with talking(sound, tmp_path) as printed:
        assert await ask(sound, printed, tmp_path, "ears") > HALF_A_SECOND


async def test_a_speaker_that_is_unplugged_gives_way_to_another(
    sound: SoundServer, tmp_path: Path
) -> None:
    """Its sink is unloaded, and the stream with it; the default is another one by then."""
    async with talking(sound, tmp_path) as printed:
        await sound.add_sink("headset")
        await sound.remove_sink("ears")
        assert await ask(sound, printed, tmp_path, "headset") > HALF_A_SECOND


async def test_a_fresh_environment_with_the_extras_is_all_it_takes(
    sound: SoundServer, tmp_path: Path
) -> None:
    """Installed as the README says: into a new environment, by pip, from the clone's folders."""
    command = "pip install './clients/python[audio,aec]' ./protocol/python"
    assert command in (EXAMPLES.parent / "README.md").read_text("utf-8")
    python = await asyncio.to_thread(fresh_python, tmp_path / "fresh", command)
    async with talking(sound, tmp_path, python=python) as printed:
        assert await ask(sound, printed, tmp_path, "ears") > HALF_A_SECOND


async def test_the_terminal_assistant_hears_and_speaks(sound: SoundServer, tmp_path: Path) -> None:
    text = (EXAMPLES / "terminal_assistant.py").read_text("utf-8")
    async with talking(sound, tmp_path, text, raises=False) as printed:
        assert await ask(sound, printed, tmp_path, "ears") > HALF_A_SECOND
