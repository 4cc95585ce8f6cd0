"""Audio as ``AudioChunk`` messages on the control channel."""

from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.clocks import Timer
from voxwire_server.control.link import ControlLink
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import Cut, Formats, SessionPort

__all__ = ["WebSocketPath"]

_AHEAD_MS: Final = 300
_MAX_AHEAD_MS: Final = 1000
_LONGEST_WAIT_MS: Final = 100.0


class WebSocketPath:
    """Sends ahead of the listener by at most 300 ms (1 s after underruns), events first.

    Args:
        path_id: Number that the client gave the path.
        link: The control channel's wire.
        playout: The session's placed audio.
        formats: What it carries, at the session's rates.
        port: The session.
    """

    def __init__(
        self,
        path_id: int,
        link: ControlLink,
        *,
        playout: Playout,
        formats: Formats,
        port: SessionPort,
    ) -> None:
        self.path_id = path_id
        self.formats = formats
        self._link = link
        self._playout = playout
        self._block_samples = playout.sample_rate * formats.playout.block_ms // 1000
        self._port = port
        self._ahead_ms = _AHEAD_MS
        self._concealed_ms = 0
        self._newest_ms = 0.0
        self._timer: Timer | None = None
        self._closed = False
        self._chunk = wire.Envelope()
        self._chunk.audio.path_id = path_id
        link.on_drained = self.wake

    async def begin(self) -> None:
        """Tell the client how its chunks are numbered: from sample 0 of the media clock."""
        self._port.emit(
            media_anchor=wire.MediaAnchor(
                path_id=self.path_id,
                media_ms=0,
                sample_index=0,
                clock_rate=self._playout.sample_rate,
            )
        )

    def wake(self) -> None:
        """Send what is due."""
        self._disarm()
        if self._closed:
            return
        playout, clock = self._playout, self._port.clock
        if playout.concealed_ms > self._concealed_ms:
            self._concealed_ms = playout.concealed_ms
            self._ahead_ms = min(_MAX_AHEAD_MS, self._ahead_ms + 100)
        while playout.pending and self._link.takes_audio:
            now = clock.now_ms()
            ahead = playout.heard.sent_ms - playout.heard_ms(now)
            if ahead >= self._ahead_ms and playout.live_backlog_samples():
                # a burst after a stall: a listener to something live does not stay behind it
                playout.heard.overtake(playout.heard.sent_ms - self._ahead_ms / 2, now)
            elif ahead >= self._ahead_ms:
                delay_ms = min(max(5.0, ahead - self._ahead_ms), _LONGEST_WAIT_MS)
                self._timer = clock.call_later(delay_ms, self.wake)
                return
            block = playout.take(self._block_samples, now)
            if block is None:
                return
            self._send(block.start, block.pcm)

    def void(self, cut: Cut) -> float | None:
        """What waits for the socket is dropped; the client drops the rest."""
        from_ms = self._newest_ms if self._link.drop_audio() else None
        self.wake()
        return from_ms

    def _send(self, start: int, pcm: bytes) -> None:
        audio = self._chunk.audio
        audio.sample_index = start
        audio.data = pcm
        self._link.send_audio(self._chunk.SerializeToString())
        self._newest_ms = start * 1000 / self._playout.sample_rate

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self) -> None:
        """Give it up; the socket goes on. Idempotent."""
        self._closed = True
        self._disarm()
        if self._link.on_drained == self.wake:
            self._link.on_drained = None
