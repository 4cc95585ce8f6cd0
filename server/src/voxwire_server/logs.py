"""Where logs go and what is in them: one line a record on stderr, as text or as JSON.

Our own records are a fixed sentence and fields; a message of the protocol is a field and is
redacted by the schema (``redact``). Libraries write what they like into theirs, so below WARNING
only the place and the template of such a record are shown, never its text.
"""

import json
import logging
import os
import sys
import sysconfig
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Final

from voxwire_protocol import wire
from voxwire_server.redact import OneLineFilter, fields_of

__all__ = [
    "TRACE",
    "JsonFormatter",
    "LibraryFilter",
    "TextFormatter",
    "configure_logging",
    "quiet_pipecat",
    "trace",
]

_taken: set[int] = set()
"""The handlers that loguru was given by :func:`configure_logging`."""
_AUTOINIT: Final = "LOGURU_AUTOINIT"
TRACE: Final = 5
"""The lowest level: every message of the protocol, redacted."""

_wire = logging.getLogger("voxwire.wire")
_LIBRARIES: Final = tuple(
    {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib")}
)


def trace(what: str, message: wire.Envelope, session: str = "") -> None:
    """Log a message of the protocol, redacted; costs next to nothing above TRACE."""
    if _wire.isEnabledFor(TRACE):
        _wire.log(TRACE, what, extra={"session": session, "envelope": message})


class LibraryFilter(logging.Filter):
    """Takes the text out of what libraries say below WARNING: transcripts, SDP, URLs are in it.

    The place and the template stay, so that the line can be found in the library's source. A bot's
    own records are left as they are. It never drops a record.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a record."""
        ours = record.name.partition(".")[0] in ("voxwire", "voxwire_server", "voxwire_protocol")
        if ours or record.levelno >= logging.WARNING:
            return True
        if record.pathname.startswith(_LIBRARIES):
            text = str(record.msg)
            said = text if record.args else f"[{len(text)} chars]"
            record.msg = f"{record.module}.{record.funcName}:{record.lineno} {said}"
            record.args = None
        return True


class TextFormatter(logging.Formatter):
    """``2026-11-22 10:00:00,000 INFO voxwire.session: session started session=…``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = "".join(f" {name}={value}" for name, value in fields_of(record).items())
        return super().format(record) + fields


class JsonFormatter(logging.Formatter):
    """One JSON object: ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {**fields_of(record)}
        line |= {"time": at, "level": record.levelname, "logger": record.name}
        return json.dumps(line | {"message": record.getMessage()}, default=str)


def configure_logging(
    level: str, log_format: str = "text", to: logging.Handler | None = None
) -> None:
    """Log to stderr or elsewhere; Pipecat's loguru goes the same way.

    Args:
        level: Lowest level: TRACE, DEBUG, INFO, WARNING or ERROR.
        log_format: ``text`` or ``json``.
        to: Where to; None = stderr.
    """
    logging.addLevelName(TRACE, "TRACE")
    handler = to or logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    logging.basicConfig(level=level, handlers=[handler])
    if to is not None and to not in root.handlers:  # the program logs elsewhere, too
        root.addHandler(to)
        lowest = logging.getLevelNamesMapping()[level]
        root.setLevel(min(root.level, lowest) or lowest)
    for each in {handler, *logging.getLogger().handlers}:
        each.addFilter(LibraryFilter())
        each.addFilter(OneLineFilter())
    _import_loguru()
    from loguru import logger

    logger.remove()
    _taken.add(_take_loguru(handler.handle, level))


def _import_loguru() -> None:
    """Import it, for the first time, without a handler: the one that is added first has number 0,
    which a bot's file may take away to log as it likes.
    """
    kept = os.environ.get(_AUTOINIT)
    os.environ[_AUTOINIT] = "False"
    try:
        import_module("loguru")
    finally:
        del os.environ[_AUTOINIT]
        if kept is not None:
            os.environ[_AUTOINIT] = kept


def quiet_pipecat(level: str) -> None:
    """Lead Pipecat's loguru into ``logging``, from ``level`` on, unless the program set it up.

    Left alone, loguru writes everything to stderr, what people say included. A program that has
    taken loguru's first handler away has its own idea of it, which stays.
    """
    from loguru import logger

    if 0 in _taken:
        return
    try:
        logger.remove(0)
    except ValueError:
        return
    clean = LibraryFilter()

    def handle(record: logging.LogRecord) -> None:
        clean.filter(record)
        target = logging.getLogger(record.name)
        if target.isEnabledFor(record.levelno):
            target.handle(record)

    _take_loguru(handle, level)


def _take_loguru(handle: Callable[[logging.LogRecord], object], level: str) -> int:
    from loguru import logger

    def forward(message: Any) -> None:
        said = message.record
        record = logging.LogRecord(
            said["name"] or "loguru",
            said["level"].no,
            said["file"].path,
            said["line"],
            said["message"],
            None,
            tuple(said["exception"]) if said["exception"] else None,
            said["function"],
        )
        record.levelname = said["level"].name
        handle(record)

    return logger.add(forward, level=level, format="{message}", diagnose=False, backtrace=False)
