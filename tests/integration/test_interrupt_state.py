"""After the client has cut the bot off, nobody waits for an answer."""

import asyncio

import voxwire
from tests.support.clicks import make_bot
from voxwire_server.testing import running_server


async def test_a_bot_that_the_client_cut_off_is_idle() -> None:
    async with (
        asyncio.timeout(60),
        running_server(make_bot()) as server,
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        await session.send_text("say 20")
        await session.wait_for(voxwire.BotWord)
        await session.interrupt()
        await session.wait_for(voxwire.Interrupted)
        changed = await session.wait_for(voxwire.StateChanged)
        assert changed.bot == voxwire.BotState.IDLE

        await session.send_text("say 3")  # and it answers as before
        await session.wait_for(voxwire.BotWord)
