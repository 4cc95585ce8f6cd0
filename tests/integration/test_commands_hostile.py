"""Commands that are stopped, misused, or print to where nothing can be printed."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.test_commands import VOXWIRE, Program, start
from tests.support.clicks import make_bot
from tests.support.programs import environment
from tests.support.waiting import DEADLINE_S, until
from voxwire_server.testing import RunningServer, running_server

WEBSOCKET = ("--transport", "websocket")


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    async with running_server(make_bot()) as served:
        yield served


async def shell(line: str, **more: str) -> tuple[int, str, str]:
    """A line for bash, in which $VOXWIRE is the program: its exit code, and what it printed."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", line),
        env={**environment(), "VOXWIRE": " ".join(VOXWIRE), **more},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
    )
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_ctrl_c_ends_a_load_in_order_and_prints_what_there_is(server: RunningServer) -> None:
    options = ("-n", "5", "--ramp", "0.2", "--duration", "600", "--text", "say 2", "--json")
    program = await start("load", server.url, *options, *WEBSOCKET)
    await until(lambda: len(server.registry) == 5)
    program.process.send_signal(signal.SIGINT)
    code, out, err = await program.end()
    told = json.loads(out)
    assert code == 130
    assert (told["sessions"], told["stopped"], told["failed"]) == (5, 5, 0)
    assert "Traceback" not in err
    await until(lambda: not len(server.registry))


async def test_a_load_on_a_server_that_goes_away_says_so() -> None:
    async with running_server(make_bot()) as server:
        options = ("-n", "5", "--ramp", "0.2", "--duration", "600", "--resume-timeout", "1")
        program = await start("load", server.url, *options, *WEBSOCKET, "--json")
        await until(lambda: len(server.registry) == 5)
    code, out, err = await program.end()
    told = json.loads(out)
    assert (told["sessions"], told["ended_early"] + told["failed"]) == (5, 5)
    assert code == (1 if told["failed"] else 0)
    assert "Traceback" not in err


async def test_who_reads_no_more_ends_it_without_a_word(server: RunningServer) -> None:
    line = f'$VOXWIRE events {server.url} --text "say 3" | head -1; echo ${{PIPESTATUS[0]}}'
    code, out, err = await shell(line)
    event, piped = out.splitlines()
    assert json.loads(event)["type"] == "session_started"
    assert (code, piped, err) == (0, "1", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
async def test_a_disk_that_is_full_is_one_line() -> None:
    code, _, err = await shell("$VOXWIRE completion bash > /dev/full")
    assert (code, err) == (1, "voxwire: OSError: No space left on device\n")


async def test_what_is_piped_has_no_colours_and_what_cannot_be_shown_is_no_failure(
    server: RunningServer,
) -> None:
    options = f'talk {server.url} --text "say 2 é – 日本" {" ".join(WEBSOCKET)}'
    more = {"PYTHONIOENCODING": "ascii", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}
    code, out, err = await shell(f"$VOXWIRE {options}", **more)
    assert (code, err) == (0, "")
    assert "you: say 2 ? ? ??" in out
    assert "bot: w0." in out and "\x1b" not in out


async def test_a_live_talk_with_nothing_to_type_on_goes_on_by_voice(server: RunningServer) -> None:
    options = f"talk {server.url} --no-microphone --no-speaker {' '.join(WEBSOCKET)}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f"exec {' '.join(VOXWIRE)} {options} <&-"),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    program = Program(process)
    while "audio over" not in await program.line():
        pass
    await asyncio.sleep(1)  # real time: silence
    assert process.returncode is None
    process.send_signal(signal.SIGINT)
    code, out, err = await program.end()
    assert (code, err) == (0, "")
    assert "-- ended by the client" in out


@pytest.mark.skipif(sys.platform == "win32", reason="asks a pseudo-terminal")
async def test_no_color_is_obeyed_on_a_terminal(server: RunningServer) -> None:
    pytest.importorskip("rich")
    import pty

    main, side = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(*VOXWIRE, "talk", server.url, "--text", "say 2", *WEBSOCKET),
        env={**environment(), "TERM": "xterm-256color", "NO_COLOR": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=side,
        stderr=side,
    )
    os.close(side)
    shown = b""

    def read() -> None:
        nonlocal shown
        try:
            while piece := os.read(main, 65_536):
                shown += piece
        except OSError:  # the other side is closed
            return

    async with asyncio.timeout(DEADLINE_S):
        await asyncio.to_thread(read)
        assert await process.wait() == 0
    os.close(main)
    assert b"speaking" in shown
    colours = [b"\x1b[3%d" % n for n in range(1, 8)] + [b"\x1b[9%d" % n for n in range(8)]
    assert not any(it in shown for it in colours)
