"""Messages over a data channel, as a control channel needs them: whole, in order, once."""

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

__all__ = ["MAX_MESSAGE_BYTES", "DataCarrier", "DataChannel"]

_log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES: Final = 65_536
"""Longest message; what both sides of aiortc announce (RFC 8841 §6)."""


class DataCarrier(Protocol):
    """Carries messages to a peer and back: a data channel here, a WebSocket elsewhere.

    The owner sets the three callbacks; they are called on the event loop and must not block.
    """

    on_message: Callable[[str | bytes], None]
    on_open: Callable[[], None]
    on_close: Callable[[], None]

    def send(self, message: str | bytes) -> None:
        """Send a message. Never blocks.

        Raises:
            ConnectionError: It is not open.
            ValueError: The message is too long.
        """
        ...

    def close(self) -> None:
        """Close it; ``on_close`` follows. Idempotent."""
        ...


class DataChannel:
    """The data channel of a peer: reliable, in order. A :class:`DataCarrier`.

    Nothing is delivered before the peer's first message, and nothing behind ``on_close``. A
    callback that raises is logged once, and the connection goes on.

    Args:
        channel: aiortc's.
    """

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        self._failed = False
        self.on_message: Callable[[str | bytes], None] = _ignore
        self.on_open: Callable[[], None] = _ignore
        self.on_close: Callable[[], None] = _ignore
        channel.on("message", self._received)
        channel.on("open", self._opened)
        channel.on("close", self._closed)

    @property
    def label(self) -> str:
        """Its name, as the side that made it chose."""
        return self._channel.label

    @property
    def is_open(self) -> bool:
        """True when a message can be sent."""
        return self._channel.readyState == "open"

    @property
    def waiting_bytes(self) -> int:
        """What was sent and has not left yet: an owner bounds it."""
        return self._channel.bufferedAmount

    @property
    def unconfirmed(self) -> int:
        """How many messages were sent that the peer has not confirmed, also when it is closed.

        One whose confirmation (RFC 9260 §6.2) was lost with the connection counts, too, and so does
        one behind a gap: the peer has it, and gives it to nobody before the gap is closed. aiortc
        has no such number: what is read is its queues.
        """
        sctp: Any = self._channel.transport
        queued = sum(entry[0] is self._channel for entry in sctp._data_channel_queue)
        sent = (*sctp._sent_queue, *sctp._outbound_queue)
        mine = {chunk.stream_seq for chunk in sent if chunk.stream_id == self._channel.id}
        return queued + len(mine)

    def send(self, message: str | bytes) -> None:
        """Send a message. Never blocks.

        Raises:
            ConnectionError: The channel is not open.
            ValueError: The message is longer than :data:`MAX_MESSAGE_BYTES`.
        """
        size = len(message.encode()) if isinstance(message, str) else len(message)
        if size > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {size} bytes is longer than {MAX_MESSAGE_BYTES}")
        try:
            self._channel.send(message)
        except InvalidStateError:
            raise ConnectionError("the data channel is not open") from None

    def close(self) -> None:
        """Close the channel; the connection stays. Idempotent."""
        self._channel.close()

    def _received(self, message: str | bytes) -> None:
        self._call(lambda: self.on_message(message))

    def _opened(self) -> None:
        self._call(self.on_open)

    def _closed(self) -> None:
        self._call(self.on_close)

    def _call(self, callback: Callable[[], None]) -> None:
        """Call the owner. An exception must not reach aiortc: it would close the connection."""
        try:
            callback()
        except Exception:
            if not self._failed:
                self._failed = True
                _log.exception("data channel callback failed")


def _ignore(*_: object) -> None:
    """Nobody listens."""
