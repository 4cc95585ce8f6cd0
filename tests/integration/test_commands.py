"""The client's commands beside `voxwire talk`, each a program against the real server."""

import asyncio
import json
import signal
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.support.clicks import make_bot
from tests.support.programs import environment
from tests.support.waiting import DEADLINE_S, until
from voxwire_server.testing import RunningServer, running_server

VOXWIRE = [sys.executable, "-m", "voxwire.cli"]


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    async with running_server(make_bot()) as served:
        yield served


class Program:
    """A command that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            return (await self.process.stdout.readline()).decode()

    def type(self, text: str) -> None:
        """Types a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n".encode())

    async def end(self) -> tuple[int, str, str]:
        """Waits for its end: the exit code, and what it printed."""
        async with asyncio.timeout(DEADLINE_S):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


async def start(*arguments: str, typed: bool = False) -> Program:
    pipe = asyncio.subprocess.PIPE
    return Program(
        await asyncio.create_subprocess_exec(
            *VOXWIRE,
            *arguments,
            env=environment(),
            stdin=pipe if typed else asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
        )
    )


async def test_say_prints_the_answer_and_nothing_else(
    server: RunningServer, tmp_path: Path
) -> None:
    record = tmp_path / "talk.wav"
    program = await start("say", server.url, "say 5", "--record", str(record))
    assert await program.end() == (0, "w0 w1 w2 w3 w4.\n", "")
    with wave.open(str(record)) as wav:
        assert wav.getnchannels() == 2
        frames = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
    user, bot = np.abs(frames.astype(int)).max(axis=0)
    assert user == 0 and bot > 1000
    code, out, err = await (await start("say", "ws://127.0.0.1:1", "hello")).end()
    assert (code, out) == (5, "")
    assert err.startswith("voxwire: UNREACHABLE: nothing answers at 127.0.0.1:1")
    assert len(err.splitlines()) == 1


async def test_events_are_lines_of_json_until_ctrl_c(server: RunningServer) -> None:
    program = await start("events", server.url, "--text", "say 3")
    seen: list[str] = []
    while "utterance_ended" not in seen:
        event = json.loads(await program.line())
        seen.append(event["type"])
    assert seen[0] == "session_started"
    assert seen.count("bot_word") == 3
    program.process.send_signal(signal.SIGINT)
    code, _, err = await program.end()
    assert (code, err) == (130, "")


def spoken_in(log: Path) -> int:
    """How many words of the bot a file of events has."""
    return log.read_text().count('"bot_word"')


async def test_a_live_talk_without_devices_is_typed(server: RunningServer, tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    options = ["--no-microphone", "--no-speaker", "--transport", "websocket", "--events", str(log)]
    program = await start("talk", server.url, *options, typed=True)
    program.type("say 3")
    while "bot: " not in (line := await program.line()):
        assert line
    assert line == "bot: w0 w1 w2.\n"
    program.type("/help")
    while "/interrupt cuts" not in await program.line():
        pass
    heard = spoken_in(log)
    program.type("say 40")
    await until(lambda: spoken_in(log) > heard)
    program.type("/interrupt")
    while "[interrupted]" not in await program.line():
        pass
    program.type("/quit")
    code, out, err = await program.end()
    assert (code, err) == (0, "")
    assert "-- ended by the client" in out


async def test_ctrl_c_hangs_up_in_order(server: RunningServer) -> None:
    options = ["--no-microphone", "--no-speaker"]
    program = await start("talk", server.url, *options, typed=True)
    while "audio over" not in await program.line():
        pass
    program.process.send_signal(signal.SIGINT)
    code, out, err = await program.end()
    assert (code, err) == (0, "")
    assert "-- ended by the client" in out


async def test_load_tells_how_the_sessions_fared(server: RunningServer, tmp_path: Path) -> None:
    chart = tmp_path / "load.svg"
    options = ["-n", "3", "--ramp", "0.2", "--duration", "4", "--text", "say 2"]
    common = ["--transport", "websocket"]
    program = await start("load", server.url, *options, *common, "--json", "--chart", str(chart))
    code, out, _ = await program.end()
    told = json.loads(out)
    assert code == 0
    assert (told["sessions"], told["failed"], told["errors"]) == (3, 0, {})
    assert told["turns"] >= 3
    assert 0 < told["connect_ms"]["p50"] <= told["connect_ms"]["max"]
    drawn = ElementTree.parse(chart).getroot()
    assert len(drawn.findall(".//{http://www.w3.org/2000/svg}rect")) > 70
    code, out, _ = await (await start("load", "ws://127.0.0.1:1", "-n", "2", "--ramp", "0")).end()
    assert code == 1
    assert "2 ended, 2 failed; 2 UNREACHABLE" in out


async def test_every_command_completes() -> None:
    for shell in ("bash", "zsh", "fish"):
        code, out, _ = await (await start("completion", shell)).end()
        assert code == 0
        assert all(name in out for name in ("talk", "say", "load", "--transport".lstrip("-")))
    code, script, _ = await (await start("completion", "bash")).end()
    asked = (
        f'{script}\nCOMP_WORDS=(voxwire say --tr) COMP_CWORD=2; _voxwire; echo "${{COMPREPLY[@]}}"'
    )
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", asked, stdout=asyncio.subprocess.PIPE
    )
    out_bytes, _ = await process.communicate()
    assert out_bytes.decode().strip() == "--transport"
