"""examples/*.py, the Python client in programs of others: each runs as its docstring says."""

import asyncio
import base64
import contextlib
import csv
import io
import json
import re
import shutil
import signal
import sys
import wave
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from tests.support.inside import placed_ms, sessions
from tests.support.programs import ADDRESS, environment, run
from tests.support.waiting import DEADLINE_S, PATIENT, until
from voxwire_server import BotSession
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import RunningServer, running_server

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUESTION = EXAMPLES / "question.wav"
SUNNY = "In Paris it is sunny today, with a high of 2"
LONG_MS = 600_000
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Talks:
    """The offline bot, and how many talk to it at a time."""

    def __init__(self) -> None:
        self.now = self.most = self.all = 0

    async def run(self, session: BotSession) -> None:
        self.now += 1
        self.all += 1
        self.most = max(self.most, self.now)
        try:
            await offline.bot(session)
        finally:
            self.now -= 1


talks = Talks()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RunningServer]:
    """What `make run` starts; only a client that says goodbye is gone within the hour."""
    bot = LoadedBot(name="offline", run=talks.run, warm=offline.warm, close=offline.close)
    async with running_server(bot, **PATIENT, grace_ms=LONG_MS) as server:
        yield server


@contextlib.asynccontextmanager
async def started(*command: str | Path, cwd: Path, **env: str) -> AsyncIterator["Program"]:
    """A program that is written to and read from; it is killed if it has not ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *map(str, command)),
        cwd=cwd,
        env=environment(**env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(2 * DEADLINE_S):
            yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


class Program:
    """What runs; what it prints is read once."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.stdin, self._out = process, process.stdin, process.stdout
        self.text = ""
        self._at = 0

    async def find(self, pattern: str) -> re.Match[str]:
        """Reads on until something matches behind what matched last."""
        while (found := re.compile(pattern).search(self.text, self._at)) is None:
            piece = await self._out.read(1000)
            assert piece, f"it ended; {self.text!r} has no {pattern!r}"
            self.text += piece.decode()
        self._at = found.end()
        return found

    async def end(self, *, after: signal.Signals | None = None) -> int | None:
        """Its exit code, when it has ended by itself or after a signal."""
        if after is not None:
            self.process.send_signal(after)
        while piece := await self._out.read(1000):
            self.text += piece.decode()
        return await self.process.wait()


def samples_of(wav: bytes) -> np.ndarray[Any, np.dtype[np.int16]]:
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def is_loud(samples: np.ndarray[Any, np.dtype[np.int16]]) -> bool:
    return bool((np.abs(samples.astype(np.int32)) > 1000).sum() > 2400)


async def test_every_example_is_run_here() -> None:
    tests = (Path(__file__), Path(__file__).with_name("test_voice_example.py"))
    text = "".join(path.read_text("utf-8") for path in tests)
    for path in EXAMPLES.glob("*.py"):
        assert f'"{path.name}"' in text, path.name


async def test_python_embed_asks_and_keeps_the_talk(server: RunningServer, tmp_path: Path) -> None:
    text = (EXAMPLES / "python_embed.py").read_text("utf-8")
    assert len(text.split("\n\n\n")[1].splitlines()) <= 20  # `ask`
    (tmp_path / "program.py").write_text(text.replace(ADDRESS, f"127.0.0.1:{server.port}"))
    ended = await run((sys.executable, "program.py"), tmp_path)
    assert ended.status == 0, ended.err
    assert SUNNY in ended.out
    with wave.open(str(tmp_path / "talk.wav")) as talk:
        assert (talk.getnchannels(), talk.getframerate()) == (2, 24_000)
        both = np.frombuffer(talk.readframes(talk.getnframes()), np.int16).reshape(-1, 2)
    assert is_loud(both[:, 1])


async def test_the_terminal_assistant_answers_what_is_typed(
    server: RunningServer, tmp_path: Path
) -> None:
    program = EXAMPLES / "terminal_assistant.py"
    async with started(program, server.url, "--typed", cwd=tmp_path) as assistant:
        await assistant.find("bot: Hello, ")
        assistant.stdin.write(b"what is the weather in paris\n")
        await assistant.find("— \nyou: what is the weather in paris\nbot: ")
        await assistant.find(r"\[get_weather\] ")
        await assistant.find(SUNNY)
        assistant.stdin.write(b"\n")  # silences it
        await assistant.find("— ")
        assistant.stdin.write_eof()
        assert await assistant.end() == 0
    await until(lambda: not len(server.registry))


async def test_ctrl_c_hangs_the_terminal_assistant_up(
    server: RunningServer, tmp_path: Path
) -> None:
    program = EXAMPLES / "terminal_assistant.py"
    async with started(program, server.url, "--typed", cwd=tmp_path) as assistant:
        await assistant.find("bot: Hello, ")
        assert await assistant.end(after=signal.SIGINT) == 0
        assert "Traceback" not in assistant.text
    await until(lambda: not len(server.registry))


async def test_the_terminal_assistant_says_in_a_line_what_went_wrong(tmp_path: Path) -> None:
    program = EXAMPLES / "terminal_assistant.py"
    ended = await run((sys.executable, program, "ws://127.0.0.1:9", "--typed"), tmp_path)
    assert ended.status == 1
    assert re.fullmatch(r"\nSIGNALING_FAILED: .*\n|\n[A-Z_]+: .*\n", ended.err), ended.err


async def test_the_robot_hears_moves_and_speaks(server: RunningServer, tmp_path: Path) -> None:
    command = (sys.executable, EXAMPLES / "robot_loop.py", "--url", server.url)
    ended = await run(command, tmp_path)
    assert ended.status == 0, ended.err
    assert "heard: show paris on the map" in ended.out
    assert "[show_on_map: done, the arm at 24.0°]" in ended.out
    assert "pointing at Paris" in ended.out
    assert is_loud(samples_of((tmp_path / "robot.wav").read_bytes()))


def post(port: int, body: bytes, kind: str) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request("POST", "/ask", body, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@contextlib.asynccontextmanager
async def backend(server: RunningServer, folder: Path) -> AsyncIterator[tuple[Program, int]]:
    """examples/fastapi_app.py and its port."""
    app = EXAMPLES / "fastapi_app.py"
    async with started(app, cwd=folder, BOT_URL=server.url, PORT="0") as program:
        yield program, int((await program.find(r"running on http://127\.0\.0\.1:(\d+)"))[1])


async def test_the_backend_answers_text_and_sound_with_words_and_sound(
    server: RunningServer, tmp_path: Path
) -> None:
    typed = json.dumps({"text": "what is the weather in paris"}).encode()
    async with backend(server, tmp_path) as (program, port):
        for body, kind in (
            (typed, "application/json"), (QUESTION.read_bytes(), "audio/wav"),
        ):  # fmt: skip
            status, answer = await asyncio.to_thread(post, port, body, kind)
            assert status == 200, answer
            assert answer["question"] == "what is the weather in paris"
            words = answer["words"]
            assert " ".join(word["text"] for word in words).startswith(f"Let me check. {SUNNY}")
            samples = samples_of(base64.b64decode(answer["wav"]))
            assert is_loud(samples)
            assert words[0]["at_ms"] == 0 < words[-1]["at_ms"] < len(samples) / 24
        assert await asyncio.to_thread(post, port, b"no wav", "audio/wav") == (
            400,
            {"detail": "bytes that are no WAV do not say their rate: pass voxwire.Audio(data,"
             " sample_rate=16000) for int16 little-endian"},
        )  # fmt: skip
        await until(lambda: not len(server.registry))
        assert await program.end(after=signal.SIGINT) in (0, -signal.SIGINT), program.text
        assert "Traceback" not in program.text


PAST_THE_GREETING_MS = 10_000
"""Of the media clock: the story is under way, so the client's session is up."""

STORY = json.dumps({"text": "tell me a long story"}).encode()


def tells_the_story(server: RunningServer) -> bool:
    return any(placed_ms(session) > PAST_THE_GREETING_MS for session in sessions(server))


async def test_a_user_who_leaves_the_backend_ends_the_session(
    server: RunningServer, tmp_path: Path
) -> None:
    async with backend(server, tmp_path) as (_, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /ask HTTP/1.1\r\nHost: x\r\nContent-Length: {len(STORY)}\r\n"
        writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + STORY)
        await until(lambda: tells_the_story(server))
        writer.close()
        await until(lambda: not len(server.registry))


async def test_a_backend_that_is_stopped_ends_its_sessions(
    server: RunningServer, tmp_path: Path
) -> None:
    async with backend(server, tmp_path) as (program, port):
        asking = asyncio.create_task(asyncio.to_thread(post, port, STORY, "application/json"))
        await until(lambda: tells_the_story(server))
        await program.end(after=signal.SIGTERM)
        await until(lambda: not len(server.registry))
        await asyncio.gather(asking, return_exceptions=True)


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


async def test_the_batch_goes_on_after_ctrl_c_and_asks_no_more_at_a_time_than_it_may(
    server: RunningServer, tmp_path: Path
) -> None:
    folder, table = tmp_path / "questions", tmp_path / "answers.csv"
    folder.mkdir()
    for number in range(5):
        shutil.copy(QUESTION, folder / f"q{number}.wav")
    talks.most = talks.all = 0
    command = (EXAMPLES / "wav_batch.py", folder, table, "--url", server.url, "--jobs", "2")
    async with started(*command, cwd=tmp_path) as batch:
        await batch.find(r"\[#{6}\.{24}\] 1 of 5")
        assert await batch.end(after=signal.SIGINT) == 130
        assert "the same command goes on from here" in batch.text
        assert "Traceback" not in batch.text
    await until(lambda: not len(server.registry))
    done = rows_of(table)
    assert 1 <= len(done) <= 2
    asked = talks.all
    (folder / "broken.wav").write_bytes(b"RIFF")
    async with started(*command, cwd=tmp_path) as batch:
        assert await batch.end() == 1
        assert "5 of 6, 1 failed" in batch.text
        assert re.search("^broken.wav: UNSUPPORTED_FORMAT: ", batch.text, re.MULTILINE)
    rows = rows_of(table)
    assert rows[: len(done)] == done
    assert sorted(row["file"] for row in rows) == [f"q{number}.wav" for number in range(5)]
    assert talks.all - asked == 5 - len(done)
    assert talks.most == 2
    for row in rows:
        assert row["question"] == "what is the weather in paris"
        assert row["answer"].startswith(f"Let me check. {SUNNY}")
        assert row["tools"] == "get_weather"
        assert int(row["wait_ms"]) > 0


@pytest.mark.parametrize("name", ["terminal_assistant", "robot_loop", "wav_batch"])
async def test_a_program_with_arguments_explains_them(name: str, tmp_path: Path) -> None:
    ended = await run((sys.executable, EXAMPLES / f"{name}.py", "--help"), tmp_path)
    assert ended.status == 0
    doc = (EXAMPLES / f"{name}.py").read_text("utf-8").partition("\n")[0].removeprefix('"""')
    assert doc in " ".join(ended.out.split())
