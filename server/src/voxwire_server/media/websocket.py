"""Audio as ``AudioChunk`` messages on the control channel."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.clocks import Timer
from voxwire_protocol.opus import ChunkEncoder
from voxwire_server.control.link import ControlLink
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import Cut, Formats, SessionPort

__all__ = ["WebSocketPath"]

_AHEAD_MS: Final = 300
_MAX_AHEAD_MS: Final = 1000
_LONGEST_WAIT_MS: Final = 100.0
_LEAST_HOLD_MS: Final = 40.0
_LONGEST_HOLD_MS: Final = 100.0
"""How long the end of what was placed waits for more behind it, where it is encoded."""

_log = logging.getLogger("voxwire.session")


class WebSocketPath:
    """Sends ahead of the listener by at most 300 ms (1 s after underruns), events first.

    Args:
        path_id: Number that the client gave the path.
        link: The control channel's wire.
        playout: The session's placed audio.
        formats: What it carries, at the session's rates.
        port: The session.
        on_codec_failed: Called when the voice cannot be encoded: nothing more is sent.
    """

    def __init__(
        self,
        path_id: int,
        link: ControlLink,
        *,
        playout: Playout,
        formats: Formats,
        port: SessionPort,
        on_codec_failed: Callable[[], None],
    ) -> None:
        self.path_id = path_id
        self.formats = formats
        self._link = link
        self._playout = playout
        self._block_samples = playout.sample_rate * formats.playout.block_ms // 1000
        self._port = port
        self._ahead_ms = _AHEAD_MS
        self._concealed_ms = 0
        self._batch: list[int] = []  # where the chunks begin that were handed over last
        self._timer: Timer | None = None
        self._hold: Timer | None = None
        self._closed = False
        self._envelope = wire.Envelope()
        self._on_codec_failed = on_codec_failed
        self._encoder: ChunkEncoder | None = None
        if formats.playout.codec == wire.Codec.CODEC_OPUS:
            self._encoder = ChunkEncoder(
                playout.sample_rate, path_id=path_id, block_ms=formats.playout.block_ms
            )
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
        while playout.pending and self._link.takes_audio and not self._closed:
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
        dropped = self._link.drop_audio()
        starts = self._batch[-dropped:] if dropped else []
        self._stop_holding()
        if self._encoder is not None and (held := self._encoder.drop()) is not None:
            starts.append(held)
        self.wake()
        return starts[0] * 1000 / self._playout.sample_rate if starts else None

    def _send(self, start: int, pcm: bytes) -> None:
        encoder = self._encoder
        if encoder is None:
            chunk = wire.AudioChunk(path_id=self.path_id, sample_index=start, data=pcm)
            self._hand_over([chunk])
            return
        self._stop_holding()
        self._encode(lambda: encoder.push(start, pcm))
        if encoder.owes:
            ahead = self._playout.heard.sent_ms - self._playout.heard_ms(self._port.clock.now_ms())
            hold_ms = min(max(_LEAST_HOLD_MS, ahead / 2), _LONGEST_HOLD_MS)
            self._hold = self._port.clock.call_later(hold_ms, self._end_stretch)

    def _end_stretch(self) -> None:
        """Send the end of what was placed, unless there is more behind it to send."""
        self._hold = None
        encoder = self._encoder
        if encoder is not None and self._playout.next_start() != encoder.end:
            self._encode(encoder.finish)

    def _encode(self, work: Callable[[], Sequence[wire.AudioChunk]]) -> None:
        """Hand over what is encoded; a codec that fails is the end of the path."""
        if self._closed:
            return
        try:
            self._hand_over(work())
        except RuntimeError as error:
            self._closed = True
            _log.error("the voice cannot be encoded", exc_info=error)
            self._on_codec_failed()

    def _hand_over(self, chunks: Sequence[wire.AudioChunk]) -> None:
        self._batch = [chunk.sample_index for chunk in chunks]
        for chunk in chunks:
            self._envelope.audio.CopyFrom(chunk)
            self._link.send_audio(self._envelope.SerializeToString())

    def _stop_holding(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self) -> None:
        """Give it up; the socket goes on. Idempotent."""
        self._closed = True
        self._disarm()
        self._stop_holding()
        if self._link.on_drained == self.wake:
            self._link.on_drained = None
