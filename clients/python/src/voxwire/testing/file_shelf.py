"""The files that a client sends to a `FakeSession`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from voxwire_protocol import wire

__all__ = ["FakeFile", "FileShelf"]

WINDOW_BYTES: Final = 32_768
"""What may be on its way."""


@dataclass(frozen=True, slots=True)
class FakeFile:
    """A file that came whole."""

    name: str
    type: str
    data: bytes
    text: str
    run_immediately: bool


class FileShelf:
    """Takes files as a server does: whole, once, and at its own pace.

    Attributes:
        came: Those that came and nobody has read.
        open: What has come of those that are on their way, by their ids.
    """

    def __init__(self, send: Callable[..., None]) -> None:
        """Takes what sends messages."""
        self.came: asyncio.Queue[FakeFile] = asyncio.Queue()
        self.open: dict[str, bytearray] = {}
        self._send = send
        self._begun: dict[str, wire.FileBegin] = {}
        self._over: set[str] = set()

    def take(self, envelope: wire.Envelope) -> None:
        """Takes what a client says of files."""
        message: Any = getattr(envelope, str(envelope.WhichOneof("payload")))
        file_id: str = message.file_id
        if file_id in self._over:
            self._send(file_ended=wire.FileEnded(file_id=file_id))
        elif isinstance(message, wire.FileBegin):
            self._begun[file_id] = message
            self._grant(file_id, self.open.setdefault(file_id, bytearray()))
        elif isinstance(message, wire.FilePiece):
            self._piece(message)
        else:
            self.open.pop(file_id, None)

    def refuse(self, file_id: str, code: wire.ErrorCode.ValueType, reason: str) -> None:
        """Refuses a file that is on its way."""
        self.open.pop(file_id, None)
        self._send(file_ended=wire.FileEnded(file_id=file_id, code=code, reason=reason))

    def _piece(self, piece: wire.FilePiece) -> None:
        data = self.open.get(piece.file_id)
        if data is None or piece.offset != len(data):
            code = wire.ErrorCode.ERROR_CODE_MALFORMED
            self.refuse(piece.file_id, code, "a piece does not fit")
            return
        data += piece.data
        begin = self._begun[piece.file_id]
        if len(data) < begin.size:
            self._grant(piece.file_id, data)
            return
        run = not begin.HasField("run_immediately") or begin.run_immediately
        file = FakeFile(begin.name, begin.type, bytes(data), begin.text, run)
        del self.open[piece.file_id]
        self._over.add(piece.file_id)
        self.came.put_nowait(file)
        self._send(file_ended=wire.FileEnded(file_id=piece.file_id))

    def _grant(self, file_id: str, data: bytearray) -> None:
        limit = min(len(data) + WINDOW_BYTES, self._begun[file_id].size)
        self._send(file_taken=wire.FileTaken(file_id=file_id, offset=len(data), limit=limit))
