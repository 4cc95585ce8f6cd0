"""How a stock bot is reached: deadlines, whom credentials are for, what closes a line."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets

from voxwire import ErrorCode, TransportError
from voxwire._environment import Environment
from voxwire._ice import IceChoice
from voxwire._options import Options
from voxwire._simulate import Gate
from voxwire.rtvi import PipecatBot
from voxwire.rtvi._dialling import Dialling, Ways
from voxwire.rtvi._http import ask
from voxwire.rtvi._inflow import Inflow
from voxwire.rtvi._offers import Offers
from voxwire.rtvi._rtc_line import RtcLine
from voxwire.rtvi._url import started_socket
from voxwire_protocol import wire

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def runner(*bodies: bytes, pause_s: float = 0.0) -> AsyncIterator[str]:
    """Answers one request with each of `bodies`, byte by byte if there is a pause; the URL."""
    left = iter(bodies)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            body = next(left)
            writer.write(HEAD % len(body))
            for at in range(len(body)) if pause_s else ():
                writer.write(body[at : at + 1])
                await writer.drain()
                await asyncio.sleep(pause_s)  # real time: slow
            if not pause_s:
                writer.write(body)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_answer_that_trickles_in_is_too_late() -> None:
    async with runner(b" " * 1_000_000, pause_s=0.02) as url, asyncio.timeout(30):
        with pytest.raises(TransportError) as late:
            await ask("POST", url, {}, headers={}, timeout_ms=300)
    assert late.value.code == ErrorCode.TIMEOUT


def dialling(base: str, headers: dict[str, str], **options: Any) -> Dialling:
    ways = Ways(
        base=base,
        endpoint="",
        start={},
        headers=headers,
        carrier=wire.Carrier.CARRIER_WEBSOCKET,
    )
    return Dialling(
        ways, Options(**options), inflow=Inflow(), gate=Gate(), environment=Environment()
    )


async def test_credentials_are_for_the_runner_and_not_for_whom_it_names() -> None:
    heard: list[websockets.Headers] = []

    async def serve(socket: websockets.ServerConnection) -> None:
        assert socket.request is not None
        heard.append(socket.request.headers)

    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        for token in ({}, {"token": "started"}):
            said = json.dumps({"wsUrl": f"ws://127.0.0.1:{port}/ws", **token}).encode()
            async with runner(said) as url:
                line = await dialling(url, {"X-Key": "k"}, token="mine").open(30_000)
                await line.close()
        own = f"http://127.0.0.1:{port}"
        line = await dialling(own, {"X-Key": "k"}, token="mine")._open_socket({}, "", 30_000)
        await line.close()
    shown = [(each.get("Authorization"), each.get("X-Key")) for each in heard]
    assert shown == [(None, None), ("Bearer started", None), ("Bearer mine", "k")]


def test_a_runner_that_listens_everywhere_is_where_it_was_asked() -> None:
    asked = "http://10.0.0.7:7860"
    assert started_socket(asked, "wss://0.0.0.0:7860/ws-client") == "ws://10.0.0.7:7860/ws-client"
    assert started_socket("https://bots.test", "ws://[::]:7860/ws") == "wss://bots.test/ws"


def test_credentials_are_in_no_repr() -> None:
    bot = PipecatBot(start={"key": "s3cret"}, headers={"X-Key": "s3cret"})
    options = Options(token="s3cret", metadata_json='"s3cret"')
    ways = bot._ways("http://localhost:1", options, Environment())
    assert "s3cret" not in f"{bot} {options} {ways}"


class StuckChannel:
    """A data channel whose last words never leave."""

    is_open = True

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    @property
    def waiting_bytes(self) -> int:
        self.asked.set()
        return 1


async def test_a_close_that_is_given_up_still_closes_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offers = Offers("http://localhost:1", name="", headers={}, request_data=None)
    ice = IceChoice(None, policy="all", loopback=True)
    line = RtcLine(offers, ice=ice, inflow=Inflow(), gate=Gate(), muted=False)
    closed: list[bool] = []
    channel = StuckChannel()
    close_peer = line._peer.close

    async def closing() -> None:
        await close_peer()
        closed.append(True)

    monkeypatch.setattr(line._peer, "data", channel)
    monkeypatch.setattr(line._peer, "close", closing)
    leaving = asyncio.create_task(line.close())
    await channel.asked.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert closed == [True]
