"""Files on their way to the bot: the driver around the pure `OutgoingFile`."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from voxwire._arguments import flag, invalid, text
from voxwire._callbacks import RAISED
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, UsageError, VoxwireError, code_from_wire, make_error
from voxwire_protocol.files import (
    MAX_NAME_CHARS,
    MAX_TEXT_CHARS,
    OutgoingFile,
    is_name,
    media_type_of,
    takes,
)

__all__ = ["FileAcceptance", "Files", "acceptance_of", "begin_of"]

Send = Callable[[wire.Envelope], object]
"""Sends a message; raises VoxwireError when it cannot."""


@dataclass(frozen=True, slots=True)
class FileAcceptance:
    """What the bot takes of files.

    Attributes:
        types: Media types: ``"application/pdf"``, ``"image/*"``, ``"*/*"``.
        max_bytes: Largest file.
    """

    types: tuple[str, ...]
    max_bytes: int

    def takes(self, media_type: str) -> bool:
        """True when the bot takes files of that type."""
        return takes(self.types, media_type_of(media_type))


def acceptance_of(welcome: wire.Welcome) -> FileAcceptance | None:
    """What a Welcome says of files; None = the bot takes none."""
    if not welcome.HasField("accepts"):
        return None
    return FileAcceptance(tuple(welcome.accepts.types), welcome.accepts.max_bytes)


def begin_of(
    name: object,
    media_type: object,
    data: object,
    *,
    beside: object,
    run: object,
    speak: object,
    accepts: FileAcceptance | None,
) -> tuple[wire.FileBegin, bytes]:
    """What a caller passed, checked; the bytes are a copy.

    Raises:
        UsageError: INVALID_ARGUMENT; UNSUPPORTED: the bot takes no such file.
        ProtocolError: TOO_LARGE.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise invalid(f"data must be bytes, not {type(data).__name__}")
    copied = bytes(cast("bytes", data))
    begin = wire.FileBegin(
        name=text(name, "name", max_chars=MAX_NAME_CHARS),
        type=media_type_of(text(media_type, "type", max_chars=MAX_NAME_CHARS)),
        text=text(beside, "text", max_chars=MAX_TEXT_CHARS),
        run_immediately=flag(run, "run"),
        audio_response=flag(speak, "speak"),
    )
    if begin.name and not is_name(begin.name):
        raise invalid("name must be the name of a file, without a path")
    if not begin.type:
        raise invalid('type must be a media type, for instance "image/png"')
    if not copied:
        raise invalid("data must have at least one byte")
    if accepts is None:
        raise UsageError(ErrorCode.UNSUPPORTED, "the bot takes no files")
    if not accepts.takes(begin.type):
        known = ", ".join(accepts.types)
        raise UsageError(ErrorCode.UNSUPPORTED, f"the bot takes files of type {known}")
    if len(copied) > accepts.max_bytes:
        raise make_error(ErrorCode.TOO_LARGE, f"a file has at most {accepts.max_bytes} bytes here")
    return begin, copied


@dataclass(slots=True)
class _Transfer:
    file: OutgoingFile
    done: "asyncio.Future[None]"
    progress: Callable[[int, int], object] | None
    size: int

    def tell(self) -> None:
        """Tells the caller how far it is; what that raises ends the transfer."""
        if self.progress is None or self.done.done():
            return
        try:
            self.progress(self.file.taken_bytes, self.size)
        except RAISED as error:  # the caller's own, raised where he waits
            if not self.done.done():  # it may have cancelled the task that waits
                self.done.set_exception(error)


class Files:
    """The files of one session. A lost connection changes nothing here: the control channel keeps
    what was said, and where that is gone each file is begun again, from where the server is.

    A channel to something else than our server carries files by taking ``file_begin``,
    ``file_piece`` and ``file_cancel`` in its `send`, and by answering ``file_taken`` and
    ``file_ended``: `voxwire_protocol.rtvi.BotFiles` does that for a stock Pipecat bot.
    """

    def __init__(self, send: Send) -> None:
        """Takes what sends messages."""
        self._send = send
        self._open: dict[str, _Transfer] = {}

    async def send(
        self,
        begin: wire.FileBegin,
        data: bytes,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Sends a file, and waits until the bot has it. Cancelled, it is given up.

        Raises:
            VoxwireError: It was refused, or the session ended.
        """
        begin.file_id = secrets.token_hex(8)
        file = OutgoingFile(begin, data)
        done = asyncio.get_running_loop().create_future()
        self._send(file.begin())
        self._open[begin.file_id] = _Transfer(file, done, progress, len(data))
        try:
            await done
        except VoxwireError:
            raise
        except BaseException:  # cancelled, or the caller's own from its progress
            self._give_up(file)
            raise
        finally:
            del self._open[begin.file_id]

    def receive(self, envelope: wire.Envelope) -> None:
        """Takes `FileTaken` or `FileEnded`; one about a file that is none of these is ignored."""
        ended = envelope.HasField("file_ended")
        message = envelope.file_ended if ended else envelope.file_taken
        transfer = self._open.get(message.file_id)
        if transfer is None or transfer.done.done():
            return
        if isinstance(message, wire.FileEnded):
            self._end(transfer, message)
        else:
            self._go_on(transfer, message)

    def again(self) -> None:
        """Messages were lost, both ways."""
        for transfer in list(self._open.values()):
            self._guarded(transfer, transfer.file.begin())

    def close(self, failure: VoxwireError | None) -> None:
        """The session is over."""
        reason = failure or UsageError(ErrorCode.INVALID_STATE, "the session has ended")
        for transfer in self._open.values():
            if not transfer.done.done():
                transfer.done.set_exception(reason)

    def _go_on(self, transfer: _Transfer, message: wire.FileTaken) -> None:
        for piece in transfer.file.taken(message):
            if not self._guarded(transfer, piece):
                return
        transfer.tell()

    @staticmethod
    def _end(transfer: _Transfer, ended: wire.FileEnded) -> None:
        if not ended.code:
            transfer.done.set_result(None)
            return
        code = code_from_wire(ended.code)
        error = make_error(code, ended.reason, retryable=ended.retryable)
        transfer.done.set_exception(error)

    def _guarded(self, transfer: _Transfer, message: wire.Envelope) -> bool:
        try:
            self._send(message)
        except VoxwireError as error:
            if not transfer.done.done():
                transfer.done.set_exception(error)
            return False
        return True

    def _give_up(self, file: OutgoingFile) -> None:
        try:
            self._send(file.cancel())
        except VoxwireError:
            return  # the server gives it up after a while
