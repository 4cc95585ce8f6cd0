"""Audio as `AudioChunk` messages on the control channel."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from voxwire._codec import CodecChoice
from voxwire._fallback import Progress
from voxwire._path import (
    BLOCK_MS,
    PLAYOUT_RATE,
    Capture,
    Readiness,
    Sink,
    audio_format,
    capture_format,
)
from voxwire.audio import CAPTURE_RATE
from voxwire.playout import MakeUp, Samples
from voxwire_protocol import wire
from voxwire_protocol.capture import Piece
from voxwire_protocol.errors import ErrorCode, MediaError, RecoveryAction, TransportError

if TYPE_CHECKING:
    from voxwire_protocol.opus import ChunkDecoder, ChunkEncoder

__all__ = ["WebSocketPath"]

MAX_EARLY: Final = 250
"""Chunks that are kept until the session takes audio."""

MAX_UNREADABLE: Final = 4
"""So many chunks in a row that cannot be decoded are the end of a path: less than a server sends
ahead of what it believes to be heard, so that the next path brings their sound."""


class WebSocketPath:
    """A path whose carrier is the control channel."""

    carrier = wire.Carrier.CARRIER_WEBSOCKET
    progress = Progress.CONNECTED
    trouble = None

    def __init__(
        self,
        path_id: int,
        *,
        capture: Capture,
        send: Callable[[wire.Envelope], bool],
        codec: CodecChoice | None = None,
    ) -> None:
        """Creates a path that is not asked for yet.

        Args:
            path_id: Its number.
            capture: The user's audio.
            send: Sends a message.
            codec: What the audio is to be encoded as; None = PCM.
        """
        self._path_id = path_id
        self._capture = capture
        self._send = send
        self._codec = CodecChoice() if codec is None else codec
        self._sink: Sink | None = None
        self._early: deque[tuple[int, Samples]] = deque(maxlen=MAX_EARLY)
        self._rate = PLAYOUT_RATE
        self._ready = Readiness()
        self._encoder: ChunkEncoder | None = None
        self._decoder: ChunkDecoder | None = None
        self._unsent: deque[wire.AudioChunk] = deque()
        self._unreadable = 0
        self._codec_failed = asyncio.Event()

    @property
    def codec(self) -> str:
        """What the bot's audio is encoded as: ``opus`` or ``pcm``."""
        return "pcm" if self._decoder is None else "opus"

    @property
    def codec_reason(self) -> str:
        """Why: half a sentence."""
        return self._codec.reason

    @property
    def make_up(self) -> MakeUp | None:
        """Makes sound up from the bot's newest audio when more of it is late; None = it cannot."""
        return None if self._decoder is None else self._decoder.foresee

    async def offer(self) -> wire.PathOpen:
        """Returns the message that asks for this path."""
        return wire.PathOpen(
            path_id=self._path_id,
            carrier=self.carrier,
            capture=capture_format(self._codec.wire),
            playout=audio_format(self._codec.wire, PLAYOUT_RATE),
        )

    def receive(self, envelope: wire.Envelope) -> None:
        """Takes answer, ready and audio."""
        match envelope.WhichOneof("payload"):
            case "path_answer":
                self._receive_answer(envelope.path_answer)
            case "path_ready":
                self._ready.set()
            case "path_close":
                self._ready.refuse(envelope.path_close)
            case "audio":
                self._receive_audio(envelope.audio)
            case _:
                return

    def _receive_answer(self, answer: wire.PathAnswer) -> None:
        """Takes the formats: what the server names counts, not what was asked for."""
        self._rate = answer.playout.sample_rate or PLAYOUT_RATE
        codecs = (answer.capture.codec, answer.playout.codec)
        if wire.Codec.CODEC_OPUS in codecs and not self._use_opus(answer):
            reason = f"the server sends Opus at {self._rate} Hz; that was not asked for"
            self._ready.fail(MediaError(ErrorCode.UNSUPPORTED_FORMAT, reason))
            return
        self._codec.answered(opus=self._decoder is not None)

    def _use_opus(self, answer: wire.PathAnswer) -> bool:
        """Makes the codecs that an answer names; False = Opus of this rate was not asked for."""
        if not self._codec.opus:
            return False
        from voxwire_protocol.opus import ChunkDecoder, ChunkEncoder, opus_ready  # is loaded

        if not opus_ready(self._rate):
            return False
        if answer.capture.codec == wire.Codec.CODEC_OPUS:
            self._encoder = ChunkEncoder(CAPTURE_RATE, path_id=self._path_id, block_ms=BLOCK_MS)
        if answer.playout.codec == wire.Codec.CODEC_OPUS:
            self._decoder = ChunkDecoder(self._rate)
        return True

    def _samples(self, chunk: wire.AudioChunk) -> Samples:
        """What a chunk holds; nothing when it cannot be decoded."""
        data = chunk.data
        if self._decoder is None:
            return np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16, copy=False)
        try:
            samples = self._decoder.decode(chunk)
        except ValueError:
            self._unreadable += 1
            if self._unreadable == MAX_UNREADABLE:
                self._fail("the bot's Opus could not be decoded")
            return np.zeros(0, np.int16)
        self._unreadable = 0
        return samples

    def _receive_audio(self, chunk: wire.AudioChunk) -> None:
        if chunk.track_id:
            return
        samples = self._samples(chunk)
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
        """Sends the user's audio, what was kept of it first, until cancelled.

        Raises:
            TransportError: The audio can be encoded or decoded no more; the next path is PCM.
        """
        self._sink = sink
        for sample_index, samples in self._early:
            sink.push(sample_index, samples)
        self._early.clear()
        with self._capture.carried(self._send_piece):
            await self._codec_failed.wait()
        raise TransportError(
            ErrorCode.UNSUPPORTED_FORMAT,
            self._codec.reason,
            retryable=True,
            action=RecoveryAction.RECONNECT,
        )

    def _fail(self, reason: str) -> None:
        self._codec.give_up(reason)
        self._codec_failed.set()

    def _send_piece(self, piece: Piece) -> bool:
        if self._encoder is None:
            chunk = wire.AudioChunk(path_id=self._path_id, sample_index=piece.index, data=piece.pcm)
            return self._send(wire.Envelope(audio=chunk))
        if not self._send_encoded():
            return False
        try:
            if self._encoder.owes and piece.index != self._encoder.end:
                self._encoder.drop()  # the user was muted in between: what is left stays unsent
            self._unsent.extend(self._encoder.push(piece.index, piece.pcm))
        except RuntimeError as error:
            self._fail(f"the user's audio could not be encoded: {error}")
            return False
        self._send_encoded()
        return True

    def _send_encoded(self) -> bool:
        """Sends what is encoded; False = some of it has to wait."""
        while self._unsent and self._send(wire.Envelope(audio=self._unsent[0])):
            self._unsent.popleft()
        return not self._unsent

    def doubt(self) -> None:
        """Nothing to look at: the carrier belongs to the session."""

    def drop(self) -> None:
        """Nothing of its own to break: the carrier belongs to the session."""

    async def close(self) -> None:
        """Nothing to give up: the carrier belongs to the session."""
        self._sink = None
