"""How a load generator speaks to one kind of server: one file each, nothing else knows the wire.

A dialect is one session's: it may keep state. It is named `module:Class` on the command line.
"""

import importlib
from typing import Any, ClassVar


class Dialect:
    """Audio over a WebSocket. Audio is int16 little-endian mono PCM at 16 kHz."""

    path: ClassVar[str] = "/ws"
    subprotocol: ClassVar[str | None] = None
    block_ms: ClassVar[int] = 20
    """Length of a message of audio on the wire; also what a round trip is counted for."""

    @property
    def ready(self) -> bool:
        """Whether audio may be sent (after a handshake of the protocol's own, if it has one)."""
        return True

    def connect(self) -> list[bytes]:
        """Messages to send as soon as the socket is open."""
        return []

    def encode_block(self, seq: int, pcm: bytes) -> bytes:
        """One message with one block of `block_ms`; `seq` counts blocks from 0."""
        raise NotImplementedError

    def decode(self, message: bytes) -> list[bytes]:
        """The PCM in a message: as many blocks as it has, of any length; none if it has none."""
        raise NotImplementedError

    def replies(self, now_ms: int) -> list[bytes]:
        """What else is due (acknowledgements, reports); asked after each message and block."""
        return []


class RtcDialect:
    """Signaling for WebRTC: how an offer gets to the server and its answer comes back."""

    packet_ms: ClassVar[int] = 20
    """Length of the Opus packets that the client sends."""

    async def connect(self, url: str, offer_sdp: str) -> str:
        """Returns the answer's SDP. `url` is the server's http address, without a path."""
        raise NotImplementedError

    async def close(self) -> None:
        """Ends the session on the server."""


def load_dialect(name: str) -> Any:
    """The class that `module:Class` names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
