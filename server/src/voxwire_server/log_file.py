"""The file that the log goes to: it rotates by size, and is opened anew when it is told to."""

import logging.handlers
import signal
from pathlib import Path
from types import FrameType

__all__ = ["LogFile"]


class LogFile(logging.handlers.RotatingFileHandler):
    """A log file with a bounded number of older ones beside it (``name.1`` is the newest).

    Whoever rotates it instead (logrotate) sets ``max_bytes`` to 0, moves the file away and sends
    SIGHUP: the next record begins a new one.

    Args:
        path: The file; it is made when it is not there, its folder is not.
        max_bytes: When it is rotated, bytes; 0 = never.
        count: How many older files are kept.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, path: str, *, max_bytes: int, count: int) -> None:
        super().__init__(Path(path), maxBytes=max_bytes, backupCount=count, encoding="utf-8")
        self._moved = False

    def reopen(self) -> None:
        """Begin a new file with the next record, if this one was moved away."""
        self._moved = True

    def reopen_on_hangup(self) -> None:
        """Do so on SIGHUP, where there is that signal; only the main thread may ask for it."""
        if hasattr(signal, "SIGHUP"):
            # the signal may come in the middle of a record: nothing but a note is made of it
            signal.signal(signal.SIGHUP, self._hung_up)

    def _hung_up(self, _number: int, _frame: FrameType | None) -> None:
        self.reopen()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if self._moved:
            self._moved = False
            if self.stream:
                self.stream.close()
            self.stream = self._open()
        super().emit(record)
