"""The files of a client whose bot is a stock one: many envelopes in, one ``send-file`` out. Pure.

It stands where a server takes files (protocol/spec/files.md). Whoever carries the messages of a
`StockBot` hands ``file_begin``, ``file_piece`` and ``file_cancel`` to `BotFiles.take`, sends what
comes of them, and tells the client its envelopes.
"""

from dataclasses import dataclass, field
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.rtvi.bot_requests import BotRequests
from voxwire_protocol.rtvi.message import RtviError, RtviMessage, encode
from voxwire_protocol.rtvi.version import RTVI_VERSION, Version

__all__ = ["BotFiles", "FileStep"]

_SPARE_BYTES: Final = 1536
"""Of a message, beside the bytes of the file in base64."""
_MAX_OPEN: Final = 4
_V22: Final = Version(2, 2)


@dataclass(frozen=True, slots=True)
class FileStep:
    """What comes of one envelope.

    Attributes:
        message: What the bot is sent; None = nothing yet.
        told: What the client is told.
    """

    message: RtviMessage | None = None
    told: list[wire.Envelope] = field(default_factory=list[wire.Envelope])


class BotFiles:
    """Puts the pieces of files together, at most four at a time.

    Args:
        requests: Writes what the bot is asked.
        max_message_bytes: Largest message that the carrier takes; 0 = no files.
    """

    def __init__(self, requests: BotRequests, *, max_message_bytes: int) -> None:
        self._requests = requests
        self._max_message_bytes = max_message_bytes
        self._open: dict[str, tuple[wire.FileBegin, bytearray]] = {}

    def acceptance(self, version: Version | None) -> wire.FileAcceptance | None:
        """What a bot of that version takes, as `Welcome.accepts` says it; None = no files.

        A stock bot does not say which types it takes.
        """
        max_bytes = max(0, self._max_message_bytes - _SPARE_BYTES) * 3 // 4
        if not max_bytes or (version or RTVI_VERSION) < _V22:
            return None
        return wire.FileAcceptance(types=["*/*"], max_bytes=max_bytes)

    def take(self, envelope: wire.Envelope, *, version: Version | None) -> FileStep:
        """Take ``file_begin``, ``file_piece`` or ``file_cancel``; of any other nothing comes.

        Args:
            envelope: As our client sends it.
            version: What the bot speaks; None = not known.
        """
        match envelope.WhichOneof("payload"):
            case "file_begin":
                return self._begin(envelope.file_begin, self.acceptance(version))
            case "file_piece":
                return self._piece(envelope.file_piece, version)
            case "file_cancel":
                self._open.pop(envelope.file_cancel.file_id, None)
                return FileStep()
            case _:
                return FileStep()

    def _begin(self, begin: wire.FileBegin, accepts: wire.FileAcceptance | None) -> FileStep:
        codes, file_id = wire.ErrorCode, begin.file_id
        if accepts is None:
            return _over(file_id, codes.ERROR_CODE_UNSUPPORTED, "this bot takes no files")
        if begin.size > accepts.max_bytes:
            reason = f"a message to this bot holds at most {accepts.max_bytes} bytes of a file"
            return _over(file_id, codes.ERROR_CODE_TOO_LARGE, reason)
        if len(self._open) >= _MAX_OPEN and file_id not in self._open:
            return _over(file_id, codes.ERROR_CODE_RATE_LIMITED, "too many files at once")
        _, data = self._open.setdefault(file_id, (begin, bytearray()))
        taken = wire.FileTaken(file_id=file_id, offset=len(data), limit=begin.size)
        return FileStep(told=[wire.Envelope(file_taken=taken)])

    def _piece(self, piece: wire.FilePiece, version: Version | None) -> FileStep:
        begin, data = self._open.get(piece.file_id, (wire.FileBegin(), bytearray()))
        end = piece.offset + len(piece.data)
        if piece.offset != len(data) or not piece.data or end > begin.size:
            self._open.pop(piece.file_id, None)
            code = wire.ErrorCode.ERROR_CODE_MALFORMED
            return _over(piece.file_id, code, "a piece does not fit")
        data += piece.data
        if end < begin.size:
            return FileStep()
        del self._open[piece.file_id]
        return self._whole(begin, bytes(data), version)

    def _whole(self, begin: wire.FileBegin, data: bytes, version: Version | None) -> FileStep:
        try:
            message = self._requests.send_file(
                begin.text,
                media_type=begin.type,
                name=begin.name,
                data=data,
                version=version,
                run_immediately=not begin.HasField("run_immediately") or begin.run_immediately,
                audio_response=not begin.HasField("audio_response") or begin.audio_response,
            )
        except RtviError as error:
            return _over(begin.file_id, wire.ErrorCode.ValueType(error.code.value), error.reason)
        if len(encode(message).encode()) > self._max_message_bytes:
            code = wire.ErrorCode.ERROR_CODE_TOO_LARGE
            return _over(begin.file_id, code, "file and text are above one message to this bot")
        return FileStep(message, _over(begin.file_id).told)


def _over(file_id: str, code: int = 0, reason: str = "") -> FileStep:
    ended = wire.FileEnded(file_id=file_id, code=wire.ErrorCode.ValueType(code), reason=reason)
    return FileStep(told=[wire.Envelope(file_ended=ended)])
