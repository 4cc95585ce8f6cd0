"""Writes a WAV file by position; it can be read at any moment."""

import os
import struct
from typing import BinaryIO, Final

from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, MediaError

__all__ = ["TimelineWriter"]

_PCM: Final = 1
_HEADER_BYTES: Final = 44
_MAX_SAMPLES: Final = (2**32 - 1 - _HEADER_BYTES) // 2


class TimelineWriter:
    """A 16-bit mono WAV file that is written by position; what is not written is silence.

    Positions only go up. Holes are holes in the file where the file system has such. The header
    counts what has been written as soon as it has: a program that is killed leaves a whole file.
    """

    def __init__(self, path: str | os.PathLike[str], *, sample_rate: int) -> None:
        """Creates (or replaces) the file.

        Raises:
            MediaError: It cannot be created.
        """
        self._rate = sample_rate
        self._end = 0
        try:
            # unbuffered: what is written is in the file
            self._file: BinaryIO = open(path, "wb", buffering=0)  # noqa: SIM115 - close() does
        except OSError as error:
            reason = f"cannot write {path}: {error.strerror}"
            raise MediaError(ErrorCode.DEVICE, reason) from error
        self._write_header()

    def write(self, position: int, samples: Samples) -> None:
        """Writes samples at a position (in samples); what lies beyond 4 GB is left out."""
        if position + len(samples) > _MAX_SAMPLES:
            return
        self._put(_HEADER_BYTES + 2 * position, samples.astype("<i2", copy=False).tobytes())
        if position + len(samples) > self._end:
            self._end = position + len(samples)
            self._write_header()

    def close(self) -> None:
        """Closes the file; may be called again."""
        self._file.close()

    def _write_header(self) -> None:
        size = 2 * self._end
        header = struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            *(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, _PCM, 1),
            *(self._rate, 2 * self._rate, 2, 16, b"data", size),
        )
        self._put(0, header)

    def _put(self, at: int, data: bytes) -> None:
        self._file.seek(at)
        view = memoryview(data)
        while view:  # an unbuffered file may take less than it is given
            view = view[self._file.write(view) :]
