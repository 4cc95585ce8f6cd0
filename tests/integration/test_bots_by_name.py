"""One server, several bots: chosen by name, and a token is held against the bot that runs."""

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import voxwire
from tests.support.clicks import make_bot
from voxwire_server import BotSession
from voxwire_server.bots.house import BotsError, loaded
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.keys import KeyRing
from voxwire_server.testing import running_server
from voxwire_server.tokens import TokenIssuer

KEY = "an operator's secret of more than 32 characters"


def greeter(word: str) -> LoadedBot:
    """A bot that says who it is in a message, and nothing else."""

    async def bot(session: BotSession) -> None:
        session.send("i_am", word)
        await make_bot()(session)

    return LoadedBot(name=word, run=bot, examples=(f"hello {word}",))


BOTS = [greeter("concierge"), greeter("story")]


def token_for(bot: str | None) -> str:
    return TokenIssuer(KeyRing.parse(key=KEY)).issue("ada", now_s=time.time(), bot=bot)


async def runs(url: str, **options: Any) -> str:
    """Which bot answers, by its own word and by the server's."""
    async with voxwire.connect(url, transport="websocket", **options) as session:
        started = await session.wait_for(voxwire.SessionStarted)
        message = await session.wait_for(voxwire.AppMessage)
        assert started.bot == session.bot == message.data
        assert list(started.examples) == [f"hello {started.bot}"]
        return started.bot


async def refused(url: str, **options: Any) -> voxwire.VoxwireError:
    with pytest.raises(voxwire.VoxwireError) as error:
        async with voxwire.connect(url, transport="websocket", **options):
            pass
    return error.value


async def test_a_bot_is_chosen_by_its_name() -> None:
    async with running_server(BOTS) as server, asyncio.timeout(60):
        for name in ("concierge", "story"):
            assert await runs(server.url, bot=name) == name


@pytest.mark.parametrize("name", ["", "stories", "Story", "concierge,story"])
async def test_where_there_are_several_any_other_name_or_none_is_told_the_names(name: str) -> None:
    async with running_server(BOTS) as server, asyncio.timeout(60):
        error = await refused(server.url, bot=name)
        assert isinstance(error, voxwire.UsageError)
        assert error.code == voxwire.ErrorCode.INVALID_ARGUMENT
        assert "concierge, story" in error.reason
        assert not name or name not in error.reason.replace("concierge, story", "")
        assert len(server.registry) == 0


async def test_the_only_bot_needs_no_name_and_takes_no_other() -> None:
    async with running_server(BOTS[:1]) as server, asyncio.timeout(60):
        assert await runs(server.url) == await runs(server.url, bot="concierge") == "concierge"
        error = await refused(server.url, bot="story")
        assert error.code == voxwire.ErrorCode.INVALID_ARGUMENT
        assert "concierge" in error.reason


async def test_a_token_is_held_against_the_bot_that_runs() -> None:
    async with running_server(BOTS, key=KEY) as server, asyncio.timeout(60):
        bound = token_for("story")
        error = await refused(server.url, token=bound, bot="concierge")
        assert error.code == voxwire.ErrorCode.FORBIDDEN
        error = await refused(server.url, token=token_for("elsewhere"), bot="story")
        assert error.code == voxwire.ErrorCode.FORBIDDEN
        assert await runs(server.url, token=bound, bot="story") == "story"  # it is not used up
        for name in ("concierge", "story"):
            assert await runs(server.url, token=token_for(None), bot=name) == name
    async with running_server(BOTS[:1], key=KEY) as server, asyncio.timeout(60):
        error = await refused(server.url, token=bound, bot="story")  # names X, would get Y
        assert error.code == voxwire.ErrorCode.INVALID_ARGUMENT
        error = await refused(server.url, token=token_for("story"))
        assert error.code == voxwire.ErrorCode.FORBIDDEN


async def test_without_a_good_token_nobody_is_told_the_names() -> None:
    async with running_server(BOTS, key=KEY) as server, asyncio.timeout(60):
        error = await refused(server.url, token="no.such.token")
        assert error.code == voxwire.ErrorCode.UNAUTHORIZED
        assert "story" not in error.reason


async def test_what_a_bot_says_that_it_may_cost_a_day_counts_for_it_alone() -> None:
    concierge, story = BOTS
    bots = [concierge, replace(story, caps={"seconds": 1})]
    async with running_server(bots) as server, asyncio.timeout(60):
        with pytest.raises(voxwire.SessionError, match="this bot has used up the day's session"):
            async with voxwire.connect(server.url, transport="websocket", bot="story") as session:
                async for _ in session:
                    pass
        error = await refused(server.url, bot="story")
        assert error.code == voxwire.ErrorCode.CAPACITY
        assert "this bot has used up" in error.reason
        assert await runs(server.url, bot="concierge") == "concierge"


async def test_a_bot_says_whether_its_clients_wait_for_a_place() -> None:
    concierge, story = BOTS
    bots = [concierge, replace(story, waits=False)]
    soon = voxwire.Timeouts(connect_ms=1000)
    places: asyncio.Queue[voxwire.Waiting] = asyncio.Queue()
    async with running_server(bots, max_sessions=1, max_waiting=5) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket", bot="story"):
            error = await refused(server.url, bot="story", timeouts=soon)
            assert error.code == voxwire.ErrorCode.CAPACITY
            assert "the server is full" in error.reason
            entering = asyncio.ensure_future(
                runs(server.url, bot="concierge", on_waiting=places.put_nowait)
            )
            assert (await places.get()).position == 1
        assert await entering == "concierge"


def test_bots_that_cannot_be_told_apart_are_not_served() -> None:
    async def bot(_: BotSession) -> None: ...

    assert loaded(bot).names == ["test_bots_by_name"]
    assert loaded({"a": bot, "b": BOTS[0]}).names == ["a", "b"]
    for wrong in ([BOTS[0], BOTS[0]], [], {"": bot}, {"a\nb": bot}, {"x" * 129: bot}):
        with pytest.raises(BotsError):
            loaded(wrong)


PROGRAM = """
async def bot(session):
    session.send("i_am", __name__)
"""


def run_server(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VOXWIRE_")}
    command = [sys.executable, "-m", "voxwire_server.cli", "run", "--port", "0", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True
    )


async def test_the_command_line_serves_several_files_each_named_as_its_file(tmp_path: Path) -> None:
    for name in ("concierge", "story"):
        (tmp_path / f"{name}.py").write_text(PROGRAM)
    process = run_server(tmp_path, "concierge.py", "story.py")
    try:
        assert process.stdout is not None
        first = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), 60)
        assert first.startswith("Bots 'concierge', 'story' listen on ws://127.0.0.1:")
        error = await refused(first.split()[-1])
        assert "concierge, story" in error.reason
        error = await refused(first.split()[-1], bot="story")  # it ends at once: it was there
        assert error.code != voxwire.ErrorCode.INVALID_ARGUMENT
    finally:
        process.terminate()
        await asyncio.to_thread(process.communicate, timeout=60)


def test_two_files_of_one_name_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        (folder / "story.py").write_text(PROGRAM)
    process = run_server(tmp_path, "story.py", "other/story.py")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said == "voxwire-server: two bots have the same name\n"
