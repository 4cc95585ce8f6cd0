"""Audio as ``AudioChunk`` messages on the control channel."""

import asyncio
from collections.abc import Callable
from typing import Final

from voxwire_protocol import wire
from voxwire_server.control.link import ControlLink
from voxwire_server.media.base import MediaPath
from voxwire_server.playout.placed import Playout

__all__ = ["WebSocketPath"]

_AHEAD_MS: Final = 300
_MAX_AHEAD_MS: Final = 1000


class WebSocketPath(MediaPath):
    """Sends ahead of the listener by at most 300 ms (1 s after underruns), events first.

    Args:
        path_id: Number that the client gave the path.
        link: The control channel's wire.
        playout: The session's placed audio.
        block_ms: Length of a block on the wire, milliseconds.
        now_ms: Monotonic milliseconds.
        guarded: Wraps what a timer calls, for instance ``Session.guarded``.
    """

    carrier = wire.Carrier.CARRIER_WEBSOCKET

    def __init__(
        self,
        path_id: int,
        link: ControlLink,
        *,
        playout: Playout,
        block_ms: int,
        now_ms: Callable[[], float],
        guarded: Callable[[Callable[[], None]], Callable[[], None]],
    ) -> None:
        self.path_id = path_id
        self._link = link
        self._playout = playout
        self._block_samples = playout.sample_rate * block_ms // 1000
        self._now_ms = now_ms
        self._wake_later = guarded(self.wake)
        self._ahead_ms = _AHEAD_MS
        self._concealed_ms = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._chunk = wire.Envelope()
        self._chunk.audio.path_id = path_id
        link.on_drained = self.wake

    def wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed:
            return
        playout = self._playout
        while playout.pending and self._link.takes_audio:
            now = self._now_ms()
            ahead = playout.heard.sent_ms - playout.heard_ms(now)
            if ahead >= self._ahead_ms and playout.live_backlog_samples():
                # a burst after a stall: a listener to something live does not stay behind it
                playout.heard.overtake(playout.heard.sent_ms - self._ahead_ms / 2, now)
            elif ahead >= self._ahead_ms:
                delay_ms = max(5.0, ahead - self._ahead_ms)
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(min(delay_ms, 100.0) / 1000, self._wake_later)
                return
            block = playout.take(self._block_samples, now)
            if block is None:
                return
            self._send(block.start, block.pcm)

    def _send(self, start: int, pcm: bytes) -> None:
        audio = self._chunk.audio
        audio.sample_index = start
        audio.data = pcm
        self._link.send_audio(self._chunk.SerializeToString())

    def report(self, report: wire.PlayoutReport) -> None:
        if report.concealed_ms > self._concealed_ms:
            self._concealed_ms = report.concealed_ms
            self._ahead_ms = min(_MAX_AHEAD_MS, self._ahead_ms + 100)
        self.wake()

    async def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._link.on_drained == self.wake:
            self._link.on_drained = None
