"""A server with two places and a queue: who comes is told where he is, and let in in order."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets

import voxwire
from tests.support.clicks import make_bot
from tests.support.waiting import DEADLINE_S, LONG, PATIENT, until
from voxwire import sync
from voxwire_protocol import wire
from voxwire_server.testing import RunningServer, running_server

KEY = "an operator's key of more than 32 characters"
OURS = [websockets.Subprotocol(wire.SUBPROTOCOL)]


class Guest:
    """A client that comes, waits and stays until it is told to go."""

    def __init__(self, server: RunningServer, transport: str = "websocket") -> None:
        self.told: list[int] = []
        self.error: voxwire.VoxwireError | None = None
        self.here = asyncio.Event()
        self._goes = asyncio.Event()
        self.task = asyncio.create_task(self._stay(server.url, transport))

    async def _stay(self, url: str, transport: str) -> None:
        def waits(place: voxwire.Waiting) -> None:
            self.told.append(place.position)

        try:
            async with voxwire.connect(
                url, transport=transport, on_waiting=waits, timeouts=LONG
            ) as session:
                await session.send_text("say 2")
                await session.wait_for(voxwire.UtteranceEnded)
                self.here.set()
                await self._goes.wait()
        except voxwire.VoxwireError as error:
            self.error = error

    async def waits(self) -> None:
        await until(lambda: self.told or self.task.done())

    async def is_in(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.here.wait()

    async def goes(self) -> None:
        self._goes.set()
        await self.task


@asynccontextmanager
async def two_places(**settings: Any) -> AsyncGenerator[RunningServer]:
    given = {"max_sessions": 2, "max_waiting": 2, "admin_key": KEY, **PATIENT, **settings}
    async with running_server(make_bot(), **given) as server, asyncio.timeout(120):
        yield server


async def listed(server: RunningServer) -> tuple[int, int, str]:
    """What the operator sees: sessions, those who wait, and the figure of them."""
    own = {"Authorization": f"Bearer {KEY}"}
    url = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=url, headers=own, timeout=60) as http:
        answer = (await http.get("/v1/sessions")).json()
        lines = (await http.get("/metrics")).text.splitlines()
        assert (await http.get("/readyz")).status_code == 200
    (figure,) = [line for line in lines if line.startswith("voxwire_waiting ")]
    return len(answer["sessions"]), answer["waiting"], figure


async def test_who_comes_to_a_full_server_gets_in_in_order_and_is_told_where_he_is() -> None:
    async with two_places() as server:
        first, second = Guest(server), Guest(server)
        await first.is_in()
        await second.is_in()
        third = Guest(server, "auto")
        await third.waits()
        fourth = Guest(server, "webrtc")
        await fourth.waits()
        assert (third.told, fourth.told) == ([1], [2])
        assert await listed(server) == (2, 2, "voxwire_waiting 2.0")
        async with websockets.connect(f"{server.url}/v1/session", subprotocols=OURS) as fifth:
            await hello(fifth, wire.Feature.FEATURE_WAITING)
            error = (await read(fifth)).error
        assert error.code == wire.ErrorCode.ERROR_CODE_CAPACITY
        assert error.retryable
        assert error.retry_after_ms >= 2000
        await first.goes()
        await third.is_in()
        assert not fourth.here.is_set()
        await until(lambda: fourth.told == [2, 1])
        await second.goes()
        await fourth.is_in()
        for guest in (third, fourth):
            await guest.goes()
            assert guest.error is None
        assert await listed(server) == (0, 0, "voxwire_waiting 0.0")


async def test_who_leaves_the_queue_makes_room_for_those_behind_him() -> None:
    async with two_places() as server:
        inside = [Guest(server), Guest(server)]
        for guest in inside:
            await guest.is_in()
        third = Guest(server)
        await third.waits()
        fourth = Guest(server)
        await fourth.waits()
        third.task.cancel()
        await until(lambda: fourth.told == [2, 1])
        await inside[0].goes()
        await fourth.is_in()
        await inside[1].goes()
        await fourth.goes()


async def hello(socket: websockets.ClientConnection, *features: wire.Feature.ValueType) -> bytes:
    """Say Hello; its nonce."""
    nonce = os.urandom(16)
    said = wire.Hello(protocol_version=1, attach_nonce=nonce, features=features)
    await socket.send(wire.Envelope(hello=said).SerializeToString())
    return nonce


async def read(socket: websockets.ClientConnection) -> wire.Envelope:
    return wire.Envelope.FromString(await socket.recv(decode=False))


async def test_on_the_wire_a_wait_is_unnumbered_and_only_for_those_who_can() -> None:
    waits = wire.Feature.FEATURE_WAITING
    async with (
        two_places(max_sessions=1) as server,
        websockets.connect(f"{server.url}/v1/session", subprotocols=OURS) as first,
        websockets.connect(f"{server.url}/v1/session", subprotocols=OURS) as second,
        websockets.connect(f"{server.url}/v1/session", subprotocols=OURS) as third,
    ):
        await hello(first, waits)
        assert (await read(first)).HasField("welcome")
        await hello(second, waits)
        told = await read(second)
        assert told.HasField("waiting")
        assert (told.seq, told.waiting.position) == (0, 1)
        await hello(third)
        assert (await read(third)).error.code == wire.ErrorCode.ERROR_CODE_CAPACITY
        # what is said meanwhile is not lost
        begin = wire.PathOpen(path_id=1, carrier=wire.Carrier.CARRIER_WEBSOCKET)
        await second.send(wire.Envelope(seq=1, path_open=begin).SerializeToString())
        bye = wire.Envelope(seq=1, bye=wire.Bye())
        await first.send(bye.SerializeToString())
        while not (message := await read(second)).HasField("welcome"):
            assert message.HasField("waiting")
        while not (message := await read(second)).HasField("path_answer"):
            assert not message.HasField("error")


async def test_who_says_too_much_while_it_waits_is_told_so_and_closed() -> None:
    async with (
        two_places(max_sessions=1) as server,
        websockets.connect(f"{server.url}/v1/session", subprotocols=OURS) as first,
        websockets.connect(f"{server.url}/v1/session", subprotocols=OURS) as second,
    ):
        await hello(first)
        assert (await read(first)).HasField("welcome")
        await hello(second, wire.Feature.FEATURE_WAITING)
        assert (await read(second)).HasField("waiting")
        for _ in range(513):
            await second.send(b"")
        while not (message := await read(second)).HasField("error"):
            assert message.HasField("waiting")
        assert message.error.code == wire.ErrorCode.ERROR_CODE_TOO_LARGE
        await second.wait_closed()
        assert second.close_code == 4000 + message.error.code
        assert (await listed(server))[1] == 0


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "cut"])
async def test_a_client_that_is_gone_holds_no_place_in_the_queue(closed: bool) -> None:
    async with two_places(max_sessions=1) as server:
        inside = Guest(server)
        await inside.is_in()
        socket = await websockets.connect(f"{server.url}/v1/session", subprotocols=OURS)
        await hello(socket, wire.Feature.FEATURE_WAITING)
        assert (await read(socket)).waiting.position == 1
        assert (await listed(server))[1] == 1
        if closed:
            await socket.close()
        else:
            socket.transport.abort()
        async with asyncio.timeout(DEADLINE_S):
            while (await listed(server))[1]:
                await asyncio.sleep(0.05)  # real time: the server notices it
        await inside.goes()


async def test_those_who_wait_are_not_half_open() -> None:
    settings = {"max_sessions": 1, "max_waiting": 6, "max_pending": 3, "hello_timeout_ms": 1000}
    async with two_places(**settings) as server:
        inside = Guest(server)
        await inside.is_in()
        waiting = [Guest(server) for _ in range(5)]
        for guest in waiting:
            await guest.waits()
            assert guest.told, guest.error
        for guest in (inside, *waiting):
            guest.task.cancel()
        await asyncio.gather(*(guest.task for guest in waiting), return_exceptions=True)


async def test_without_async_it_is_told_alike() -> None:
    told: list[voxwire.Waiting] = []
    async with two_places(max_sessions=1) as server:
        inside = Guest(server)
        await inside.is_in()

        def come() -> None:
            with sync.connect(
                server.url, transport="websocket", on_waiting=told.append, timeouts=LONG
            ):
                pass

        coming = asyncio.create_task(asyncio.to_thread(come))
        await until(lambda: told)
        await inside.goes()
        await coming
        assert told[0].position == 1


async def test_a_command_says_where_it_is_and_then_what_the_bot_answers() -> None:
    async with two_places(max_sessions=1) as server:
        inside = Guest(server)
        await inside.is_in()
        say = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voxwire.cli", "say", server.url, "say 3"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert say.stderr is not None
        assert (await say.stderr.readline()).startswith(b"voxwire: place 1 in the queue")
        await inside.goes()
        out, _ = await say.communicate()
        assert say.returncode == 0
        assert len(out.split()) == 3
