"""The user's side of a session's audio: a microphone that can be muted, and what is kept of it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Generator
from typing import Final

import numpy as np

from voxwire._devices import Pace, block_of, device_error
from voxwire._path import BLOCK_MS, Resent
from voxwire._stopped import is_cancelled
from voxwire.audio import CAPTURE_RATE, Microphone
from voxwire_protocol import wire
from voxwire_protocol.capture import KEPT_MS, KeptCapture, Piece
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_protocol.errors import VoxwireError

__all__ = ["UserAudio"]

_log = logging.getLogger("voxwire")

MAX_BURST_MS: Final = 200
"""After a stall at most this much of the user's audio is read at once; the rest comes later."""

SYLLABLE_MS: Final = 100
"""Less than this is no speech that could be missed."""

_MAX_PIECE_BYTES: Final = CAPTURE_RATE // 5 * 2
_BLOCK_SAMPLES: Final = CAPTURE_RATE * BLOCK_MS // 1000


class UserAudio:
    """Reads the user in real time, whichever path is in use, and keeps the last 3 s."""

    def __init__(
        self,
        microphone: Microphone | None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        tap: Callable[[bytes, float], object] | None = None,
    ) -> None:
        """Takes the microphone; None = the user is not heard.

        Args:
            microphone: What is read.
            clock: Tells when a block is due, and how long reading it takes.
            tap: Is given what was read, unless it is muted, and the time, milliseconds.
        """
        self._tap = tap
        self._microphone = microphone
        self._clock = clock
        self._pace = Pace(
            "the microphone's read()",
            "read the device in a thread and pass an async iterator of what it gave",
        )
        self._failure: VoxwireError | None = None
        self._failed = asyncio.Event()
        self._kept = KeptCapture(sample_rate=CAPTURE_RATE)
        self._muted = False
        self._due_ms = 0.0
        self._pulling = 0  # connections that read by their own clock
        self._unsent_from = 0  # no path has carried what was captured from here on
        self._send: Callable[[Piece], bool] | None = None

    @property
    def live(self) -> bool:
        """True when the microphone does not wait: what is not read of it is lost."""
        return bool(getattr(self._microphone, "live", False))

    @property
    def lost_ms(self) -> int:
        """The user's audio that became too old to be sent, milliseconds of the whole session."""
        return self._kept.lost_samples * 1000 // CAPTURE_RATE

    @property
    def muted(self) -> bool:
        """True while the user is not heard; nothing that was said until its end is sent."""
        return self._muted

    @property
    def unsent_ms(self) -> int:
        """What was captured while no path carried audio and is still kept, milliseconds."""
        if self._send is not None or self._pulling:
            return 0
        unsent = self._kept.next_index - self._unsent_from
        return min(unsent * 1000 // CAPTURE_RATE, KEPT_MS)

    def say_dropped(self, reason: str) -> int:
        """What is kept will not be sent; says so in the log if there is a live microphone.

        Returns:
            How much it was, milliseconds; 0 for a microphone that waits, and for less than what
            anybody could have said.
        """
        dropped_ms = self.unsent_ms if self.live else 0
        if dropped_ms < SYLLABLE_MS:
            return 0
        self._unsent_from = self._kept.next_index
        _log.warning("%d ms of the user's audio were dropped: %s", dropped_ms, reason)
        return dropped_ms

    @muted.setter
    def muted(self, muted: bool) -> None:
        opened, self._muted = self._muted and not muted, muted
        forget: Callable[[], None] | None = getattr(self._microphone, "forget", None)
        if opened and self.live and forget is not None:
            forget()
        if muted:
            self._kept.mute()
            self._unsent_from = self._kept.next_index

    async def run(self) -> None:
        """Runs the microphone and reads it in real time, until cancelled.

        Raises:
            MediaError: It failed, gave what is no audio, or is too slow.
        """
        if self._microphone is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_microphone(self._microphone))
            group.create_task(self._capture())
            await self._failed.wait()
            assert self._failure is not None
            raise self._failure

    async def _run_microphone(self, microphone: Microphone) -> None:
        try:
            await microphone.run()
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or device_error("the microphone", error)
        self._failed.set()

    async def _capture(self) -> None:
        """Reads a block whenever it is due, unless a connection does by its own clock."""
        clock = self._clock
        self._due_ms = clock.now_ms()
        while True:
            await asyncio.sleep(max(0.0, self._due_ms - clock.now_ms()) / 1000)
            if self._pulling:
                self._due_ms = max(self._due_ms, clock.now_ms() + BLOCK_MS)
                continue
            self._due_ms = max(self._due_ms, clock.now_ms() - MAX_BURST_MS) + BLOCK_MS
            self._read(_BLOCK_SAMPLES)
            self._send_kept()

    def _read(self, num_samples: int) -> bytes | None:
        if self._microphone is None or self._failure is not None:
            return None
        try:
            with self._pace.call(self._clock):
                samples = block_of(self._microphone.read(num_samples), num_samples)
        except (Exception, asyncio.CancelledError) as error:
            self._fail(error)
            return None
        if self._muted:
            self._kept.mute(num_samples)
            self._unsent_from = self._kept.next_index
            return None
        if len(samples) < num_samples:
            samples = np.concatenate((samples, np.zeros(num_samples - len(samples), np.int16)))
        pcm = samples.astype("<i2", copy=False).tobytes()
        self._kept.capture(pcm, self._clock.now_ms())
        if self._tap is not None:
            self._tap(pcm, self._clock.now_ms())
        return pcm

    def read(self, num_samples: int) -> bytes | None:
        """The user's next samples, silence where there are none; None = not heard at all."""
        pcm = self._read(num_samples)
        self._due_ms = self._clock.now_ms() + num_samples * 1000 / CAPTURE_RATE
        return pcm

    @contextlib.contextmanager
    def pulled(self) -> Generator[None]:
        """A connection reads the microphone by its own clock."""
        self._pulling += 1
        try:
            yield
        finally:
            self._pulling -= 1
            self._unsent_from = self._kept.next_index

    def resume(self, ready: wire.PathReady) -> Resent:
        """A path takes audio: what of the past is sent first, and what is gone."""
        self._send = None  # the path before takes nothing any more, and must not park what waits
        lost = 0
        match ready.WhichOneof("capture"):
            case "capture_index":
                lost = self._kept.resume(ready.capture_index, self._clock.now_ms())
            case "capture_age_ms":
                lost = self._kept.resume_after(ready.capture_age_ms, self._clock.now_ms())
            case None:
                self._kept.follow()
        waiting = self._kept.waiting_samples
        return Resent(waiting * 1000 // CAPTURE_RATE, lost * 1000 // CAPTURE_RATE)

    def take_kept(self) -> list[Piece]:
        """Takes what is to be sent of before, in pieces of at most 200 ms; nothing waits then."""
        pieces: list[Piece] = []
        now = self._clock.now_ms()
        while (piece := self._kept.peek(now)) is not None:
            self._kept.sent(piece)
            last = pieces[-1] if pieces else None
            if last is not None and len(last.pcm) + len(piece.pcm) <= _MAX_PIECE_BYTES:
                pieces[-1] = Piece(last.index, last.pcm + piece.pcm)
            else:
                pieces.append(piece)
        self._kept.park()
        return pieces

    @contextlib.contextmanager
    def carried(self, send: Callable[[Piece], bool]) -> Generator[None]:
        """A path sends numbered audio; `send` is False while the path takes nothing."""
        self._send = send
        self._send_kept()
        try:
            yield
        finally:
            if self._send == send:  # no other path has taken over
                self._send = None
                self._kept.park()
                self._unsent_from = self._kept.next_index

    def _send_kept(self) -> None:
        if self._send is None:
            return
        now = self._clock.now_ms()
        while (piece := self._kept.peek(now)) is not None and self._send(piece):
            self._kept.sent(piece)
