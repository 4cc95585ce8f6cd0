"""What the commands share: exit codes, errors as one line on stderr, files that are written."""

import asyncio
import contextlib
import io
import os
import sys
from collections.abc import Callable, Coroutine, Generator
from typing import IO, Any, Final

from voxwire_protocol.errors import (
    BotError,
    ErrorCode,
    MediaError,
    ProtocolError,
    SessionError,
    SignalingError,
    TransportError,
    UsageError,
    VoxwireError,
)

__all__ = ["INTERRUPTED", "guarded", "run", "written"]

INTERRUPTED: Final = 130

_EXIT_CODES: Final[dict[type[VoxwireError], int]] = {
    UsageError: 2,
    SessionError: 3,
    SignalingError: 4,
    TransportError: 5,
    MediaError: 6,
    ProtocolError: 7,
    BotError: 8,
}


def run(command: Coroutine[Any, Any, int]) -> int:
    """Runs a command that needs an event loop; returns the exit code."""
    return asyncio.run(command)


def guarded(command: Callable[[], int]) -> int:
    """Runs a command; returns the exit code. Whatever it fails with is one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal cannot show is a ?
    try:
        code = command()
        sys.stdout.flush()
        return code
    except VoxwireError as error:
        _say(str(error))
        return _EXIT_CODES.get(type(error), 1)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read what is printed has gone
        _to_nowhere()
        return 1
    except OSError as error:
        _to_nowhere()
        _say(f"{type(error).__name__}: {error.strerror or error}")
        return 1
    except Exception as error:
        _say(f"{ErrorCode.INTERNAL.name}: {type(error).__name__}: {error}")
        return 1


@contextlib.contextmanager
def written(path: str | None) -> Generator[IO[str] | None]:
    """A text file that a command writes; None = nowhere.

    Raises:
        MediaError: DEVICE: it cannot be written.
    """
    if path is None:
        yield None
        return
    try:
        file = open(path, "w", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed below
    except OSError as error:
        raise MediaError(ErrorCode.DEVICE, f"cannot write {path}: {error.strerror}") from error
    with file:
        yield file


def _say(what: str) -> None:
    print(f"voxwire: {' '.join(what.split())}", file=sys.stderr)


def _to_nowhere() -> None:
    """What is left to be printed goes nowhere: Python would complain once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
