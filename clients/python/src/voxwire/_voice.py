"""What is heard of the user: a microphone, or what the program plays in its place."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

import numpy as np

from voxwire._callbacks import RAISED, is_cancelled
from voxwire._devices import Pace, block_of, device_error
from voxwire._microphones import CAPTURE_RATE
from voxwire.audio import Clip, Microphone
from voxwire.playout import Samples
from voxwire_protocol.clocks import Clock
from voxwire_protocol.errors import ErrorCode, UsageError, VoxwireError

__all__ = ["PlayResult", "Voice"]

_NOTHING: Final = np.zeros(0, np.int16)


class PlayResult(NamedTuple):
    """What became of audio that a program played as the user's.

    Attributes:
        sent_ms: How much of it was sent, milliseconds.
        lost_ms: How much of the user's audio the bot will never get, because the connection was
            away for too long meanwhile, milliseconds.
    """

    sent_ms: int
    lost_ms: int = 0


@dataclass(eq=False)
class _Playing:
    """A clip that is played, or waits for those before it."""

    clip: Clip
    done: "asyncio.Future[None]"


class Voice:
    """The source of one session's capture. What is played goes one after the other.

    While something is played, a live microphone is read and not heard; another one waits.

    Attributes:
        begun: Set once there is something to read: from then on silence is sent, too.
    """

    def __init__(
        self,
        microphone: Microphone | None,
        *,
        clock: Clock,
        fail: Callable[[BaseException], None],
    ) -> None:
        """Takes the microphone; None = there is none yet.

        Args:
            microphone: What is read.
            clock: Tells how long reading takes.
            fail: Is told why the microphone does not work.
        """
        self.begun = asyncio.Event()
        self._microphone = microphone
        self._fail = fail
        self._clock = clock
        self._pace = _pace()
        self._changed = asyncio.Event()
        self._playing: deque[_Playing] = deque()
        self._closed: VoxwireError | None = None
        if microphone is not None:
            self.begun.set()

    @property
    def live(self) -> bool:
        """True when the microphone does not wait: what is not read of it is lost."""
        return bool(getattr(self._microphone, "live", False))

    @property
    def playing(self) -> bool:
        """True while the program plays something."""
        return bool(self._playing)

    def use(self, microphone: Microphone | None) -> None:
        """Hears another microphone from the next block on."""
        if microphone is self._microphone:
            return
        self._microphone = microphone
        self._pace = _pace()
        self._changed.set()
        if microphone is not None:
            self.begun.set()

    def forget(self) -> None:
        """Drops what a live microphone has recorded and nobody has read."""
        forget = cast("Callable[[], None] | None", getattr(self._microphone, "forget", None))
        if self.live and forget is not None:
            forget()

    def read(self, num_samples: int, *, muted: bool) -> Samples:
        """The next samples, at most so many; while muted what is played waits.

        Raises:
            Exception: The microphone failed.
        """
        if not self._playing or self.live:
            heard = self._read_microphone(num_samples)
            if not self._playing:
                return heard
        if muted:
            return _NOTHING
        return self._playing[0].clip.read(num_samples)

    def _read_microphone(self, num_samples: int) -> Samples:
        if self._microphone is None:
            return _NOTHING
        with self._pace.call(self._clock):
            return block_of(self._microphone.read(num_samples), num_samples)

    def note_sent(self) -> None:
        """Everything that was read is on its way: tells who played what is over."""
        if self._playing:
            first = self._playing[0]
            if first.clip.finished.is_set() and not first.done.done():
                first.done.set_result(None)

    async def run(self) -> None:
        """Runs the microphone, whichever it is, until cancelled."""
        while True:
            self._changed.clear()
            running = asyncio.create_task(self._run_microphone(), name="voxwire-source")
            try:
                await self._changed.wait()
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    async def _run_microphone(self) -> None:
        microphone = self._microphone
        if microphone is None:
            return
        try:
            await microphone.run()
        except RAISED as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            if microphone is self._microphone:  # else it is not heard any more
                self._fail(error)

    async def play(self, clip: Clip) -> int:
        """Plays a clip behind those that are being played. Cancelled, it stops with the block.

        Returns:
            How much was sent, milliseconds.

        Raises:
            VoxwireError: Why the session ended.
            Exception: Why the clip cannot be read.
        """
        if self._closed is not None:
            raise self._closed
        playing = _Playing(clip, asyncio.get_running_loop().create_future())
        feeding = asyncio.create_task(_feed(playing), name="voxwire-play")
        self._playing.append(playing)
        self.begun.set()
        try:
            await playing.done
        finally:
            self._playing.remove(playing)
            if not self._playing:
                self.forget()
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        return clip.played_samples * 1000 // CAPTURE_RATE

    def close(self, failure: VoxwireError | None) -> None:
        """The session is over: nothing is played any more."""
        ended = UsageError(ErrorCode.INVALID_STATE, "the session has ended")
        self._closed = failure or ended
        for playing in self._playing:
            if not playing.done.done():
                playing.done.set_exception(self._closed)


async def _feed(playing: _Playing) -> None:
    """Reads the source of a clip; what is wrong with it is told to who plays it."""
    try:
        await playing.clip.run()
    except RAISED as error:
        if isinstance(error, asyncio.CancelledError):
            if is_cancelled():
                raise
            error = device_error("what is played", error)
        if not playing.done.done():
            playing.done.set_exception(error)


def _pace() -> Pace:
    return Pace(
        "the microphone's read()",
        "read the device in a thread and pass an async iterator of what it gave",
    )
