"""Errors: one root, a closed code, families by what the caller does next.

The codes and what they mean: ``protocol/spec/errors.md``.
"""

from enum import IntEnum
from typing import Final

from voxwire_protocol import wire

__all__ = [
    "BotError",
    "ErrorCode",
    "MediaError",
    "ProtocolError",
    "RecoveryAction",
    "SessionError",
    "SignalingError",
    "TransportError",
    "UsageError",
    "VoxwireError",
    "error_from_close",
    "error_from_wire",
    "make_error",
]

CLOSE_CODE_BASE: Final = 4000
"""A refusal closes the WebSocket with this plus the error code (RFC 6455 §7.4.2: 4000-4999)."""


class ErrorCode(IntEnum):
    """What went wrong; the numbers are those of ``error.proto``, which explains each."""

    INVALID_ARGUMENT = 1
    INVALID_STATE = 2
    MISSING_EXTRA = 3
    UNSUPPORTED = 4
    UNAUTHORIZED = 20
    FORBIDDEN = 21
    CAPACITY = 22
    RATE_LIMITED = 23
    SESSION_EXPIRED = 24
    SUPERSEDED = 25
    DURATION_LIMIT = 26
    GOING_AWAY = 27
    BAD_SDP = 40
    ICE_FAILED = 41
    TURN_FAILED = 42
    UNREACHABLE = 50
    CONNECTION_LOST = 51
    TIMEOUT = 52
    DEVICE = 60
    PERMISSION_DENIED = 61
    UNSUPPORTED_FORMAT = 62
    AUDIO_OVERRUN = 63
    MALFORMED = 70
    TOO_LARGE = 71
    UNEXPECTED_MESSAGE = 72
    VERSION = 73
    BOT_FAILED = 80
    SERVICE_FAILED = 81
    TOOL_FAILED = 82
    TOOL_CLOSED = 83
    INTERNAL = 99


class RecoveryAction(IntEnum):
    """What to do next; the numbers are those of ``error.proto``."""

    NONE = 1
    RESUME = 2
    RECONNECT = 3


class VoxwireError(Exception):
    """The root of every error that Voxwire raises.

    Attributes:
        code: What went wrong, from a closed list.
        reason: One sentence for a developer.
        retryable: True when the same verb may succeed later.
        action: What the caller should do now.
        retry_after_ms: Milliseconds to wait before trying again; 0 = no advice.
    """

    def __init__(
        self,
        code: ErrorCode,
        reason: str,
        *,
        retryable: bool = False,
        action: RecoveryAction = RecoveryAction.NONE,
        retry_after_ms: int = 0,
    ) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason
        self.retryable = retryable
        self.action = action
        self.retry_after_ms = retry_after_ms

    def __reduce__(self) -> tuple[object, ...]:
        """What pickle and copy make it of: an exception's own way calls it with its text only."""
        return _remade, (type(self), self.args), self.__dict__

    @property
    def docs(self) -> str:
        """Where its code is explained, from the repository's root: ``docs/errors.md#timeout``."""
        return f"docs/errors.md#{self.code.name.lower()}"


def _remade(family: type[VoxwireError], args: tuple[object, ...]) -> VoxwireError:
    """An error without its attributes; pickle sets them."""
    return family.__new__(family, *args)


class UsageError(VoxwireError):
    """The program asks for what cannot be: change the call."""


class SessionError(VoxwireError):
    """The server refuses or has given up the session: get a token, wait, or connect anew."""


class SignalingError(VoxwireError):
    """No media path could be agreed on: try another transport."""


class TransportError(VoxwireError):
    """The wire failed or was too slow: try again."""


class MediaError(VoxwireError):
    """A device or an audio format: choose another."""


class ProtocolError(VoxwireError):
    """The two sides do not understand each other: update one of them."""


class BotError(VoxwireError):
    """The bot or a service behind it failed: look at the bot's log."""


_FAMILIES: Final[tuple[tuple[int, type[VoxwireError]], ...]] = (
    (20, UsageError),
    (40, SessionError),
    (50, SignalingError),
    (60, TransportError),
    (70, MediaError),
    (80, ProtocolError),
    (100, BotError),
)


def make_error(
    code: ErrorCode,
    reason: str,
    *,
    retryable: bool = False,
    action: RecoveryAction = RecoveryAction.NONE,
    retry_after_ms: int = 0,
) -> VoxwireError:
    """Makes the error of the family that `code` belongs to."""
    family = next(family for end, family in _FAMILIES if code < end)
    return family(code, reason, retryable=retryable, action=action, retry_after_ms=retry_after_ms)


def code_from_wire(value: int) -> ErrorCode:
    """The code with that number; one that this version does not know becomes ``INTERNAL``."""
    try:
        return ErrorCode(value)
    except ValueError:
        return ErrorCode.INTERNAL


def action_from_wire(value: int) -> RecoveryAction:
    """The action with that number; unspecified and unknown ones become ``NONE``."""
    try:
        return RecoveryAction(value)
    except ValueError:
        return RecoveryAction.NONE


def error_from_wire(error: wire.Error) -> VoxwireError:
    """Makes the exception that an ``Error`` message describes."""
    return make_error(
        code_from_wire(error.code),
        error.reason or "the peer gave no reason",
        retryable=error.retryable,
        action=action_from_wire(error.action),
        retry_after_ms=error.retry_after_ms,
    )


def error_from_close(close_code: int, reason: str) -> VoxwireError:
    """Makes the exception for a WebSocket that the peer closed.

    Args:
        close_code: RFC 6455 close code; ``4000 + ErrorCode`` names the error.
        reason: The close reason; may be empty.
    """
    number = close_code - CLOSE_CODE_BASE
    if number in ErrorCode.__members__.values():
        code = ErrorCode(number)
        return make_error(code, reason or f"the peer closed with code {close_code}")
    return make_error(
        ErrorCode.CONNECTION_LOST,
        f"the connection closed with code {close_code}" + (f" ({reason})" if reason else ""),
        retryable=True,
        action=RecoveryAction.RECONNECT,
    )
