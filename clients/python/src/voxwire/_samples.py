"""Audio of any usual shape as int16 mono. Pure.

What cannot be told apart from noise is refused: a guess that is wrong is heard, and not seen.
"""

import logging
from collections.abc import Iterator
from typing import Any, Final, cast

import numpy as np
import soxr
from numpy.typing import NDArray

from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, MediaError

__all__ = [
    "MAX_CHANNELS",
    "MAX_RATE",
    "MIN_RATE",
    "Rate",
    "Stream",
    "check_rate",
    "mix",
    "pieces",
    "to_int16",
    "unsupported",
]

_log = logging.getLogger("voxwire")

MIN_RATE: Final = 1000
MAX_RATE: Final = 768_000
"""Sample rates that are converted, Hz."""

MAX_CHANNELS: Final = 8
"""More than this many columns are no channels."""

MAX_PEAK: Final = 2.0
"""Floating-point samples above 1 are clipped, as after a filter; above this they are no audio in
-1..1, but (as a rule) integers that were made floats."""

CANCELLED: Final = 0.1
"""Channels whose mean is quieter than this share of the loudest are out of phase: a microphone
that is wired so would not be heard. One channel of eight has a larger share than that."""

_PIECE_S: Final = 1

_HOW: Final = "pass int16, int32 or uint8 of full scale, or float in -1..1"


def unsupported(reason: str) -> MediaError:
    """The error for audio that cannot be read."""
    return MediaError(ErrorCode.UNSUPPORTED_FORMAT, reason)


def check_rate(sample_rate: object) -> int:
    """The rate, Hz.

    Raises:
        MediaError: UNSUPPORTED_FORMAT when nothing can be converted from it.
    """
    whole = isinstance(sample_rate, int | np.integer) and not isinstance(sample_rate, bool)
    if not whole or not MIN_RATE <= int(cast("int", sample_rate)) <= MAX_RATE:
        raise unsupported(f"a sample rate is a whole number of {MIN_RATE} to {MAX_RATE} Hz")
    return int(cast("int", sample_rate))


def to_int16(samples: NDArray[Any]) -> Samples:
    """Mono int16 of an array.

    Args:
        samples: int16, int32 or uint8 (128 is silence) of full scale, or float in -1..1 (clipped
            up to 2); one dimension, or frames × channels, which are mixed down.

    Raises:
        MediaError: UNSUPPORTED_FORMAT for another type or shape, for floats that are not numbers
            or above 2.
    """
    _check_shape(samples)
    one = samples.ndim == 1
    return _scaled(samples, samples.dtype) if one else mix(_upright(samples))


def _check_shape(samples: NDArray[Any]) -> None:
    if samples.ndim == 1 or (samples.ndim == 2 and min(samples.shape) <= MAX_CHANNELS):
        return
    shape = "×".join(str(size) for size in samples.shape) or "no dimension"
    raise unsupported(
        f"an array of {shape} is no audio: pass one dimension, or frames × channels (at most"
        f" {MAX_CHANNELS})"
    )


def mix(frames: NDArray[Any]) -> Samples:
    """Mono int16 of frames × channels: their mean, or the loudest where they cancel out.

    See `to_int16`.
    """
    if frames.shape[1] == 1:
        return _scaled(frames[:, 0], frames.dtype)
    whole = _scaled(frames.reshape(-1), frames.dtype).reshape(frames.shape).astype(np.float32)
    if not whole.size:
        return np.zeros(0, np.int16)
    mean = whole.mean(axis=1)
    levels = np.abs(whole).mean(axis=0)
    if np.abs(mean).mean() < CANCELLED * levels.max():
        mean = whole[:, levels.argmax()]
    return np.rint(mean).astype(np.int16)


def _upright(samples: NDArray[Any]) -> NDArray[Any]:
    """Channels × frames turned over, where that is what it must be."""
    rows, columns = samples.shape
    return samples.T if columns > MAX_CHANNELS >= rows else samples


def _scaled(mono: NDArray[Any], dtype: np.dtype[Any]) -> Samples:
    """Samples of one channel as int16; `dtype` says what their scale is."""
    match dtype.kind, dtype.itemsize:
        case ("f", _):
            return _of_float(mono)
        case ("i", 2):
            scaled = mono
        case ("i", 4):
            scaled = mono / 65536.0
        case ("u", 1):
            scaled = (mono.astype(np.float32) - 128) * 256
        case _:
            raise unsupported(f"an array of {dtype} is no audio: {_HOW}")
    if scaled.dtype.kind != "f":
        return scaled.astype(np.int16, copy=False)
    return np.clip(np.rint(scaled), -32768, 32767).astype(np.int16)


def _of_float(samples: NDArray[Any]) -> Samples:
    if not len(samples):
        return np.zeros(0, np.int16)
    least, most = float(samples.min()), float(samples.max())  # both are NaN when one sample is
    if not np.isfinite(least) or not np.isfinite(most):
        raise unsupported("the audio has samples that are not finite numbers")
    peak = max(-least, most)
    if peak > MAX_PEAK:
        raise unsupported(f"the audio's floating-point samples reach {peak:g}: {_HOW}")
    scaled = np.rint(np.asarray(samples, np.float32) * np.float32(32767))
    return np.clip(scaled, -32768, 32767).astype(np.int16)


class Rate:
    """Brings a stream to another rate, piece by piece, nothing of it lost."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        """Prepares; the rates, Hz, have been checked."""
        same = from_rate == to_rate
        self._stream = None if same else soxr.ResampleStream(from_rate, to_rate, 1, dtype="int16")

    def feed(self, samples: Samples, *, last: bool = False) -> Samples:
        """The next samples; `last` = nothing follows, and what was held back comes too."""
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(samples, last=last), np.int16)


class Stream:
    """Turns what an iterator yields into int16 mono at one rate, piece by piece."""

    def __init__(self, from_rate: int, to_rate: int, *, num_channels: int = 1) -> None:
        """Prepares; rates, Hz, and number of channels have been checked."""
        self._rate = Rate(from_rate, to_rate)
        self._num_channels = num_channels
        self._rest = b""

    def feed(self, item: object) -> Samples:
        """The audio of an item; a sample that it has half of waits for the other half.

        Args:
            item: bytes, bytearray or memoryview (int16 little-endian, interleaved), or an array
                as `to_int16` takes it.

        Raises:
            MediaError: UNSUPPORTED_FORMAT; it is none of these.
        """
        if isinstance(item, bytes | bytearray | memoryview):
            data = self._rest + bytes(cast("bytes", item))
            end = len(data) - len(data) % (2 * self._num_channels)
            self._rest = data[end:]
            frames = np.frombuffer(data[:end], "<i2").reshape(-1, self._num_channels)
            return self._rate.feed(mix(frames))
        if not isinstance(item, np.ndarray):
            kind = type(item).__name__
            raise unsupported(f"a {kind} is no piece of audio: yield bytes or arrays")
        if self._rest:
            raise unsupported("an array came in the middle of a sample: yield one kind of piece")
        return self._rate.feed(to_int16(cast("NDArray[Any]", item)))

    def finish(self) -> Samples:
        """What was held back; half a sample at the very end is left out, and the log says so."""
        if self._rest:
            _log.warning("the audio ended in the middle of a sample, which was left out")
        return self._rate.feed(np.zeros(0, np.int16), last=True)


def pieces(samples: NDArray[Any], from_rate: int, to_rate: int) -> Iterator[Samples]:
    """Converts an array as it is asked for, about 1 s at a time.

    Raises:
        MediaError: See `to_int16`; at once for what the whole array shows.
    """
    check_rate(from_rate)
    given = cast("object", samples)
    if not isinstance(given, np.ndarray):
        raise unsupported(f"a {type(given).__name__} is no array of audio: {_HOW}")
    _check_shape(samples)
    if samples.ndim == 2 and samples.size:
        samples = _upright(samples)
    to_int16(samples[:1])  # its type
    if samples.size and (samples.dtype.kind, samples.dtype.itemsize) != ("i", 2):
        ends = np.array([samples.min(), samples.max()], samples.dtype)
        if samples.dtype.kind == "f":
            to_int16(ends)
        elif samples.dtype.kind == "i" and 0 < np.abs(ends.astype(np.int64)).max() < 1 << 15:
            raise unsupported("the int32 array holds int16 samples: pass them as int16")
    return _converted(samples, from_rate, to_rate)


def _converted(samples: NDArray[Any], from_rate: int, to_rate: int) -> Iterator[Samples]:
    rate, step = Rate(from_rate, to_rate), _PIECE_S * from_rate
    for start in range(0, len(samples), step):
        piece = to_int16(samples[start : start + step])
        yield rate.feed(piece, last=start + step >= len(samples))
