"""Hellos at a service of several processes, all at once: what each of them is answered."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import websockets

from tests.support.replicas import Replica
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel

__all__ = ["Answer", "rush"]

_FEATURES = (
    wire.Feature.FEATURE_SEQUENCE,
    wire.Feature.FEATURE_RESUME,
    wire.Feature.FEATURE_CHUNKS,
)
_OPEN = {"proxy": None, "ping_interval": None, "compression": None, "open_timeout": 60}
_ANSWERS_S = 60.0


class Answer(NamedTuple):
    """What somebody was told first.

    Attributes:
        session_id: His session; empty = he was refused.
        code: Why, for instance ``UNAUTHORIZED``.
        reason: The same as a sentence.
    """

    session_id: str = ""
    code: str = ""
    reason: str = ""


def _said(envelope: wire.Envelope) -> Answer | None:
    match envelope.WhichOneof("payload"):
        case "welcome":
            return Answer(envelope.welcome.session_id)
        case "error":
            code = wire.ErrorCode.Name(envelope.error.code).removeprefix("ERROR_CODE_")
            return Answer("", code, envelope.error.reason)
        case _:
            return None


async def _answer(socket: websockets.ClientConnection) -> Answer:
    channel = Channel(allowed=wire.SERVER_PAYLOADS)
    with contextlib.suppress(websockets.ConnectionClosedError):
        async for data in socket:
            assert isinstance(data, bytes)
            for envelope in channel.receive(data, 0):
                if found := _said(envelope):
                    return found
    return Answer("", f"closed with {socket.close_code}")


@asynccontextmanager
async def rush(
    urls: Sequence[str],
    tokens: Sequence[str],
    nonces: Sequence[bytes] | None = None,
    *,
    still: Sequence[Replica] = (),
) -> AsyncIterator[list[Answer]]:
    """Open a socket for each token, at one process after the other, and say all Hellos at once.

    Args:
        urls: Of the processes.
        tokens: What they come with.
        nonces: Their attach nonces; None = each a new one.
        still: Processes that stand still until all have said theirs, so that nobody is looked at
            before everybody has come.

    Yields:
        What they were answered; who is on a session stays there until the block ends.
    """
    sockets: list[websockets.ClientConnection] = []
    try:
        for number in range(len(tokens)):
            url = urls[number % len(urls)] + "/v1/session"
            sockets.append(await websockets.connect(url, subprotocols=[wire.SUBPROTOCOL], **_OPEN))
        hellos = [
            wire.Hello(
                protocol_version=wire.PROTOCOL_VERSION,
                attach_nonce=nonces[number] if nonces else os.urandom(16),
                features=_FEATURES,
                token=token,
                audio_response=False,
            )
            for number, token in enumerate(tokens)
        ]
        pairs = zip(sockets, hellos, strict=True)
        said = [(socket, wire.Envelope(hello=it).SerializeToString()) for socket, it in pairs]
        for replica in still:
            replica.send(signal.SIGSTOP)
        try:
            await asyncio.gather(*(socket.send(data) for socket, data in said))
        finally:
            for replica in still:
                replica.send(signal.SIGCONT)
        async with asyncio.timeout(_ANSWERS_S):
            yield list(await asyncio.gather(*map(_answer, sockets)))
    finally:
        for socket in sockets:
            socket.transport.abort()
        await asyncio.gather(*(socket.wait_closed() for socket in sockets))
