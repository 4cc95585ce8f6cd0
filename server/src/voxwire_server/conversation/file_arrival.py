"""A file on its way from the client: what has come of it, and how fast it may come. Pure.

``now_ms`` is monotonic milliseconds. The rules are protocol/spec/files.md.
"""

from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.files import PIECE_BYTES, media_type_of
from voxwire_server.sent_files import FileRefusal, SentFile

__all__ = ["FILE_BYTES_PER_SECOND", "MAX_WINDOW_BYTES", "Arriving", "Pace"]

FILE_BYTES_PER_SECOND: Final = 1_000_000
"""How fast a client is let send; its intake takes 1 048 576 a second before it holds back."""
MAX_WINDOW_BYTES: Final = 131_072
"""Most of a file that may be on its way."""
_STEP_BYTES: Final = 4096
"""Least of a file that may be on its way."""
_FASTER_BELOW_MS: Final = 50
_SLOWER_ABOVE_MS: Final = 100


def _malformed(reason: str) -> FileRefusal:
    return FileRefusal(wire.ErrorCode.ERROR_CODE_MALFORMED, reason)


class Arriving:
    """One file that is arriving.

    Args:
        begin: What the client said of it, checked.

    Attributes:
        limit: Up to here the client may send, bytes from the beginning.
    """

    def __init__(self, begin: wire.FileBegin) -> None:
        self.limit = 0
        self._begin = begin
        self._data = bytearray()

    @property
    def file_id(self) -> str:
        """Names it in its session."""
        return self._begin.file_id

    @property
    def size(self) -> int:
        """What it will have, bytes."""
        return self._begin.size

    @property
    def offset(self) -> int:
        """What has come of it, bytes."""
        return len(self._data)

    def check(self, piece: wire.FilePiece) -> FileRefusal | None:
        """Why a piece cannot be part of it; None = it is the next one."""
        if piece.offset != len(self._data):
            return _malformed("a piece does not begin where the one before it ended")
        if not 0 < len(piece.data) <= PIECE_BYTES:
            return _malformed(f"a piece has 1 to {PIECE_BYTES} bytes")
        if piece.offset + len(piece.data) > self.limit:
            return _malformed("a piece is beyond what may be sent")
        return None

    def add(self, piece: wire.FilePiece) -> bool:
        """Take a piece that was checked; True when the file is whole."""
        self._data += piece.data
        return len(self._data) == self.size

    def whole(self) -> SentFile:
        """The file, when all of it has come."""
        begin = self._begin
        return SentFile(
            name=begin.name,
            media_type=media_type_of(begin.type),
            data=bytes(self._data),
            text=begin.text,
            run_immediately=not begin.HasField("run_immediately") or begin.run_immediately,
            audio_response=not begin.HasField("audio_response") or begin.audio_response,
        )


class Pace:
    """How much of a file may be on its way, so that what is said beside it is not late.

    A file's pieces wait in front of tool results and playout reports wherever the way to this
    server is narrow. The window grows while they come as soon as they ever did, and is halved when
    they take more than 100 ms longer: they queue then (the idea of RFC 6817). It doubles until that
    happens for the first time, and grows by 4 KiB a round from then on.
    """

    def __init__(self) -> None:
        self.window_bytes = _STEP_BYTES
        self._was_late = False
        self._free_at_ms = 0.0
        self._quickest_ms: float | None = None
        self._asked: tuple[int, float] | None = None

    def wait_ms(self, now_ms: float) -> float:
        """How long nothing more may be granted."""
        return max(0.0, self._free_at_ms - now_ms)

    def granted(self, limit: int, num_bytes: int, now_ms: float) -> None:
        """The client may send so many bytes more, up to ``limit``."""
        self._free_at_ms = max(self._free_at_ms, now_ms) + num_bytes * 1000 / FILE_BYTES_PER_SECOND
        if self._asked is None:
            self._asked = limit, now_ms

    def came(self, offset: int, now_ms: float) -> None:
        """So much of the file is there."""
        if self._asked is None or offset < self._asked[0]:
            return
        took_ms = now_ms - self._asked[1]
        self._asked = None
        if self._quickest_ms is None or took_ms < self._quickest_ms:
            self._quickest_ms = took_ms
        late_ms = took_ms - self._quickest_ms
        if late_ms > _SLOWER_ABOVE_MS:
            self._was_late = True
            self.window_bytes = max(_STEP_BYTES, self.window_bytes // 2)
        elif late_ms < _FASTER_BELOW_MS:
            step = _STEP_BYTES if self._was_late else self.window_bytes
            self.window_bytes = min(MAX_WINDOW_BYTES, self.window_bytes + step)

    def again(self) -> None:
        """Another file, or another wire: what was asked for last tells nothing."""
        self._asked = None
