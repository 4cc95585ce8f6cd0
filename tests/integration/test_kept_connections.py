"""Connections that HTTP keeps alive and the sockets that nobody has authenticated."""

import asyncio
from contextlib import AsyncExitStack

import pytest

import voxwire
from voxwire_server import BotSession
from voxwire_server.routes import sockets as routes_sockets
from voxwire_server.testing import running_server


async def test_connections_that_a_browser_keeps_open_do_not_keep_its_session_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eight of them, on loopback after a second, and a page got 429 in place of its WebSocket."""
    monkeypatch.setattr(routes_sockets, "YOUNG_MS", 0)

    async def bot(session: BotSession) -> None:
        await session.run([session.input(), session.output()])

    async with running_server(bot, max_pending_per_address=3) as server, AsyncExitStack() as stack:
        kept = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        for reader, writer in kept:
            stack.callback(writer.close)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b"HTTP/1.1" in await reader.readuntil(b"\r\n\r\n")
        async with voxwire.connect(server.url, transport="websocket"):
            pass
        await kept[0][0].read()  # the oldest was closed
