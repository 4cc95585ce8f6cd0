"""Why nobody is put on a session, and what he is told of it."""

from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_server.authenticator import AuthenticatorFailedError
from voxwire_server.caps import CapReachedError
from voxwire_server.session.admission import NoSuchBotError
from voxwire_server.session.registry import CapacityError
from voxwire_server.session.start_rates import StartRateError
from voxwire_server.session.store import Replica, StoreUnreachableError
from voxwire_server.session.ticket import Refused
from voxwire_server.tokens import TokenError

__all__ = [
    "REFUSALS",
    "BusyError",
    "ClosingError",
    "ElsewhereError",
    "LeftError",
    "NoPlaceError",
    "NotYoursError",
    "refusal_of",
]

_FULL_MS: Final = 2000
_UNREACHABLE_MS: Final = 1000
_GOING_MS: Final = 1000
_BUSY_MS: Final = 5000


class BusyError(Exception):
    """One more session would be too much for the process."""


class NotYoursError(Exception):
    """No such session, or not the caller's: nobody is told which."""


class ClosingError(Exception):
    """The process is shutting down."""


class LeftError(Exception):
    """Whoever came has gone meanwhile."""


class NoPlaceError(Exception):
    """There is no place, and none to wait for it, or it was waited for in vain.

    Attributes:
        reason: Which of them.
        retry_after_ms: When another try is worth it.
    """

    def __init__(self, reason: str, retry_after_ms: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_ms = retry_after_ms


class ElsewhereError(Exception):
    """Another process owns the session: ``replica``."""

    def __init__(self, replica: Replica) -> None:
        super().__init__(replica.name)
        self.replica = replica


REFUSALS: Final = (
    AuthenticatorFailedError,
    BusyError,
    CapReachedError,
    CapacityError,
    ChannelError,
    NoSuchBotError,
    StartRateError,
    StoreUnreachableError,
    TokenError,
    ClosingError,
    LeftError,
    NoPlaceError,
    NotYoursError,
)
"""Everything that :func:`refusal_of` knows."""


def refusal_of(error: Exception) -> Refused:
    """What is told of each reason."""
    code = wire.ErrorCode
    match error:
        case TokenError() | ChannelError():
            return Refused(error.code, error.reason)
        case NoSuchBotError():
            return Refused(code.ERROR_CODE_INVALID_ARGUMENT, str(error))
        case CapacityError():
            return Refused(code.ERROR_CODE_CAPACITY, "the server is full", _FULL_MS)
        case NoPlaceError():
            return Refused(code.ERROR_CODE_CAPACITY, error.reason, error.retry_after_ms)
        case BusyError():
            return Refused(code.ERROR_CODE_CAPACITY, "the server is too busy", _BUSY_MS)
        case CapReachedError():
            return Refused(code.ERROR_CODE_CAPACITY, error.reason, error.retry_after_ms)
        case StartRateError():
            return Refused(code.ERROR_CODE_RATE_LIMITED, error.reason, error.retry_after_ms)
        case StoreUnreachableError():
            reason = "the server cannot decide just now"
            return Refused(code.ERROR_CODE_CAPACITY, reason, _UNREACHABLE_MS)
        case AuthenticatorFailedError():
            reason = "who comes cannot be looked up just now"
            return Refused(code.ERROR_CODE_CAPACITY, reason, _UNREACHABLE_MS)
        case ClosingError():
            reason = "the server is shutting down"
            return Refused(code.ERROR_CODE_GOING_AWAY, reason, _GOING_MS)
        case LeftError():
            return Refused(code.ERROR_CODE_CONNECTION_LOST, "the client has gone")
        case _:
            reason = "the session is over, or it is not yours"
            return Refused(code.ERROR_CODE_SESSION_EXPIRED, reason)
