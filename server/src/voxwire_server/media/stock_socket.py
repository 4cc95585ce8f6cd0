"""Audio of a stock Pipecat client on its own WebSocket."""

from collections.abc import Callable
from typing import Final

import numpy as np

from voxwire_protocol import rtvi, wire
from voxwire_protocol.clocks import Clock, Timer
from voxwire_server.capture.resampled import Resampled
from voxwire_server.control.link import ControlLink
from voxwire_server.ports import Cut, Format, Formats, PathSink, Sound

__all__ = ["PLAYOUT_RATE", "StockSocketPath"]

PLAYOUT_RATE: Final = 24_000
"""Rate that the stock JavaScript client plays at, whatever a frame says, Hz."""
_BLOCK_MS: Final = 40
_AHEAD_MS: Final = 80
"""What is sent ahead of the ear: these clients drop nothing when the bot is interrupted."""
_LONGEST_WAIT_MS: Final = 100.0
_PCM: Final = wire.Codec.CODEC_PCM_S16LE


class StockSocketPath:
    """A :class:`~voxwire_server.ports.MediaPath` of frames: paced, since its client cannot flush.

    Args:
        path_id: Its number.
        sink: Where the user's audio goes.
        sound: The bot's voice, at :data:`PLAYOUT_RATE`.
        link: The client's socket.
        capture_rate: Of the user's audio in the session, Hz.
        clock: The session's clock.
        voice: Makes a message of a block of the bot's voice; None = nobody listens to it.
        interrupted: The message that tells the client to drop what it has not played; empty = it
            knows none.
    """

    def __init__(
        self,
        path_id: int,
        sink: PathSink,
        sound: Sound,
        *,
        link: ControlLink,
        capture_rate: int,
        clock: Clock,
        voice: Callable[[bytes], bytes] | None,
        interrupted: bytes = b"",
    ) -> None:
        self.path_id = path_id
        self.formats = Formats(
            capture=Format(_PCM, capture_rate, _BLOCK_MS),
            playout=Format(_PCM, PLAYOUT_RATE, _BLOCK_MS),
        )
        self._sink = sink
        self._sound = sound
        self._link = link
        self._clock = clock
        self._voice = voice
        self._interrupted = interrupted
        self._rate = capture_rate
        self._resampled: Resampled | None = None
        self._comes_at = capture_rate
        self._newest_ms = 0.0
        self._timer: Timer | None = None
        self._closed = False
        link.on_drained = self.wake

    def hear(self, audio: rtvi.RawAudio) -> None:
        """The user's audio, as the client sent it."""
        pcm = audio.pcm
        if audio.num_channels > 1:
            samples = np.frombuffer(pcm, "<i2").reshape(-1, audio.num_channels)
            pcm = samples.mean(axis=1).astype("<i2").tobytes()
        if audio.sample_rate != self._comes_at:
            self._comes_at = audio.sample_rate
            same = self._comes_at == self._rate
            self._resampled = None if same else Resampled(self._comes_at, self._rate)
        self._sink.audio(pcm if self._resampled is None else self._resampled.take(pcm))

    def alive(self) -> None:
        """Something came from the client: it is within reach, also when it is muted."""
        self._sink.audio(b"")

    def wake(self) -> None:
        """Send what is due, as the ear goes on."""
        self._disarm()
        block_samples = PLAYOUT_RATE * _BLOCK_MS // 1000
        while not self._closed and self._sound.pending and self._link.takes_audio:
            ahead_ms = self._sound.ahead_ms - _AHEAD_MS
            if ahead_ms > 0:
                delay_ms = min(max(5.0, ahead_ms), _LONGEST_WAIT_MS)
                self._timer = self._clock.call_later(delay_ms, self.wake)
                return
            block = self._sound.take(block_samples)
            if block is None:
                return
            if self._voice is not None:
                self._link.send_audio(self._voice(block.pcm))
                self._newest_ms = block.start * 1000 / PLAYOUT_RATE

    def void(self, cut: Cut) -> float | None:
        """What waits for the socket is dropped, and the client is told so if it knows how."""
        from_ms = self._newest_ms if self._link.drop_audio() else None
        if self._interrupted and not self._closed:
            self._link.send_event(self._interrupted)
        self.wake()
        return from_ms

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
