"""Connections that HTTP keeps alive and the sockets that nobody has authenticated."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

import voxwire
from voxwire_server import BotSession
from voxwire_server.routes import sockets as routes_sockets
from voxwire_server.testing import running_server


async def _healthz(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")


async def _refused_before_it_was_read(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Ask with a body that comes when the answer is there, as ``requests`` and proxies send it."""
    writer.write(b"DELETE /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n")
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 405 " in answer
    writer.write(b"{}")


@pytest.mark.parametrize("ask", [_healthz, _refused_before_it_was_read])
async def test_connections_that_a_browser_keeps_open_do_not_keep_its_session_out(
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> None:
    """Eight of them, on loopback after a second, and a page got 429 in place of its WebSocket."""
    monkeypatch.setattr(routes_sockets, "YOUNG_MS", 0)

    async def bot(session: BotSession) -> None:
        await session.run([session.input(), session.output()])

    async with running_server(bot, max_pending_per_address=3) as server, AsyncExitStack() as stack:
        kept = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        for reader, writer in kept:
            stack.callback(writer.close)
            await ask(reader, writer)
        await asyncio.sleep(0.1)  # real time: slow
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        stack.callback(writer.close)
        await _healthz(reader, writer)
        async with voxwire.connect(server.url, transport="websocket"):
            pass
        await kept[0][0].read()  # the oldest was closed
