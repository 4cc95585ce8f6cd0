"""WAV files: read any rate and width, write a timeline with holes."""

import os
import struct
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import soxr
from numpy.typing import NDArray

from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, MediaError

__all__ = ["TimelineWriter", "read_wav", "resample", "to_int16"]

_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE
_HEADER_BYTES: Final = 44
_MAX_SAMPLES: Final = (2**32 - 1 - _HEADER_BYTES) // 2


def _unsupported(path: Path, what: str) -> MediaError:
    return MediaError(ErrorCode.UNSUPPORTED_FORMAT, f"{path.name}: {what}")


def _chunks(data: bytes, path: Path) -> dict[bytes, bytes]:
    """The chunks of a RIFF file; a size beyond the end (a streamed file) means "to the end"."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _unsupported(path, "not a WAV file (RIFF/WAVE)")
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        chunks.setdefault(name, data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return chunks


def _scale(bits: int) -> np.float32:
    return np.float32(2.0**bits)


def _decode(body: bytes, tag: int, width: int, path: Path) -> NDArray[np.float32]:
    """Samples as float32 in -1..1, still interleaved."""
    body = body[: len(body) - len(body) % width]
    match tag, width:
        case (1, 1):
            return (np.frombuffer(body, np.uint8).astype(np.float32) - _scale(7)) / _scale(7)
        case (1, 2):
            return np.frombuffer(body, "<i2").astype(np.float32) / _scale(15)
        case (1, 3):
            raw = np.frombuffer(body, np.uint8).reshape(-1, 3).astype(np.int32)
            whole = raw[:, 0] << 8 | raw[:, 1] << 16 | raw[:, 2] << 24
            return whole.astype(np.float32) / _scale(31)
        case (1, 4):
            return np.frombuffer(body, "<i4").astype(np.float32) / _scale(31)
        case (3, 4):
            return np.frombuffer(body, "<f4").astype(np.float32)
        case (3, 8):
            return np.frombuffer(body, "<f8").astype(np.float32)
        case _:
            raise _unsupported(path, f"format {tag} with {width * 8} bits a sample is not read")


def to_int16(samples: NDArray[np.generic]) -> Samples:
    """Mono int16 of int16 (kept) or float samples in -1..1 (clipped)."""
    if samples.dtype == np.int16:
        return samples.astype(np.int16, copy=False)
    scaled = np.asarray(samples, np.float32) * 32767.0
    return np.clip(np.rint(scaled), -32768, 32767).astype(np.int16)


def resample(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """The samples at another rate, Hz; unchanged when it is the same."""
    if from_rate == to_rate or not len(samples):
        return samples
    return np.asarray(soxr.resample(samples, from_rate, to_rate), np.int16)


def read_wav(path: str | os.PathLike[str], *, sample_rate: int) -> Samples:
    """Reads a WAV file as mono int16.

    Args:
        path: PCM of 8 to 32 bits or IEEE float; any rate and number of channels (mixed down).
        sample_rate: Rate of the result, Hz.

    Raises:
        MediaError: DEVICE when it cannot be opened, UNSUPPORTED_FORMAT when it cannot be read.
    """
    file = Path(path)
    try:
        chunks = _chunks(file.read_bytes(), file)
    except OSError as error:
        reason = f"cannot read {file}: {error.strerror}"
        raise MediaError(ErrorCode.DEVICE, reason) from error
    head = chunks.get(b"fmt ", b"")
    if len(head) < 16 or b"data" not in chunks:
        raise _unsupported(file, "no format or no data in it")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", head)
    if tag == _EXTENSIBLE and len(head) >= 26:
        tag = struct.unpack_from("<H", head, 24)[0]
    if not channels or not 1000 <= rate <= 768_000:
        raise _unsupported(file, "the header makes no sense")
    samples = _decode(chunks[b"data"], tag, bits // 8, file)
    samples = samples[: len(samples) - len(samples) % channels].reshape(-1, channels).mean(axis=1)
    return resample(to_int16(samples), rate, sample_rate)


class TimelineWriter:
    """A 16-bit mono WAV file that is written by position; what is not written is silence.

    Positions only go up. Holes are holes in the file where the file system has such. The header
    is completed by `close`.
    """

    def __init__(self, path: str | os.PathLike[str], *, sample_rate: int) -> None:
        """Creates (or replaces) the file.

        Raises:
            MediaError: It cannot be created.
        """
        self._rate = sample_rate
        self._end = 0
        try:
            self._file: BinaryIO = open(path, "wb")  # noqa: SIM115 - closed by close()
        except OSError as error:
            reason = f"cannot write {path}: {error.strerror}"
            raise MediaError(ErrorCode.DEVICE, reason) from error
        self._write_header()

    def write(self, position: int, samples: Samples) -> None:
        """Writes samples at a position (in samples); what lies beyond 4 GB is left out."""
        if position + len(samples) > _MAX_SAMPLES:
            return
        self._file.seek(_HEADER_BYTES + 2 * position)
        self._file.write(samples.astype("<i2", copy=False).tobytes())
        self._end = max(self._end, position + len(samples))

    def close(self) -> None:
        """Completes the header and closes the file; may be called again."""
        if not self._file.closed:
            self._write_header()
            self._file.close()

    def _write_header(self) -> None:
        size = 2 * self._end
        self._file.seek(0)
        self._file.write(
            struct.pack(
                "<4sI4s4sIHHIIHH4sI",
                *(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, _PCM, 1),
                *(self._rate, 2 * self._rate, 2, 16, b"data", size),
            )
        )
