"""The program of clients/python/README.md that talks to a stock bot runs as it is written."""

import asyncio
import sys
from pathlib import Path

from tests.support.programs import run
from tests.support.readmes import read_fences
from tests.support.stock_bots import stock_bot
from voxwire.rtvi import PipecatBot
from voxwire.testing import AsyncVoiceSession

README = Path(__file__).resolve().parents[2] / "clients/python/README.md"


async def test_the_program_talks_to_a_stock_bot_and_so_does_the_command(tmp_path: Path) -> None:
    found = read_fences(README.read_text("utf-8"), "clients/python/README.md")
    [fence] = [fence for fence in found if fence.heading == "A bot of Pipecat's runner"]
    assert "http://localhost:7860" in fence.text
    async with stock_bot() as bot:
        program = tmp_path / "program.py"
        program.write_text(fence.text.replace("http://localhost:7860", bot.url), "utf-8")
        command = (sys.executable, "-m", "voxwire.cli", "talk", bot.url, "--peer", "pipecat")
        said = ("--transport", "websocket", "--text", "my name is Alice")
        ran, talked = await asyncio.gather(
            run([sys.executable, program], tmp_path), run([*command, *said], tmp_path)
        )
    assert ran.status == 0, ran.err
    assert "Let me check." in ran.out
    assert "reconnect" in ran.out
    assert (tmp_path / "bot.wav").stat().st_size > 44
    assert talked.status == 0, talked.err
    assert "bot: Nice to meet you, Alice." in talked.out


async def test_the_user_of_a_test_talks_to_a_stock_bot() -> None:
    options = {"peer": PipecatBot(), "transport": "websocket"}
    async with stock_bot() as bot:
        async with AsyncVoiceSession(bot.url, within_ms=60_000, options=options) as voice:
            await voice.expect_words("hello")
            await voice.say("my name is Alice", interrupt=True)
            await voice.expect_words("nice to meet you", "Alice")
            await voice.say("what is the weather in Paris")
            await voice.expect_tool("get_weather", city="Paris")
            await voice.expect_words("in Paris it is")
