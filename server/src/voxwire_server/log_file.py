"""The file that the log goes to: it rotates by size, and is opened anew when it is told to."""

import contextlib
import logging.handlers
import time
from pathlib import Path
from typing import Final

from voxwire_server.hangups import on_hangup

__all__ = ["LogFile"]

_AGAIN_S: Final = 5.0
"""When a file that could not be begun is tried again, seconds."""


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
        self._again_s = 0.0

    def reopen(self) -> None:
        """Begin a new file with the next record, if this one was moved away."""
        self._moved = True

    def reopen_on_hangup(self) -> None:
        """Do so on SIGHUP, where there is that signal; outside the main thread nothing happens."""
        on_hangup(self.reopen)  # in the middle of a record, too: it makes a note

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; while no new file can be begun, into the one that was moved away."""
        if self._moved and time.monotonic() >= self._again_s:
            self._begin_anew(record)
        super().emit(record)

    def _begin_anew(self, record: logging.LogRecord) -> None:
        try:
            stream = self._open()
        except OSError:
            self._again_s = time.monotonic() + _AGAIN_S
            self.handleError(record)
            return
        self._moved = False
        self._again_s = 0.0
        before, self.stream = self.stream, stream
        if before is not None:
            with contextlib.suppress(OSError):
                before.close()
