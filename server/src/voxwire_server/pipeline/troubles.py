"""What went wrong with a service of the bot, read from what its client library raised. Pure.

Providers tell the same trouble in many ways: an HTTP status, a WebSocket close code, a sentence.
What the client learns is one of a few fixed texts; what the provider wrote stays in the log.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["LOST", "MALFORMED", "SILENT", "Trouble", "trouble_of"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One kind of trouble.

    Attributes:
        kind: A short name, for logs and for decisions.
        reason: What the client is told.
        retryable: Whether it may be over by itself.
        retry_after_ms: When to look again; 0 = no idea.
    """

    kind: str
    reason: str
    retryable: bool = True
    retry_after_ms: int = 0


_KEY: Final = Trouble("key", "the provider of a service refused the server's key", False)
_QUOTA: Final = Trouble(
    "quota", "the quota at the provider of a service is used up", retry_after_ms=30_000
)
MALFORMED: Final = Trouble("malformed", "the provider of a service sent what cannot be read")
SILENT: Final = Trouble("silent", "the provider of a service does not answer")
LOST: Final = Trouble("lost", "the connection to the provider of a service was lost")
_REFUSED: Final = Trouble("refused", "the provider of a service refused a request", False)
_UNKNOWN: Final = Trouble("unknown", "a service of the bot failed", False)

_SIGNS: Final = (
    (_KEY, r"api[ _-]?key|unauthori[sz]ed|unauthenticated|unregistered callers|credential"),
    (_KEY, r"permission[ _]denied|access ?denied|HTTP 40[13]\b|security token"),
    (_QUOTA, r"quota|rate.?limit|resource.?exhausted|too many requests|HTTP 429\b|throttl"),
    (MALFORMED, r"failed to parse|json|validation error|decode"),
    (SILENT, r"timed? ?out|with no audio"),
    (LOST, r"connection|deadline expired|internal error|unavailable|HTTP 50\d\b"),
    (LOST, r"going away|\b1006\b|\b1001\b"),
    (LOST, r"websocket|socket|reset by peer|ended the response stream|session not found"),
    (_REFUSED, r"invalid|not found|unsupported|HTTP 4\d\d\b"),
)
_STATUS: Final = {401: _KEY, 403: _KEY, 429: _QUOTA, 500: LOST, 502: LOST, 503: LOST, 504: SILENT}


def _status_of(error: Any) -> int | None:
    """A status or close code that an exception carries."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("code", "status_code"):
            value = getattr(holder, name, None)
            if isinstance(value, int):
                return value
    return None


def trouble_of(error: BaseException | str | None) -> Trouble:
    """What kind of trouble an exception, or a service's own words, is about."""
    if isinstance(error, TimeoutError):
        return SILENT
    known = _STATUS.get(_status_of(error) or 0)
    if known is not None:
        return known
    words = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)
    for trouble, pattern in _SIGNS:
        if re.search(pattern, words, re.IGNORECASE):
            return trouble
    if isinstance(error, OSError):
        return LOST
    if isinstance(error, ValueError | TypeError | KeyError | AttributeError | IndexError):
        return MALFORMED
    return _UNKNOWN
