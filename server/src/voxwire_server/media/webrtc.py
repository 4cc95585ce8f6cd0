"""WebRTC audio of a session."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from voxwire_protocol import wire
from voxwire_protocol.rtc.inbound import OnAudio
from voxwire_protocol.rtc.outbound import Pull
from voxwire_server.media.peer import Reachable, ServerPeer
from voxwire_server.playout.anchors import Anchor, AnchorSchedule
from voxwire_server.playout.heard import STOOD_STILL_MS
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import Cut, Formats, PathError, PathSink, SessionPort

__all__ = ["Connection", "Listener", "MakeConnection", "WebRtcPath"]

_RTP_CLOCK: Final = 48_000
_SAMPLE_BYTES: Final = 2


class Listener(Protocol):
    """The one who listens, as far as the path sees whether it can be reached."""

    def lost(self, since_ms: float) -> None:
        """It is out of reach since then; the first call of a gap counts."""
        ...

    async def returned(self) -> None:
        """It is back: cut what would be late, and have the rest come again where it stopped."""
        ...


class Connection(Protocol):
    """What the path needs of its peer connection; :class:`media.peer.ServerPeer` is one."""

    async def answer(self, offer: str) -> str:
        """Answer an SDP offer; raises ``PathError``."""
        ...

    async def connected(self) -> None:
        """Wait until audio can flow; raises ``PathError``."""
        ...

    def rtp_timestamp(self, sample: int) -> int | None:
        """RTP timestamp (48 kHz) of a sample of the bot's track."""
        ...

    @property
    def late_ms(self) -> float:
        """How late the block is that is pulled just now, milliseconds."""
        ...

    async def close(self) -> None:
        """Close it. Idempotent."""
        ...


class MakeConnection(Protocol):
    """Makes the connection of a path; its arguments are those of :class:`media.peer.ServerPeer`."""

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
    ) -> Connection:
        """Make it; nothing is sent yet."""
        ...


class WebRtcPath:
    """A :class:`ports.MediaPath` on one peer connection: Opus both ways.

    The bot's track sends a packet at every deadline, silence included, and catches up after a
    stall of the event loop; anchors say what it carries (ADR 3). A listener who cannot play or is
    out of reach is sent silence: the voice is kept. The path takes no voice before it is in use,
    that is before :meth:`wake`.

    Args:
        path_id: Number that the client gave the path.
        sink: Where the user's audio and the path's end go.
        playout: The bot's placed voice.
        listener: Told, and asked, about the one who listens.
        port: The session.
        formats: Of both directions; the playout's rate is that of the placed voice.
        reachable: Where this server can be reached.
        dead_after_ms: A connection that has brought nothing for so long is lost.
        connect: Makes the connection; a test gives another one.
    """

    def __init__(
        self,
        path_id: int,
        *,
        sink: PathSink,
        playout: Playout,
        listener: Listener,
        port: SessionPort,
        formats: Formats,
        reachable: Reachable,
        dead_after_ms: int,
        connect: MakeConnection = ServerPeer,
    ) -> None:
        self.path_id = path_id
        self.formats = formats
        self._sink = sink
        self._playout = playout
        self._listener = listener
        self._port = port
        self._dead_after_ms = dead_after_ms
        rate, block_ms = formats.playout.sample_rate, formats.playout.block_ms
        self._anchors = AnchorSchedule(sample_rate=rate, block_samples=rate * block_ms // 1000)
        self._in_use = False
        self._up = False
        self._closed = False
        self._held = False  # silence is sent, and the voice is kept
        self._pulled_ms: float | None = None
        self._returning: asyncio.Task[None] | None = None
        self._peer = connect(
            path_id,
            reachable,
            formats=formats,
            pull=self._pull,
            on_audio=self._hear,
            on_lost=self._lose,
        )

    # opening

    async def answer(self, offer: str) -> str:
        """Answer an SDP offer, once; :meth:`close` it whatever comes of that.

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
        self._up = True

    # the user's voice

    def _hear(self, pcm: Any, timestamp: int) -> None:
        self._sink.audio(pcm.tobytes(), timestamp)

    # the bot's voice

    def _pull(self, first: int, num_samples: int) -> bytes | None:
        """One block of the bot's voice for the track, None for silence."""
        now = self._port.clock.now_ms()
        before, self._pulled_ms = self._pulled_ms, now
        if before is not None and now - before > STOOD_STILL_MS:
            self._playout.heard.stood_still(before, now)
        self._anchors.pulled(first, now)
        start = self._playout.next_start() if self._may_play(now) else None
        if start is not None and (excess := self._anchors.skips(start, first)):
            self._playout.skip_live(excess)
            start = self._playout.next_start()
        if start is None:
            return None
        if not self._anchors.stands(start, first):
            self._say(self._anchors.announce(start))
            return None
        backlog = self._playout.live_backlog_samples()
        block = self._playout.take(num_samples, now)
        if block is None:
            return None
        self._port.late(self._peer.late_ms)
        self._say(self._anchors.sent(backlog, self._playout.next_start()))
        return block.pcm.ljust(num_samples * _SAMPLE_BYTES, b"\0")

    def wake(self) -> None:
        """Audio was placed, or the listener reported: say where it will stand. Begins to carry."""
        self._in_use = True
        self._held = self._held or self._playout.heard.suspended
        start = None if self._held else self._playout.next_start()
        if start is not None:
            self._say(self._anchors.placed(start, self._port.clock.now_ms()))

    def void(self, cut: Cut) -> float | None:
        """Nothing waits here: the track takes what is placed when it is due."""
        return None

    def _say(self, anchor: Anchor | None) -> None:
        timestamp = None if anchor is None else self._peer.rtp_timestamp(anchor.track)
        if anchor is None or timestamp is None:
            return
        self._port.emit(
            media_anchor=wire.MediaAnchor(
                path_id=self.path_id,
                media_ms=self._playout.to_ms(anchor.media),
                rtp_timestamp=timestamp,
                clock_rate=_RTP_CLOCK,
            )
        )

    # whether anybody is there

    def _may_play(self, now: float) -> bool:
        """False while nothing comes from the peer, or it cannot play: its voice is kept for it."""
        if not self._in_use or self._closed:
            return False
        heard = self._playout.heard
        if heard.suspended:
            self._held = True
        elif heard.out_of_reach(now):
            if not self._held:
                self._held = True
                self._listener.lost(heard.peer_at_ms)
            if now - heard.peer_at_ms > self._dead_after_ms:
                self._lose()
        elif self._held and self._returning is None:
            self._returning = self._port.spawn(self._return())
        return not self._held

    async def _return(self) -> None:
        try:
            await self._listener.returned()
        finally:
            self._returning = None
        self._anchors.reset()  # a client that could not play waits for an anchor
        self._held = False

    def _lose(self) -> None:
        """The connection is gone; one that never came about is told by :meth:`connected`."""
        if self._up and not self._closed:
            self._up = False
            code = wire.ErrorCode.ERROR_CODE_CONNECTION_LOST
            self._sink.gone(PathError(code, "the WebRTC connection was lost"))

    async def close(self) -> None:
        """Give it up. Idempotent; cancelled, the connection closes alone to its end."""
        self._closed = True
        await self._peer.close()
