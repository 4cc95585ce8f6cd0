"""A stock client's peer connection, which stands before there is a session for it."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from voxwire_protocol import rtc
from voxwire_protocol.rtc.inbound import OnAudio
from voxwire_protocol.rtc.outbound import Pull
from voxwire_server.media.peer import Reachable, ServerPeer
from voxwire_server.ports import Formats

__all__ = ["StockConnection"]

_log = logging.getLogger("voxwire.media")

_EARLY_MESSAGES: Final = 64
_DRAIN_LOOKS: Final = 20
_DRAIN_SECS: Final = 0.01


class StockConnection:
    """A :class:`~voxwire_server.media.webrtc.Connection` that is answered first and used later.

    A bot begins with a client that is there: an offer alone costs a socket for 15 s and nothing
    else. What comes on the data channel before anybody listens is kept, 64 messages of it.

    Args:
        reachable: Where this server can be reached.
        formats: Of the audio.
    """

    def __init__(self, reachable: Reachable, formats: Formats) -> None:
        self._pull: Pull | None = None
        self._on_audio: OnAudio | None = None
        self._on_lost: Callable[[], None] | None = None
        self._on_message: Callable[[str | bytes], None] | None = None
        self._on_gone: Callable[[], None] | None = None
        self._early: deque[str | bytes] = deque(maxlen=_EARLY_MESSAGES)
        self._unsent: list[str] = []
        self._data: rtc.DataChannel | None = None
        self._lost = False
        self._closing = False
        self._peer = ServerPeer(
            0,
            reachable,
            formats=formats,
            pull=lambda first, count: None if self._pull is None else self._pull(first, count),
            on_audio=self._hear,
            on_lost=self._lose,
            on_data=self._opened,
        )

    # the connection, as a path needs it

    def __call__(
        self,
        path_id: int,
        reachable: Reachable,
        /,
        *,
        formats: Formats,
        pull: Pull,
        on_audio: OnAudio,
        on_lost: Callable[[], None],
    ) -> "StockConnection":
        """Carry a path's sound from here on (it is a ``webrtc.MakeConnection``)."""
        self._pull, self._on_audio, self._on_lost = pull, on_audio, on_lost
        return self

    async def answer(self, offer: str) -> str:
        """Answer an SDP offer, once.

        Raises:
            PathError: BAD_SDP, TURN_FAILED or ICE_FAILED.
        """
        return await self._peer.answer(offer)

    async def connected(self) -> None:
        """Wait until audio can flow, 15 s at most. Cancel-safe.

        Raises:
            PathError: ICE_FAILED.
        """
        await self._peer.connected()

    def rtp_timestamp(self, sample: int) -> int | None:
        """RTP timestamp (48 kHz) of a sample of the bot's track."""
        return self._peer.rtp_timestamp(sample)

    @property
    def late_ms(self) -> float:
        """How late the block is that is pulled just now, milliseconds."""
        return self._peer.late_ms

    async def close(self) -> None:
        """Close it, behind what was said on the data channel. Idempotent."""
        if not self._closing:
            self._closing = True
            self._pull = self._on_audio = self._on_message = None
            for _ in range(_DRAIN_LOOKS):
                if self._lost or self._data is None or not self._data.waiting_bytes:
                    break
                await asyncio.sleep(_DRAIN_SECS)
        await self._peer.close()

    # the data channel

    def listen(self, take: Callable[[str | bytes], None]) -> None:
        """Hand what comes on the data channel to ``take``, what is here already first."""
        self._on_message = take
        while self._early:
            take(self._early.popleft())

    def when_gone(self, call: Callable[[], None]) -> None:
        """Have ``call`` called once the connection is lost, or closed by the client; maybe now."""
        self._on_gone = call
        if self._lost:
            call()

    def send(self, text: str) -> bool:
        """Send a message, at the latest when the client has opened its channel.

        Returns:
            False = it is longer than a data channel carries, and is dropped.
        """
        size = len(text.encode())
        if size > rtc.MAX_MESSAGE_BYTES:
            _log.warning("a message of %d bytes is too long for a data channel", size)
            return False
        if self._data is None:
            self._unsent.append(text)
            return True
        try:
            self._data.send(text)
        except ConnectionError:  # it is gone; whoever comes back is told
            self._unsent.append(text)
        return True

    @property
    def waiting_bytes(self) -> int:
        """What was sent and has not left yet."""
        if self._data is None:
            return sum(map(len, self._unsent))
        return self._data.waiting_bytes

    @property
    def unconfirmed(self) -> int:
        """How many messages were sent that the client may not have."""
        return len(self._unsent) + (0 if self._data is None else self._data.unconfirmed)

    def _opened(self, channel: rtc.DataChannel) -> None:
        self._data = channel
        channel.on_message = self._received
        channel.on_close = self._lose
        unsent, self._unsent = self._unsent, []
        for text in unsent:
            self.send(text)

    def _received(self, message: str | bytes) -> None:
        if self._on_message is not None:
            self._on_message(message)
        elif not self._closing:
            self._early.append(message)

    def _hear(self, pcm: object, timestamp: int) -> None:
        if self._on_audio is not None:
            self._on_audio(pcm, timestamp)  # type: ignore[arg-type]

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            for call in (self._on_lost, self._on_gone):
                if call is not None and not self._closing:
                    call()
