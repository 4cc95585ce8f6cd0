"""Other people's microphones and speakers: their mistakes become errors that say what to do."""

import logging
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from voxwire._callbacks import RAISED
from voxwire._samples import to_int16, unsupported
from voxwire.playout import Block, Samples
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_protocol.errors import ErrorCode, MediaError, VoxwireError

try:
    from resource import RUSAGE_THREAD, getrusage
except ImportError:  # not Linux

    def preemptions() -> int:
        """How often the system gave this thread's processor to another; not known here."""
        return 0
else:

    def preemptions() -> int:
        """How often the system gave this thread's processor to another."""
        return getrusage(RUSAGE_THREAD).ru_nivcsw


if TYPE_CHECKING:
    from voxwire.audio import Speaker

__all__ = ["GuardedSpeaker", "Pace", "block_of", "device_error"]

_log = logging.getLogger("voxwire")

BLOCK_MS: Final = 20
MAX_CALL_MS: Final = 10
"""A device may keep the event loop for half of every block: the other half is everybody's."""

WINDOW: Final = 50
"""Blocks that are judged together (1 s)."""

_MAX_COUNTED_MS: Final = 100.0
"""More of one call is a stall of the whole program, and says nothing about the device."""


class Pace:
    """Tells a device that cannot keep up from one that was slow for once. Pure."""

    def __init__(self, call: str, instead: str) -> None:
        """Creates it without a measurement.

        Args:
            call: What is called for every block.
            instead: What the reason advises.
        """
        self._call = call
        self._instead = instead
        self._took_ms: deque[float] = deque(maxlen=WINDOW)

    @contextmanager
    def call(self, clock: Clock) -> Generator[None]:
        """Times a call. One in which somebody else got the processor says nothing of the device.

        Raises:
            MediaError: As `note` does.
        """
        before, began_ms = preemptions(), clock.now_ms()
        yield
        took_ms = clock.now_ms() - began_ms
        if preemptions() == before:
            self.note(took_ms)

    def note(self, took_ms: float) -> None:
        """Takes how long a call held the event loop, milliseconds.

        Raises:
            MediaError: DEVICE: it is too slow, and has been for 50 blocks.
        """
        self._took_ms.append(min(took_ms, _MAX_COUNTED_MS))
        mean_ms = sum(self._took_ms) / WINDOW
        if len(self._took_ms) == WINDOW and mean_ms >= MAX_CALL_MS:
            raise MediaError(
                ErrorCode.DEVICE,
                f"{self._call} is too slow: it took {mean_ms:.0f} ms for each block of {BLOCK_MS}"
                f" ms, and the event loop waits for it (at most {MAX_CALL_MS} ms): {self._instead}",
            )


def device_error(what: str, error: BaseException) -> VoxwireError:
    """The error for a device that raised; one of ours stays what it is."""
    if isinstance(error, VoxwireError):
        return error
    made = MediaError(ErrorCode.DEVICE, f"{what} failed: {error!r}")
    made.__cause__ = error
    return made


def block_of(got: object, num_samples: int) -> Samples:
    """What a microphone's `read` returned, as int16 mono; None = nothing.

    Raises:
        MediaError: UNSUPPORTED_FORMAT: it is no audio, or more than was asked for.
    """
    if got is None:
        return np.zeros(0, np.int16)
    if isinstance(got, bytes | bytearray | memoryview):
        data = bytes(cast("bytes", got))
        if len(data) % 2:
            raise unsupported("the microphone's read() returned half a sample: int16 is 2 bytes")
        got = np.frombuffer(data, "<i2")
    if not isinstance(got, np.ndarray):
        kind = type(got).__name__
        raise unsupported(f"the microphone's read() returned a {kind}: return an int16 array")
    samples = to_int16(cast("NDArray[Any]", got))
    if len(samples) > num_samples:
        raise unsupported(
            f"the microphone's read({num_samples}) returned {len(samples)} samples: return at most"
            " as many as are asked for, at 16 kHz"
        )
    return samples


def _speaker_pace() -> Pace:
    return Pace(
        "the speaker's write()",
        "put blocks on a queue that a thread plays from, or pass a path",
    )


class GuardedSpeaker:
    """A speaker whose exceptions are MediaError, and whose pace is watched."""

    def __init__(
        self,
        speaker: "Speaker",
        *,
        clock: Clock = SYSTEM_CLOCK,
        played: Callable[[Block], object] = bool,
    ) -> None:
        """Wraps a speaker; `played` is told of each block that it has taken."""
        self._played = played
        self._speaker = speaker
        self._clock = clock
        self._pace = _speaker_pace()

    def replace(self, speaker: "Speaker", sample_rate: int) -> "Speaker":
        """Opens another speaker, which gets the next block; the one before is the caller's.

        Raises:
            MediaError: It cannot be opened; the one before is written on.
        """
        made = GuardedSpeaker(speaker, clock=self._clock)
        made.open(sample_rate)
        before, self._speaker, self._pace = self._speaker, speaker, _speaker_pace()
        return before

    def open(self, sample_rate: int) -> None:
        """Prepares for int16 mono blocks at that rate, Hz.

        Raises:
            MediaError: It cannot.
        """
        try:
            self._speaker.open(sample_rate)
        except RAISED as error:
            made = device_error("the speaker", error)
            raise made from made.__cause__

    def write(self, block: Block, at: float) -> None:
        """Plays the next 20 ms.

        Raises:
            MediaError: It failed, or it is too slow.
        """
        with self._pace.call(self._clock):
            try:
                self._speaker.write(block, at)
            except RAISED as error:
                made = device_error("the speaker", error)
                raise made from made.__cause__
        self._played(block)

    def close(self) -> None:
        """Ends; a failure is logged, since nothing is to be played any more."""
        try:
            self._speaker.close()
        except RAISED:
            _log.warning("the speaker could not be closed", exc_info=True)
