"""A client that says what a test wants it to say, in the real wire format."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import websockets

from voxwire_protocol import wire
from voxwire_protocol.channel import Channel


class RawClient:
    """One control channel, of which nothing is hidden."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket
        self._channel = Channel(allowed=wire.SERVER_PAYLOADS)
        self._arrived: list[wire.Envelope] = []

    async def say(self, **payload: object) -> None:
        """Send one payload of the envelope."""
        envelope = wire.Envelope(**payload)  # type: ignore[arg-type]
        for data in self._channel.send(envelope, _now_ms()):
            await self._socket.send(data)

    async def hear(self, name: str, timeout_s: float = 60) -> wire.Envelope:
        """The next message with this payload; what comes before it is passed by."""
        async with asyncio.timeout(timeout_s):
            while True:
                while self._arrived:
                    envelope = self._arrived.pop(0)
                    if envelope.WhichOneof("payload") == name:
                        return envelope
                data = await self._socket.recv()
                assert isinstance(data, bytes)
                self._arrived.extend(self._channel.receive(data, _now_ms()))


@contextlib.asynccontextmanager
async def raw_client(url: str, *, token: str = "") -> AsyncIterator[RawClient]:
    """Say Hello and hand the channel over."""
    async with websockets.connect(
        f"{url}/v1/session", subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)]
    ) as socket:
        client = RawClient(socket)
        hello = wire.Hello(protocol_version=wire.PROTOCOL_VERSION, attach_nonce=bytes(16))
        hello.token = token
        await client.say(hello=hello)
        yield client


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
