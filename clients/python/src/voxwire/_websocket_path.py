"""Audio as `AudioChunk` messages on the control channel."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from voxwire._fallback import Progress
from voxwire._path import (
    PLAYOUT_RATE,
    Capture,
    Readiness,
    Sink,
    audio_format,
    capture_format,
)
from voxwire.playout import Samples
from voxwire_protocol import wire
from voxwire_protocol.capture import Piece
from voxwire_protocol.errors import ErrorCode, MediaError

__all__ = ["WebSocketPath"]

MAX_EARLY: Final = 250
"""Chunks that are kept until the session takes audio."""


class WebSocketPath:
    """A path whose carrier is the control channel."""

    carrier = wire.Carrier.CARRIER_WEBSOCKET
    progress = Progress.CONNECTED
    trouble = None

    def __init__(
        self, path_id: int, *, capture: Capture, send: Callable[[wire.Envelope], bool]
    ) -> None:
        """Creates a path that is not asked for yet."""
        self._path_id = path_id
        self._capture = capture
        self._send = send
        self._sink: Sink | None = None
        self._early: deque[tuple[int, Samples]] = deque(maxlen=MAX_EARLY)
        self._rate = PLAYOUT_RATE
        self._ready = Readiness()

    async def offer(self) -> wire.PathOpen:
        """Returns the message that asks for this path."""
        return wire.PathOpen(
            path_id=self._path_id,
            carrier=self.carrier,
            capture=capture_format(wire.Codec.CODEC_PCM_S16LE),
            playout=audio_format(wire.Codec.CODEC_PCM_S16LE, PLAYOUT_RATE),
        )

    def receive(self, envelope: wire.Envelope) -> None:
        """Takes answer, ready and audio."""
        match envelope.WhichOneof("payload"):
            case "path_answer":
                self._rate = envelope.path_answer.playout.sample_rate or PLAYOUT_RATE
            case "path_ready":
                self._ready.set()
            case "path_close":
                self._ready.refuse(envelope.path_close)
            case "audio":
                self._receive_audio(envelope.audio)
            case _:
                return

    def _receive_audio(self, chunk: wire.AudioChunk) -> None:
        if chunk.track_id:
            return
        data = chunk.data
        samples = np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16, copy=False)
        if self._sink is None:
            self._early.append((chunk.sample_index, samples))
        else:
            self._sink.push(chunk.sample_index, samples)

    async def wait_ready(self) -> int:
        """Waits for PathReady; returns the playout rate, Hz."""
        await self._ready.wait()
        if not 8000 <= self._rate <= 48_000:
            raise MediaError(
                ErrorCode.UNSUPPORTED_FORMAT, f"the server plays at {self._rate} Hz; 8-48 kHz work"
            )
        return self._rate

    def arrived(self) -> None:
        """The control channel loses nothing, and what is late shows in what is concealed."""

    async def run(self, sink: Sink) -> None:
        """Sends the user's audio, what was kept of it first, until cancelled."""
        self._sink = sink
        for sample_index, samples in self._early:
            sink.push(sample_index, samples)
        self._early.clear()
        with self._capture.carried(self._send_piece):
            await asyncio.Event().wait()

    def _send_piece(self, piece: Piece) -> bool:
        chunk = wire.AudioChunk(path_id=self._path_id, sample_index=piece.index, data=piece.pcm)
        return self._send(wire.Envelope(audio=chunk))

    def doubt(self) -> None:
        """Nothing to look at: the carrier belongs to the session."""

    def drop(self) -> None:
        """Nothing of its own to break: the carrier belongs to the session."""

    async def close(self) -> None:
        """Nothing to give up: the carrier belongs to the session."""
        self._sink = None
