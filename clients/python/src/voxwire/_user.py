"""The user's side of a session's audio: a microphone that can be muted, and what is kept of it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Generator
from typing import Final

import numpy as np

from voxwire._callbacks import RAISED
from voxwire._devices import device_error
from voxwire._path import BLOCK_MS, Resent
from voxwire._voice import PlayResult, Voice
from voxwire.audio import CAPTURE_RATE, Clip, Microphone
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
        self._voice = Voice(microphone, clock=clock, fail=self._fail)
        self._clock = clock
        self._failure: VoxwireError | None = None
        self._failed = asyncio.Event()
        self._kept = KeptCapture(sample_rate=CAPTURE_RATE)
        self._muted = False
        self._due_ms = 0.0
        self._held_from_ms: float | None = None
        self._held_ms = 0.0  # how long what is played has waited, all in all
        self._held_before_ms = 0.0  # the same when the last path ended
        self._pulling = 0  # connections that read by their own clock
        self._unsent_from = 0  # no path has carried what was captured from here on
        self._send: Callable[[Piece], bool] | None = None

    @property
    def live(self) -> bool:
        """True when the microphone does not wait: what is not read of it is lost."""
        return self._voice.live

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
        if opened:
            self._voice.forget()
        if muted:
            self._kept.mute()
            self._unsent_from = self._kept.next_index

    def use(self, microphone: Microphone | None) -> None:
        """Hears another microphone from the next block on; None = nobody."""
        self._voice.use(microphone)

    async def play(self, clip: Clip) -> PlayResult:
        """Plays a clip in place of the microphone, and waits until it was sent. Cancel-safe.

        It waits while the user is muted, no path carries audio, or what was read of it is not sent.

        Raises:
            VoxwireError: Why the session ended.
            Exception: Why the clip cannot be read.
        """
        lost_ms = self.lost_ms
        sent_ms = await self._voice.play(clip)
        return PlayResult(sent_ms, self.lost_ms - lost_ms)

    def close(self, failure: VoxwireError | None) -> None:
        """The session is over: whoever plays something is told."""
        self._voice.close(failure)

    async def run(self) -> None:
        """Runs the microphone and reads it in real time, until cancelled.

        Raises:
            MediaError: It failed, gave what is no audio, or is too slow.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._voice.run())
            group.create_task(self._capture())
            await self._failed.wait()
            assert self._failure is not None
            raise self._failure

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or device_error("the microphone", error)
        self._failed.set()

    async def _capture(self) -> None:
        """Reads a block whenever it is due, unless a connection does by its own clock."""
        clock = self._clock
        await self._voice.begun.wait()
        self._due_ms = clock.now_ms()
        while True:
            await asyncio.sleep(max(0.0, self._due_ms - clock.now_ms()) / 1000)
            held = self._hold()
            if self._pulling:
                self._due_ms = max(self._due_ms, clock.now_ms() + BLOCK_MS)
                continue
            self._due_ms = max(self._due_ms, clock.now_ms() - MAX_BURST_MS) + BLOCK_MS
            if held:
                self._due_ms = max(self._due_ms, clock.now_ms())
            else:
                self._read(_BLOCK_SAMPLES)
            self._send_kept()
            if not self._kept.waiting_samples:
                self._voice.note_sent()

    def _hold(self) -> bool:
        """True while what is played has to wait: it would pile up here and become too old."""
        clogged = self._send is None or self._kept.waiting_samples > 0
        held = self._voice.playing and not self._muted and not self._pulling and clogged
        if held and self._held_from_ms is None:
            self._held_from_ms = self._clock.now_ms()
        elif not held and self._held_from_ms is not None:
            self._held_ms += self._clock.now_ms() - self._held_from_ms
            self._held_from_ms = None
        return held

    @property
    def _held_so_far_ms(self) -> float:
        if self._held_from_ms is None:
            return self._held_ms
        return self._held_ms + self._clock.now_ms() - self._held_from_ms

    def _now_ms(self) -> float:
        """The time by which what is kept becomes old: it stands still while nothing is captured."""
        return self._clock.now_ms() - self._held_so_far_ms

    def _read(self, num_samples: int) -> bytes | None:
        if not self._voice.begun.is_set() or self._failure is not None:
            return None
        try:
            samples = self._voice.read(num_samples, muted=self._muted)
        except RAISED as error:
            self._fail(error)
            return None
        if self._muted:
            self._kept.mute(num_samples)
            self._unsent_from = self._kept.next_index
            return None
        if len(samples) < num_samples:
            samples = np.concatenate((samples, np.zeros(num_samples - len(samples), np.int16)))
        pcm = samples.astype("<i2", copy=False).tobytes()
        self._kept.capture(pcm, self._now_ms())
        if self._tap is not None:
            self._tap(pcm, self._clock.now_ms())
        return pcm

    def read(self, num_samples: int) -> bytes | None:
        """The user's next samples, silence where there are none; None = not heard at all."""
        pcm = self._read(num_samples)
        self._due_ms = self._clock.now_ms() + num_samples * 1000 / CAPTURE_RATE
        self._voice.note_sent()
        return pcm

    @contextlib.contextmanager
    def pulled(self) -> Generator[None]:
        """A connection reads the microphone by its own clock."""
        self._pulling += 1
        try:
            yield
        finally:
            self._pulling -= 1
            self._leave_path()

    def _leave_path(self) -> None:
        self._unsent_from = self._kept.next_index
        self._held_before_ms = self._held_so_far_ms

    def resume(self, ready: wire.PathReady) -> Resent:
        """A path takes audio: what of the past is sent first, and what is gone."""
        self._send = None  # the path before takes nothing any more, and must not park what waits
        lost, now_ms = 0, self._now_ms()
        match ready.WhichOneof("capture"):
            case "capture_index":
                lost = self._kept.resume(ready.capture_index, now_ms)
            case "capture_age_ms":
                held_ms = self._held_so_far_ms - self._held_before_ms
                lost = self._kept.resume_after(max(0.0, ready.capture_age_ms - held_ms), now_ms)
            case None:
                self._kept.follow()
        waiting = self._kept.waiting_samples
        return Resent(waiting * 1000 // CAPTURE_RATE, lost * 1000 // CAPTURE_RATE)

    def take_kept(self) -> list[Piece]:
        """Takes what is to be sent of before, in pieces of at most 200 ms; nothing waits then."""
        pieces: list[Piece] = []
        now = self._now_ms()
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
                self._leave_path()

    def _send_kept(self) -> None:
        if self._send is None:
            return
        now = self._now_ms()
        while (piece := self._kept.peek(now)) is not None and self._send(piece):
            self._kept.sent(piece)
