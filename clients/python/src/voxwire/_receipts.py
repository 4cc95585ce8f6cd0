"""Who waits until the other end has what was sent. Numbers are those of the channel."""

import asyncio
from typing import NamedTuple

from voxwire_protocol.errors import (
    ErrorCode,
    TransportError,
    UsageError,
    VoxwireError,
    make_error,
)

__all__ = ["Receipts"]


class _Awaited(NamedTuple):
    number: int
    done: "asyncio.Future[None]"


class Receipts:
    """The receipts that a session's program waits for; ends with `close`."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._reached = 0
        self._awaited: list[_Awaited] = []

    async def wait(self, number: int, timeout_ms: float) -> None:
        """Waits until the other end has every message up to that number. Cancel-safe.

        Raises:
            VoxwireError: TIMEOUT; CONNECTION_LOST: it will never have it; why the session ended.
        """
        if number <= self._reached:
            return
        mine = _Awaited(number, asyncio.get_running_loop().create_future())
        self._awaited.append(mine)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await mine.done
        except TimeoutError:
            reason = f"the server has not acknowledged what was sent within {timeout_ms:g} ms"
            raise TransportError(ErrorCode.TIMEOUT, reason, retryable=True) from None
        finally:
            if mine in self._awaited:
                self._awaited.remove(mine)

    def reached(self, number: int) -> None:
        """The other end has every message up to that number."""
        self._reached = number
        for one in [it for it in self._awaited if it.number <= number]:
            self._awaited.remove(one)
            if not one.done.done():
                one.done.set_result(None)

    def void(self) -> None:
        """Both sides number anew, and the other end has nothing that it had not acknowledged."""
        self._reached = 0
        reason = "the session went on from a snapshot without what the server had not acknowledged"
        self._fail(make_error(ErrorCode.CONNECTION_LOST, reason, retryable=True))

    def close(self, failure: VoxwireError | None) -> None:
        """The session is over: nothing is acknowledged any more."""
        self._fail(failure or UsageError(ErrorCode.INVALID_STATE, "the session has ended"))

    def _fail(self, error: VoxwireError) -> None:
        awaited, self._awaited = self._awaited, []
        for one in awaited:
            if not one.done.done():
                one.done.set_exception(error)
