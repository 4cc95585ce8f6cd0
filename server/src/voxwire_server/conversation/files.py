"""The files that a client sends, on their way to the pipeline."""

from collections.abc import Callable
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.clocks import Timer
from voxwire_server.conversation.file_arrival import Arriving, Pace
from voxwire_server.conversation.lane import Errand, Kind, Lane
from voxwire_server.ports import Pipeline, SessionPort
from voxwire_server.sent_files import Acceptance, FileRefusal, FileRoom, SentFile

__all__ = ["LEAST_BYTES_PER_SECOND", "MAX_GIVEN_FILES", "MAX_OPEN", "STALL_MS", "Files"]

MAX_OPEN: Final = 4
"""Files of a session that may be on their way at once; they come one after the other."""
MAX_GIVEN_FILES: Final = 4
"""Files of the largest size that a bot is given in one session: its context keeps them."""
STALL_MS: Final = 30_000
"""How long a client may send nothing of a file that it may send."""
LEAST_BYTES_PER_SECOND: Final = 4096
"""How fast that time is earned back: the smallest window once a second, over the worst of ways."""
_MAX_ID_CHARS: Final = 64
_REMEMBERED: Final = 64

_LATER: Final = "the server has no room for this file now; try again later"


class Files:
    """Takes the files of one session; one at a time is let come.

    What the client is told is idempotent: a file that begins twice is the same one, and is told
    where it stands, or how it ended. So a transfer outlives lost messages.

    Args:
        port: The session.
        lane: What the client asks of the pipeline.
        accepts: What the bot takes.
        room: The memory that all sessions share.
        pipeline: The bot's pipeline, once it has started.
        attached: Whether anything carries the client's messages now.
        may_answer: Whether a refusal may be told just now: a flood of them is not.
    """

    def __init__(
        self,
        port: SessionPort,
        lane: Lane,
        *,
        accepts: Acceptance,
        room: FileRoom,
        pipeline: Callable[[], Pipeline | None],
        attached: Callable[[], bool],
        may_answer: Callable[[], bool],
    ) -> None:
        self.accepts = accepts
        self._port = port
        self._lane = lane
        self._room = room
        self._pipeline = pipeline
        self._attached = attached
        self._may_answer = may_answer
        self._open: dict[str, Arriving] = {}
        self._over: dict[str, wire.FileEnded] = {}
        self._held_bytes = 0
        self._given_bytes = 0
        self._pace = Pace()
        self._later: Timer | None = None
        self._stall: Timer | None = None
        self._stalled_at_ms = 0.0
        self._closed = False

    def take(self, message: wire.Envelope) -> None:
        """Take ``FileBegin``, ``FilePiece`` or ``FileCancel``."""
        if self._closed:
            return
        match message.WhichOneof("payload"):
            case "file_begin":
                self._begin(message.file_begin)
            case "file_piece":
                self._piece(message.file_piece)
            case _:
                self._forget(message.file_cancel.file_id)
        self._go_on()

    def give(self, file: SentFile) -> FileRefusal | None:
        """Take a file that came whole, by another way.

        Returns:
            Why it is not taken; None = the bot gets it.
        """
        if self._closed:
            code = wire.ErrorCode.ERROR_CODE_INVALID_STATE
            return FileRefusal(code, "the session is over")
        size = len(file.data)
        refusal = self._refusal_of(file.name, file.media_type, size, file.text)
        if refusal is None and not self._hold(size):
            refusal = FileRefusal(wire.ErrorCode.ERROR_CODE_CAPACITY, _LATER, retryable=True)
        return refusal or self._hand_over(file)

    def back(self) -> None:
        """Something carries the client's messages again."""
        if self._open:
            self._pace.again()
            self._watch()

    def close(self) -> None:
        """The session is over."""
        self._closed = True
        for timer in (self._later, self._stall):
            if timer is not None:
                timer.cancel()
        self._open.clear()
        self._let_go(self._held_bytes)

    # one file

    def _begin(self, begin: wire.FileBegin) -> None:
        file_id = begin.file_id
        known = self._open.get(file_id)
        if not 0 < len(file_id) <= _MAX_ID_CHARS:
            if self._may_answer():
                reason = f"a file is named by 1 to {_MAX_ID_CHARS} characters"
                self._port.emit_error(wire.ErrorCode.ERROR_CODE_MALFORMED, reason)
        elif known is not None:
            self._pace.again()
            self._tell(known)
        elif file_id in self._over:
            self._port.emit(file_ended=self._over[file_id])
        else:
            refusal = self._refusal_of(begin.name, begin.type, begin.size, begin.text)
            if refusal is not None:
                self._end(file_id, refusal)
            else:
                self._open[file_id] = Arriving(begin)

    def _refusal_of(self, name: str, media_type: str, size: int, text: str) -> FileRefusal | None:
        refusal = self.accepts.refusal_of(name=name, media_type=media_type, size=size, text=text)
        if refusal is not None:
            return refusal
        left = MAX_GIVEN_FILES * self.accepts.max_bytes - self._given_bytes
        if size > left:
            reason = "the bot was given as much of files in this session as it may be"
            return FileRefusal(wire.ErrorCode.ERROR_CODE_CAPACITY, reason)
        to_come = sum(file.size - file.offset for file in self._open.values())
        if len(self._open) >= MAX_OPEN or self._lane.full:
            code, reason = wire.ErrorCode.ERROR_CODE_RATE_LIMITED, "too many files at once"
            return FileRefusal(code, reason, retryable=True)
        mine = self._held_bytes + to_come + size
        promised = sum(file.size for file in self._open.values())
        full = mine > 2 * self.accepts.max_bytes or size > left - promised
        if full or not self._room.has(size):
            return FileRefusal(wire.ErrorCode.ERROR_CODE_CAPACITY, _LATER, retryable=True)
        return None

    def _piece(self, piece: wire.FilePiece) -> None:
        file = self._open.get(piece.file_id)
        if file is None:
            if piece.file_id not in self._over and self._may_answer():
                code = wire.ErrorCode.ERROR_CODE_INVALID_STATE
                self._say_over(piece.file_id[:_MAX_ID_CHARS], FileRefusal(code, "no such file"))
            return
        refusal = file.check(piece)
        if refusal is None and not self._hold(len(piece.data)):
            refusal = FileRefusal(wire.ErrorCode.ERROR_CODE_CAPACITY, _LATER, retryable=True)
        if refusal is not None:
            self._end(file.file_id, refusal)
        elif file.add(piece):
            self._pop(file.file_id)
            self._end(file.file_id, self._hand_over(file.whole()))
        else:
            self._pace.came(file.offset, self._port.clock.now_ms())
            self._watch(earned_bytes=len(piece.data))

    def _hand_over(self, file: SentFile) -> FileRefusal | None:
        """Have the bot get a file whose memory is held."""

        async def run(_: Errand) -> None:
            try:
                pipeline = self._pipeline()
                if pipeline is not None:
                    await pipeline.file(file)
            finally:
                self._let_go(len(file.data))

        if self._lane.full:
            self._let_go(len(file.data))
            code, reason = wire.ErrorCode.ERROR_CODE_RATE_LIMITED, "too much waits for the bot"
            return FileRefusal(code, reason, retryable=True)
        if not self._lane.put(Kind.INPUT, run):
            self._let_go(len(file.data))
            return FileRefusal(wire.ErrorCode.ERROR_CODE_CAPACITY, _LATER, retryable=True)
        self._given_bytes += len(file.data)
        return None

    def _end(self, file_id: str, refusal: FileRefusal | None) -> None:
        self._forget(file_id)
        self._over[file_id] = self._say_over(file_id, refusal)
        while len(self._over) > _REMEMBERED:
            del self._over[next(iter(self._over))]

    def _say_over(self, file_id: str, refusal: FileRefusal | None) -> wire.FileEnded:
        ended = wire.FileEnded(file_id=file_id)
        if refusal is not None:
            ended.code, ended.reason = refusal.code, refusal.reason
            ended.retryable = refusal.retryable
        self._port.emit(file_ended=ended)
        return ended

    def _forget(self, file_id: str) -> None:
        file = self._pop(file_id)
        if file is not None:
            self._let_go(file.offset)

    def _pop(self, file_id: str) -> Arriving | None:
        if self._current() is self._open.get(file_id):  # the next one has all its time
            self._unwatch()
        file = self._open.pop(file_id, None)
        if file is not None:
            self._pace.again()
        return file

    # memory

    def _hold(self, num_bytes: int) -> bool:
        if not self._room.take(num_bytes):
            return False
        self._held_bytes += num_bytes
        return True

    def _let_go(self, num_bytes: int) -> None:
        released = min(num_bytes, self._held_bytes)  # all of it is let go of when it is over
        self._held_bytes -= released
        self._room.give_back(released)

    # how fast

    def _current(self) -> Arriving | None:
        return next(iter(self._open.values()), None)

    def _go_on(self) -> None:
        """Let more of the file come whose turn it is, when that is due."""
        file, now_ms = self._current(), self._port.clock.now_ms()
        if file is None:
            return
        window = self._pace.window_bytes
        if file.limit == file.size or file.limit - file.offset > window // 2:
            return
        wait_ms = self._pace.wait_ms(now_ms)
        if wait_ms > 0:
            if self._later is None:
                self._later = self._port.clock.call_later(wait_ms, self._when_due)
            return
        limit = min(file.size, file.offset + window)
        if limit > file.limit:
            self._pace.granted(limit, limit - file.limit, now_ms)
            file.limit = limit
            self._tell(file)
            if self._stall is None:
                self._watch()

    def _when_due(self) -> None:
        self._later = None
        self._go_on()

    def _tell(self, file: Arriving) -> None:
        taken = wire.FileTaken(file_id=file.file_id, offset=file.offset, limit=file.limit)
        self._port.emit(file_taken=taken)

    def _watch(self, *, earned_bytes: int | None = None) -> None:
        """Give the client its time anew, or as much of it as so many bytes are worth.

        A byte in a while would hold the memory of the whole file otherwise.
        """
        now_ms = self._port.clock.now_ms()
        left_ms = float(STALL_MS)
        if earned_bytes is not None:
            earned_ms = earned_bytes * 1000 / LEAST_BYTES_PER_SECOND
            left_ms = min(left_ms, self._stalled_at_ms - now_ms + earned_ms)
        self._unwatch()
        if self._current() is not None:
            self._stalled_at_ms = now_ms + left_ms
            self._stall = self._port.clock.call_later(left_ms, self._stalled)

    def _unwatch(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
        self._stall = None

    def _stalled(self) -> None:
        self._stall = None
        file = self._current()
        if file is not None and self._attached():
            reason = "too little of the file came for too long"
            code = wire.ErrorCode.ERROR_CODE_TIMEOUT
            self._end(file.file_id, FileRefusal(code, reason, retryable=True))
            self._go_on()
        else:
            self._watch()
