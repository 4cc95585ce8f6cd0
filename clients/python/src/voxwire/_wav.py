"""WAV files, read piece by piece: bounded memory, and no need of a seekable file."""

import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from voxwire._samples import MAX_RATE, MIN_RATE, Rate, mix, unsupported
from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, MediaError, UsageError

__all__ = ["WavReader", "open_wav", "read_wav"]

_PCM: Final = 1
_FLOAT: Final = 3
_A_LAW: Final = 6
_MU_LAW: Final = 7
_EXTENSIBLE: Final = 0xFFFE
_ENDLESS: Final = 0xFFFF_FFFF
_COMPRESSED: Final = {
    0x02: "Microsoft ADPCM",
    0x11: "IMA ADPCM",
    0x31: "GSM 6.10",
    0x50: "MPEG",
    0x55: "MP3",
    0xFF: "AAC",
    0x161: "WMA",
}
_BEHIND: Final = (b"LIST", b"fact", b"cue ", b"id3 ", b"ID3 ", b"bext", b"smpl", b"JUNK", b"PEAK")
_HOW: Final = "convert it, for instance with: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav"
_PIECE_S: Final = 1
_SKIP_BYTES: Final = 64 * 1024
_MAX_FORMAT_BYTES: Final = 4096


class _Format(NamedTuple):
    tag: int
    num_channels: int
    sample_rate: int
    width: int  # bytes of one sample


class WavReader:
    """Reads a WAV from a binary file of any kind, a pipe included. It blocks as the file does.

    Attributes:
        sample_rate: Of the file, Hz; what `pieces` yields has it.
        num_frames: Length by the header; None = it does not say (a streamed file).
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Reads the header, up to the first sample.

        Args:
            file: Open for reading bytes; stays the caller's.
            name: What errors call it.

        Raises:
            MediaError: UNSUPPORTED_FORMAT: it is no WAV, or one that is not read.
            OSError: It cannot be read at all.
        """
        self._file = file
        self._name = name
        self._ahead = b""
        self._take_magic()
        self._format, self._left = self._seek_samples()
        self.sample_rate = self._format.sample_rate
        frame_bytes = self._format.num_channels * self._format.width
        self.num_frames = None if self._left is None else self._left // frame_bytes

    def pieces(self) -> Iterator[Samples]:
        """Yields the audio, int16 mono at the file's rate, at most 1 s at a time.

        Raises:
            MediaError: UNSUPPORTED_FORMAT: it has samples that are no audio.
            OSError: It cannot be read any more.
        """
        frame_bytes = self._format.num_channels * self._format.width
        rest = b""
        while data := self._some(_PIECE_S * self.sample_rate * frame_bytes):
            data = rest + data
            end = len(data) - len(data) % frame_bytes
            rest = data[end:]
            if end:
                samples = _decode(data[:end], self._format)
                yield mix(samples.reshape(-1, self._format.num_channels))

    def _refusal(self, what: str) -> MediaError:
        return unsupported(f"{self._name}: {what}")

    def _take_magic(self) -> None:
        magic = self._exactly(12)
        if magic[:4] == b"RIFX":
            raise self._refusal(f"a WAV of big-endian samples is not read: {_HOW}")
        if magic[:4] not in (b"RIFF", b"RF64", b"BW64") or magic[8:] != b"WAVE":
            raise self._refusal(f"not a WAV file (RIFF/WAVE): {_HOW}")

    def _seek_samples(self) -> tuple[_Format, int | None]:
        """Reads chunks up to the samples; returns their format and number of bytes, if known."""
        found: _Format | None = None
        long_bytes: int | None = None
        while len(head := self._exactly(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == b"data" and found is not None:
                return found, self._data_bytes(size, long_bytes)
            if name == b"data":
                break
            if name in (b"fmt ", b"ds64") and size <= _MAX_FORMAT_BYTES:
                body = self._exactly(size)
                if name == b"fmt ":
                    found = self._read_format(body)
                elif len(body) >= 16:
                    long_bytes = struct.unpack_from("<Q", body, 8)[0]
            else:
                self._skip(size)
            self._skip_pad(size)
        raise self._refusal("no format or no audio in it")

    def _data_bytes(self, size: int, long_bytes: int | None) -> int | None:
        """How many bytes of audio follow; a program that streamed did not know yet."""
        if size == _ENDLESS:
            return long_bytes or None
        if size == 0:
            self._ahead = self._exactly(4)
            return 0 if self._ahead in _BEHIND else None
        return size

    def _read_format(self, body: bytes) -> _Format:
        if len(body) < 16:
            raise self._refusal("its header is cut off")
        tag, channels, rate, _, block_bytes, bits = struct.unpack_from("<HHIIHH", body)
        if tag == _EXTENSIBLE and len(body) >= 26:
            tag = struct.unpack_from("<H", body, 24)[0]
        if tag not in (_PCM, _FLOAT, _A_LAW, _MU_LAW):
            kind = _COMPRESSED.get(tag, f"format {tag}")
            raise self._refusal(f"{kind} in a WAV is not read: {_HOW}")
        if not channels or not MIN_RATE <= rate <= MAX_RATE:
            raise self._refusal("its header makes no sense")
        width, odd = divmod(block_bytes, channels)
        if odd or not width or 8 * width < bits:  # 12 bits are in 2 bytes, 20 in 3, 24 in 3 or 4
            width = (bits + 7) // 8
        if width not in {_PCM: (1, 2, 3, 4), _FLOAT: (4, 8)}.get(tag, (1,)):
            raise self._refusal(f"format {tag} of {bits} bits in {width} bytes is not read: {_HOW}")
        return _Format(tag, channels, rate, width)

    def _skip(self, size: int) -> None:
        while size > 0 and (data := self._exactly(min(size, _SKIP_BYTES))):
            size -= len(data)

    def _skip_pad(self, size: int) -> None:
        """Skips the byte behind a chunk of odd length; some programs write none."""
        if size % 2:
            byte = self._exactly(1)
            self._ahead = b"" if byte == b"\0" else byte

    def _exactly(self, size: int) -> bytes:
        """That many bytes of the header, fewer at the end."""
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        while len(data) < size and (more := self._read(size - len(data))):
            data += more
        return data

    def _some(self, size: int) -> bytes:
        """The next bytes of audio, as many as there are, at most `size`; empty at the end."""
        if self._left is not None:
            size = min(size, self._left)
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            data = self._read(size) if size else b""
        if self._left is not None:
            self._left -= len(data)
        return data

    def _read(self, size: int) -> bytes:
        read: Any = getattr(self._file, "read1", self._file.read)
        data: object = read(size)
        if isinstance(data, str):
            reason = f"{self._name} is open for text: open it in binary mode ('rb')"
            raise UsageError(ErrorCode.INVALID_ARGUMENT, reason)
        return bytes(cast("bytes", data)) if data else b""


def _decode(data: bytes, form: _Format) -> NDArray[Any]:
    """Samples in a type that says its scale, still interleaved."""
    match form.tag, form.width:
        case (6, _):
            return _A_LAW_TABLE[np.frombuffer(data, np.uint8)]
        case (7, _):
            return _MU_LAW_TABLE[np.frombuffer(data, np.uint8)]
        case (_, 1):
            return np.frombuffer(data, np.uint8)
        case (_, 2):
            return np.frombuffer(data, "<i2")
        case (_, 3):
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            return wide.view("<i4").reshape(-1)
        case (3, width):
            return np.frombuffer(data, f"<f{width}")
        case _:
            return np.frombuffer(data, "<i4")


def _mu_law(code: int) -> int:
    """ITU-T G.711 µ-law."""
    code ^= 0xFF
    size = ((((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
    return -size if code & 0x80 else size


def _a_law(code: int) -> int:
    """ITU-T G.711 A-law."""
    code ^= 0x55
    size, exponent = ((code & 0x0F) << 4) + 8, code >> 4 & 7
    if exponent:
        size = (size + 0x100) << (exponent - 1)
    return size if code & 0x80 else -size


_A_LAW_TABLE: Final = np.array([_a_law(code) for code in range(256)], np.int16)
_MU_LAW_TABLE: Final = np.array([_mu_law(code) for code in range(256)], np.int16)


def open_wav(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a file.

    Raises:
        MediaError: DEVICE: it cannot be opened.
    """
    try:
        return open(path, "rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) else "no path"
        raise MediaError(ErrorCode.DEVICE, f"cannot read {path!s}: {why}") from error


def read_wav(source: str | os.PathLike[str] | bytes, *, sample_rate: int) -> Samples:
    """Reads a whole WAV as mono int16.

    Args:
        source: Its path, or all of it: PCM of 8 to 32 bits, IEEE float, A-law or µ-law; any rate,
            number of channels (mixed down) and length.
        sample_rate: Rate of the result, Hz.

    Raises:
        MediaError: DEVICE when it cannot be opened, UNSUPPORTED_FORMAT when it cannot be read.
    """
    whole = isinstance(source, bytes)
    with io.BytesIO(source) if whole else open_wav(source) as file:
        reader = WavReader(file, "the WAV" if whole else Path(source).name)
        rate = Rate(reader.sample_rate, sample_rate)
        parts = [rate.feed(piece) for piece in reader.pieces()]
    return np.concatenate([*parts, rate.feed(np.zeros(0, np.int16), last=True)])
