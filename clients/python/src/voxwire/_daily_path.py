"""Audio through a Daily room; where it stands on the media clock is found by ear."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from voxwire._fallback import Progress
from voxwire._path import BLOCK_MS, PLAYOUT_RATE, Capture, Readiness, Sink, audio_format
from voxwire._room_places import Placed, RoomPlaces
from voxwire._threads import in_thread
from voxwire.audio import CAPTURE_RATE
from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_protocol.daily import MOST_BLOCKS, DailyCall, MakeRoom, Room, load_daily
from voxwire_protocol.errors import (
    ErrorCode,
    RecoveryAction,
    TransportError,
    UsageError,
    VoxwireError,
)

__all__ = ["DailyPath"]

USER_NAME: Final = "user"
"""How this side is called in the room."""

MAX_EARLY: Final = 100
"""Pieces that are kept until the session takes audio."""

_BLOCK_SAMPLES: Final = CAPTURE_RATE * BLOCK_MS // 1000
_SILENCE: Final = bytes(2 * _BLOCK_SAMPLES)
_PCM: Final = wire.Codec.CODEC_PCM_S16LE


class DailyPath:
    """A path through a room that the server makes and deletes."""

    carrier = wire.Carrier.CARRIER_DAILY
    codec = "opus"
    codec_reason = "Daily carries Opus"
    make_up = None  # what is lost, Daily's SDK has made up already
    trouble = None

    def __init__(
        self,
        path_id: int,
        *,
        capture: Capture,
        make: MakeRoom,
        send: Callable[[wire.Envelope], bool],
        clock: Clock,
    ) -> None:
        """Creates a path that is not asked for yet.

        Args:
            path_id: Its number.
            capture: Reads the user's audio.
            make: Makes this side of a room.
            send: Sends a message.
            clock: Tells when something came.
        """
        self._path_id = path_id
        self._capture = capture
        self._make = make
        self._send = send
        self._clock = clock
        self._places = RoomPlaces(sample_rate=PLAYOUT_RATE)
        self._room: Room | None = None
        self._sink: Sink | None = None
        self._early: deque[Placed] = deque(maxlen=MAX_EARLY)
        self._answered = Readiness()
        self._ready = Readiness()
        self._answer = wire.PathAnswer()
        self._entered = False
        self._gone = asyncio.Event()
        self._why = ""
        self._dropped = False
        self._joins = False  # the server waits for what was kept of before
        self._untold: deque[wire.AudioChunk] = deque()  # that

    async def offer(self) -> wire.PathOpen:
        """Makes this side of the room and returns the message that asks for it.

        Raises:
            UsageError: MISSING_EXTRA: Daily's SDK is not installed.
        """
        try:
            if self._make is DailyCall:
                await in_thread(load_daily, name="voxwire-import")
            room = self._make(
                send_rate=CAPTURE_RATE, receive_rate=PLAYOUT_RATE, user_name=USER_NAME
            )
        except ImportError as error:
            reason = "Daily rooms are not installed: pip install 'voxwire[daily]'"
            raise UsageError(ErrorCode.MISSING_EXTRA, reason) from error
        room.on_audio(self._hear)
        room.on_left(self._left)
        self._room = room
        return wire.PathOpen(
            path_id=self._path_id,
            carrier=self.carrier,
            capture=audio_format(_PCM, CAPTURE_RATE),
            playout=audio_format(_PCM, PLAYOUT_RATE),
        )

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        if not self._answer.room_url:
            return Progress.ASKED
        return Progress.CONNECTED if self._entered else Progress.ANSWERED

    def receive(self, envelope: wire.Envelope) -> None:
        """Takes answer, ready, close and anchors."""
        match envelope.WhichOneof("payload"):
            case "path_answer":
                self._answer = envelope.path_answer
                self._answered.set()
            case "path_ready":
                self._joins = envelope.path_ready.WhichOneof("capture") is not None
                self._ready.set()
            case "path_close":
                self._answered.refuse(envelope.path_close)
                self._ready.refuse(envelope.path_close)
            case "media_anchor":
                self._receive_anchor(envelope.media_anchor)
            case _:
                return

    def _receive_anchor(self, anchor: wire.MediaAnchor) -> None:
        if anchor.track_id or not anchor.estimated:
            return
        if not anchor.clock_rate:
            self._places.ends(anchor.media_ms)
            return
        for piece in self._places.begins(anchor.media_ms, self._clock.now_ms()):
            self._push(piece)

    # the bot's voice

    def _hear(self, pcm: bytes) -> None:
        if self._dropped:
            return
        samples = np.frombuffer(pcm, "<i2").astype(np.int16, copy=False)
        for piece in self._places.take(samples, self._clock.now_ms()):
            self._push(piece)

    def _push(self, piece: Placed) -> None:
        if self._sink is None:
            self._early.append(piece)
            return
        if piece.begins:
            self._sink.rewind(piece.sample_index, misplaced=piece.sample_index)
        self._sink.push(piece.sample_index, piece.samples)

    def _left(self, reason: str) -> None:
        self._why = reason
        self._gone.set()

    def arrived(self) -> None:
        """Daily's SDK does not tell of single packets."""

    # coming and going

    async def wait_ready(self) -> int:
        """Enters the room and waits for the server; returns the playout rate, Hz.

        Raises:
            VoxwireError: The server refuses, or the room cannot be entered.
        """
        assert self._room is not None, "offer comes first"
        await self._answered.wait()
        if not self._answer.room_url or not self._answer.room_token:
            raise TransportError(ErrorCode.UNSUPPORTED, "the server named no Daily room")
        await self._room.join(self._answer.room_url, self._answer.room_token)
        self._entered = True
        await self._ready.wait()
        return PLAYOUT_RATE

    async def run(self, sink: Sink) -> None:
        """Passes audio on until cancelled.

        Raises:
            TransportError: Nothing comes any more.
        """
        self._sink = sink
        for piece in self._early:
            self._push(piece)
        self._early.clear()
        try:
            with self._capture.pulled():
                for _ in range(MOST_BLOCKS):
                    self._speak()
                await self._gone.wait()
        finally:
            self._sink = None
        raise TransportError(
            ErrorCode.CONNECTION_LOST,
            self._why or "the Daily room was lost",
            retryable=True,
            action=RecoveryAction.RECONNECT,
        )

    def _speak(self) -> None:
        """Writes the user's next 20 ms; the room's own clock asks for the block after it."""
        if self._sink is None or self._room is None or self._dropped:
            return
        if self._joins:
            self._joins = False
            self._take_kept()
        while self._untold and self._send(wire.Envelope(audio=self._untold[0])):
            self._untold.popleft()
        self._room.write(self._capture.read(_BLOCK_SAMPLES) or _SILENCE, self._speak)

    def _take_kept(self) -> None:
        """What was kept of before goes on the control channel."""
        for piece in self._capture.take_kept():
            self._untold.append(
                wire.AudioChunk(path_id=self._path_id, sample_index=piece.index, data=piece.pcm)
            )
        self._untold.append(wire.AudioChunk(path_id=self._path_id, live_follows=True))

    def doubt(self) -> None:
        """The control channel was lost: Daily's SDK says itself when its own way is."""

    def drop(self) -> None:
        """Carries nothing any more and tells nobody."""
        self._dropped = True

    async def close(self) -> None:
        """Leaves the room, within its deadline."""
        self._sink = None
        room, self._room = self._room, None
        if room is not None:
            with contextlib.suppress(VoxwireError):
                await room.leave()
