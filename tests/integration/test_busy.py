"""A server whose event loop is late: nobody new is taken, and who is there goes on."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import websockets

import voxwire
from tests.support.clicks import make_bot
from tests.support.waiting import LONG, PATIENT
from voxwire_protocol import wire
from voxwire_server.testing import RunningServer, running_server

KEY = "an operator's key of more than 32 characters"


def compute() -> None:
    """A little, and not beside the loop."""
    time.sleep(0.06)  # real time: slow


@asynccontextmanager
async def hurry() -> AsyncGenerator[None]:
    """Something computes in the event loop, over and over."""

    async def again() -> None:
        while True:
            compute()
            await asyncio.sleep(0.005)  # real time: slow

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def error_of(server: RunningServer) -> wire.Error:
    """What somebody new is told."""
    ours = [websockets.Subprotocol(wire.SUBPROTOCOL)]
    async with websockets.connect(f"{server.url}/v1/session", subprotocols=ours) as socket:
        hello = wire.Hello(protocol_version=1, attach_nonce=os.urandom(16))
        await socket.send(wire.Envelope(hello=hello).SerializeToString())
        return wire.Envelope.FromString(await socket.recv(decode=False)).error


async def test_a_late_loop_takes_nobody_new_and_says_so_and_who_is_there_goes_on() -> None:
    async with (
        running_server(make_bot(), admin_key=KEY, max_lag_ms=20, **PATIENT) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as http,
        asyncio.timeout(120),
    ):
        assert (await http.get("/readyz")).json()["busy"] is False
        async with (
            voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session,
            hurry(),
        ):
            while not (answer := await http.get("/readyz")).json()["busy"]:
                await asyncio.sleep(0.1)  # real time: poll
            assert (answer.status_code, answer.json()["ready"]) == (200, True)
            assert (await http.get("/livez")).status_code == 200
            error = await error_of(server)
            assert error.code == wire.ErrorCode.ERROR_CODE_CAPACITY
            assert error.reason == "the server is too busy"
            assert 5000 <= error.retry_after_ms <= 7500
            figures = await http.get("/metrics", headers={"Authorization": f"Bearer {KEY}"})
            assert "voxwire_busy 1.0" in figures.text
            assert 'voxwire_refusals_total{code="capacity"} 1.0' in figures.text
            await session.send_text("say 2")
            await session.wait_for(voxwire.BotWord)
        while (await http.get("/readyz")).json()["busy"]:  # nobody is left who could suffer
            await asyncio.sleep(0.05)  # real time: poll
