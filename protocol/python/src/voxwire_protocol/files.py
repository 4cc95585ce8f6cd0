"""Files that a client sends: what both sides check, and the sending side. Pure.

The rules are protocol/spec/files.md.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from voxwire_protocol import wire

__all__ = [
    "MAX_NAME_CHARS",
    "MAX_TEXT_CHARS",
    "PIECE_BYTES",
    "OutgoingFile",
    "is_name",
    "media_type_of",
    "takes",
]

PIECE_BYTES: Final = 16_384
"""Largest piece of a file, bytes."""

MAX_NAME_CHARS: Final = 255
"""Longest name of a file."""

MAX_TEXT_CHARS: Final = 16_000
"""Longest text beside a file."""

_NO_NAME: Final = re.compile(
    "[/\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What no name has in it: paths, controls, breaks of lines, what turns the order of text around."""
_TOKEN: Final = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}"  # RFC 6838 §4.2
_MEDIA_TYPE: Final = re.compile(f"{_TOKEN}/{_TOKEN}")


def media_type_of(text: str) -> str:
    """The media type without its parameters, in lower case; empty for what is none."""
    essence = text.partition(";")[0].strip().lower()
    return essence if _MEDIA_TYPE.fullmatch(essence) else ""


def is_name(text: str) -> bool:
    """True for the name of a file: one that can be shown, without a path."""
    fits = 0 < len(text) <= MAX_NAME_CHARS
    return fits and not _NO_NAME.search(text) and text not in (".", "..")


def takes(types: Iterable[str], media_type: str) -> bool:
    """True when one of ``types`` is that media type, or its range (RFC 9110 §12.5.1)."""
    ranges = {"*/*", f"{media_type.partition('/')[0]}/*", media_type}
    return any(each.strip().lower() in ranges for each in types)


class OutgoingFile:
    """The sending side of one file.

    Args:
        begin: What is said of it; ``size`` is filled in here.
        data: The file.

    Attributes:
        taken_bytes: What the server is known to have.
    """

    def __init__(self, begin: wire.FileBegin, data: bytes) -> None:
        self.taken_bytes = 0
        self._begin = wire.FileBegin()
        self._begin.CopyFrom(begin)
        self._begin.size = len(data)
        self._data = data
        self._sent: int | None = None

    def begin(self) -> wire.Envelope:
        """What is said first; and again when messages were lost: the server says where it is."""
        self._sent = None
        return wire.Envelope(file_begin=self._begin)

    def taken(self, message: wire.FileTaken) -> Iterator[wire.Envelope]:
        """The pieces that may be sent now. Each counts as sent when it is asked for."""
        self.taken_bytes = min(message.offset, len(self._data))
        if self._sent is None:
            self._sent = self.taken_bytes
        limit = min(message.limit, len(self._data))
        while self._sent < limit:
            offset = self._sent
            self._sent = min(offset + PIECE_BYTES, limit)
            piece = wire.FilePiece(
                file_id=self._begin.file_id, offset=offset, data=self._data[offset : self._sent]
            )
            yield wire.Envelope(file_piece=piece)

    def cancel(self) -> wire.Envelope:
        """What is said when it is given up."""
        return wire.Envelope(file_cancel=wire.FileCancel(file_id=self._begin.file_id))
