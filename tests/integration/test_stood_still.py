"""A bot that blocks its process for two seconds costs its users a pause, and no word."""

import asyncio
import time

import voxwire
from tests.support.odd_bot import Script, odd_bot
from voxwire_server.testing import running_server

TEXT = "one two three four five six seven eight nine ten eleven twelve."
BLOCKED_S = 2.2
"""Longer than a listener may be silent, and than his voice would wait for him."""


async def test_nobody_is_taken_for_gone_by_a_process_that_stood_still(transport: str) -> None:
    """The voice was cut: what the listeners had sent meanwhile was not read yet."""
    script = Script(answers={"go": [TEXT]}, piece_ms=150)
    async with running_server(odd_bot(script)) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport=transport) as session:
            for blocked_at in (0, 5):
                await session.send_text("go")
                async for event in session:
                    assert not isinstance(event, voxwire.Interrupted)
                    if isinstance(event, voxwire.UtteranceEnded):
                        assert (event.end.value, event.heard_words) == ("completed", 12)
                        break
                    if isinstance(event, voxwire.BotWord) and event.index == blocked_at:
                        time.sleep(BLOCKED_S)  # real time: slow  # noqa: ASYNC251
                await session.wait_for(voxwire.StateChanged)
    assert script.answers_kept() == [TEXT] * 2
