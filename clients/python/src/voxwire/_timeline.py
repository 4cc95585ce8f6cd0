"""Writes a WAV file by position; it can be read at any moment."""

import os
import struct
from typing import BinaryIO, Final

from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, MediaError

__all__ = ["TimelineWriter"]

_PCM: Final = 1
_HEADER_BYTES: Final = 44
_MAX_BYTES: Final = 2**32 - 1 - _HEADER_BYTES


class TimelineWriter:
    """A 16-bit WAV file that is written by position; what is not written is silence.

    Positions only go up. Holes are holes in the file where the file system has such. The header
    counts what has been written as soon as it has: a program that is killed leaves a whole file.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, sample_rate: int, num_channels: int = 1
    ) -> None:
        """Creates (or replaces) the file.

        Raises:
            MediaError: DEVICE: it cannot be created.
        """
        self._path = path
        self._rate = sample_rate
        self._channels = num_channels
        self._frame_bytes = 2 * num_channels
        self._end = 0
        try:
            # unbuffered: what is written is in the file
            self._file: BinaryIO = open(path, "wb", buffering=0)  # noqa: SIM115 - close() does
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._write_header()
        except BaseException:
            self.close()
            raise

    def write(self, position: int, samples: Samples) -> None:
        """Writes samples at a position; what lies beyond 4 GB is left out.

        Args:
            position: Of the first one, in samples of a channel.
            samples: int16: mono, or samples × channels.

        Raises:
            MediaError: DEVICE: it cannot be written.
        """
        if (position + len(samples)) * self._frame_bytes > _MAX_BYTES:
            return
        at = _HEADER_BYTES + self._frame_bytes * position
        self._put(at, samples.astype("<i2", copy=False).tobytes())
        if position + len(samples) > self._end:
            self._end = position + len(samples)
            self._write_header()

    def close(self) -> None:
        """Closes the file; may be called again.

        Raises:
            MediaError: DEVICE: what was written is not all on the disk.
        """
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error

    def _write_header(self) -> None:
        size = self._frame_bytes * self._end
        header = struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            *(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, _PCM, self._channels),
            *(self._rate, self._frame_bytes * self._rate, self._frame_bytes, 16, b"data", size),
        )
        self._put(0, header)

    def _put(self, at: int, data: bytes) -> None:
        try:
            self._file.seek(at)
            view = memoryview(data)
            while view:  # an unbuffered file may take less than it is given
                view = view[self._file.write(view) :]
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> MediaError:
        reason = f"cannot write {self._path}: {error.strerror}"
        return MediaError(ErrorCode.DEVICE, reason)
