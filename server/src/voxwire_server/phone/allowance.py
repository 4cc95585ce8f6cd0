"""Whom a bot may call, and how often: calls cost, and a caller may talk a bot into them. Pure."""

import re
from collections import deque
from collections.abc import Iterable
from typing import Final

from voxwire_protocol.errors import ErrorCode, make_error

__all__ = ["Allowance"]

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_PREFIX: Final = re.compile(r"\+[1-9][0-9]{0,14}")
_LOOSE: Final = str.maketrans("", "", " -()./\u00a0")
_MINUTE_S: Final = 60.0
_DAY_S: Final = 86_400.0


class Allowance:
    """What calls a process may make.

    Args:
        prefixes: What numbers begin with that may be called: ``+49``; none = nobody may be.
        per_minute: Most calls within 60 s.
        per_day: Most calls within 24 hours.

    Raises:
        ValueError: A prefix is none.
    """

    def __init__(self, prefixes: Iterable[str], *, per_minute: int, per_day: int) -> None:
        self._prefixes = tuple(prefixes)
        for prefix in self._prefixes:
            if not _PREFIX.fullmatch(prefix):
                raise ValueError(f"{prefix!r} is no prefix of a number, like +49 or +4420")
        self._per_minute = per_minute
        self._per_day = per_day
        self._made: deque[float] = deque()

    def number(self, to: str) -> str:
        """A number that may be called, as vendors write it (E.164).

        Raises:
            VoxwireError: INVALID_ARGUMENT: it is none; FORBIDDEN: it may not be called.
        """
        found = to.translate(_LOOSE)
        if not _NUMBER.fullmatch(found):
            reason = "a number to call begins with + and its country"
            raise make_error(ErrorCode.INVALID_ARGUMENT, reason)
        if not found.startswith(self._prefixes):
            reason = "VOXWIRE_CALL_PREFIXES does not allow calls to that number"
            raise make_error(ErrorCode.FORBIDDEN, reason)
        return found

    def take(self, now_s: float) -> None:
        """Count a call that is about to be made, whatever comes of it.

        Args:
            now_s: Seconds of a clock that does not go back.

        Raises:
            VoxwireError: RATE_LIMITED: there were as many as may be.
        """
        while self._made and now_s - self._made[0] >= _DAY_S:
            self._made.popleft()
        lately = [at for at in self._made if now_s - at < _MINUTE_S]
        for made, most, length_s in (
            (list(self._made), self._per_day, _DAY_S),
            (lately, self._per_minute, _MINUTE_S),
        ):
            if len(made) >= most:
                wait_s = length_s - (now_s - made[-most]) if most else length_s
                raise make_error(
                    ErrorCode.RATE_LIMITED,
                    f"{most} calls within {length_s:.0f} s were made: that is all that may be",
                    retryable=True,
                    retry_after_ms=max(1, round(wait_s * 1000)),
                )
        self._made.append(now_s)
