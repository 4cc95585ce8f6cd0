"""What the commands share: exit codes, and errors as one line on stderr."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, Final

from voxwire_protocol.errors import (
    BotError,
    MediaError,
    ProtocolError,
    SessionError,
    SignalingError,
    TransportError,
    UsageError,
    VoxwireError,
)

__all__ = ["INTERRUPTED", "run"]

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
    """Runs a command; returns the exit code. Errors are one line on stderr."""
    try:
        return asyncio.run(command)
    except VoxwireError as error:
        print(f"voxwire: {' '.join(str(error).split())}", file=sys.stderr)
        return _EXIT_CODES.get(type(error), 1)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read what is printed has gone
        sys.stderr.close()
        return 1
