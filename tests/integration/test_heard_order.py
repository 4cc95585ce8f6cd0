"""What the model remembers of an answer that was cut is what was heard, whatever came first."""

import asyncio

import pytest

import voxwire
from tests.support.odd_bot import Order, Script, odd_bot
from voxwire_server.testing import running_server

PAUSE_S = 0.7
"""Silence before each answer, so that the clock leaves the end of the last sound behind."""

TEXT = "one two three four five six seven eight nine ten eleven twelve."


@pytest.mark.parametrize("order", ["before", "after"])
async def test_the_context_keeps_as_many_words_as_the_client_was_told(
    transport: str, order: Order
) -> None:
    """Word times before the first sound put up to 7 words too many into the context."""
    script = Script(answers={"go": [TEXT]}, order=order, piece_ms=150)
    told: list[int] = []
    fired: list[int] = []
    async with running_server(odd_bot(script)) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport=transport) as session:
            for count in (1, 3, 6):
                await asyncio.sleep(PAUSE_S)  # real time: slow
                await session.send_text("go")
                while (await session.wait_for(voxwire.BotWord)).index < count - 1:
                    pass
                await session.interrupt()
                words, ended = await words_until_end(session)
                fired.append(count + words)  # a slow machine hears more before it stops
                told.append(ended.heard_words)
            await session.send_text("again")  # the cuts before it are in the context by then
            await session.wait_for(voxwire.UtteranceEnded)
    kept = [len(said.split()) for said in script.answers_kept()[:3]]
    assert kept == told
    assert all(abs(heard - words) <= 1 for heard, words in zip(told, fired, strict=True))


async def words_until_end(session: voxwire.Session) -> tuple[int, voxwire.UtteranceEnded]:
    """How many words are heard before the utterance ends, and its end."""
    words = 0
    async for event in session:
        if isinstance(event, voxwire.UtteranceEnded):
            return words, event
        words += isinstance(event, voxwire.BotWord)
    raise AssertionError("the session ended")


async def test_nothing_of_a_voice_that_stays_silent_is_remembered() -> None:
    """Its words were timed and never sounded; the next answer is as ever."""
    script = Script(answers={"go": [TEXT]}, order="before")
    script.mute = {TEXT}
    bot = odd_bot(script)
    async with running_server(bot, answer_timeout_ms=1000) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket") as session:
            await session.send_text("go")
            while (await session.wait_for(voxwire.StateChanged)).bot != voxwire.BotState.THINKING:
                pass
            while (await session.wait_for(voxwire.StateChanged)).bot != voxwire.BotState.IDLE:
                pass
            await session.send_text("again")
            ended = await session.wait_for(voxwire.UtteranceEnded)
            assert ended.heard_words == 2
            async for event in session:
                if isinstance(event, voxwire.StateChanged) and event.bot == voxwire.BotState.IDLE:
                    break
    assert script.answers_kept() == ["Still here."]
