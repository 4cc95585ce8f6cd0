"""The executing side of ``tools``, which runs each call at most once: all that a client needs."""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from voxwire_protocol.errors import ErrorCode

__all__ = ["KEPT_RESULT_BYTES", "KEPT_RUNS", "CallError", "Run", "ToolRuns", "size_bytes"]

KEPT_RUNS: Final = 256
"""Finished or withdrawn calls that are remembered, so that a repeated request runs nothing."""

KEPT_RESULT_BYTES: Final = 512 * 1024
"""Most bytes of results that are kept to be sent again."""


class Run(StrEnum):
    """What to do with a request or a withdrawal."""

    START = "start"  # run the tool; say ToolAccepted first
    RUNNING = "running"  # it runs already: say ToolAccepted again
    FINISHED = "finished"  # it ran: send result_of() again, if it is still kept
    STOP = "stop"  # stop the tool
    IGNORE = "ignore"  # nothing


@dataclass(frozen=True, slots=True)
class CallError:
    """Why a call failed.

    Attributes:
        code: What went wrong.
        reason: One sentence; may be the client's own words, so it is content.
        retryable: True when the same call may succeed later.
    """

    code: ErrorCode
    reason: str = field(repr=False)
    retryable: bool = False


@dataclass(slots=True)
class _Over:
    result: str | CallError | None
    withdrawn: bool


class ToolRuns:
    """The calls that this side executes. Pure; owned by the session.

    A request may come twice (a carrier repeats it, a resume delivers it again) and behind its own
    withdrawal; the tool runs at most once all the same.
    """

    def __init__(self) -> None:
        """Creates a machine that has run nothing."""
        self._running: set[str] = set()
        self._over: OrderedDict[str, _Over] = OrderedDict()
        self._kept_bytes = 0

    @property
    def running(self) -> frozenset[str]:
        """Calls whose tool runs now."""
        return frozenset(self._running)

    def request(self, call_id: str) -> Run:
        """Takes a request: START the first time, RUNNING, FINISHED or IGNORE after that."""
        if call_id in self._running:
            return Run.RUNNING
        over = self._over.get(call_id)
        if over is None:
            self._running.add(call_id)
            return Run.START
        return Run.IGNORE if over.withdrawn else Run.FINISHED

    def finish(self, call_id: str, result: str | CallError) -> bool:
        """Notes what a tool returned or raised; True = send it as the ``ToolResult``.

        False for a call that was withdrawn in the meantime, or has finished.
        """
        if call_id not in self._running:
            return False
        self._running.remove(call_id)
        self._remember(call_id, _Over(result, withdrawn=False))
        return True

    def withdraw(self, call_id: str) -> Run:
        """Takes a ``ToolCancel``: STOP a running tool, IGNORE anything else.

        A request that comes after its withdrawal is ignored.
        """
        if call_id in self._over:
            return Run.IGNORE
        running = call_id in self._running
        self._running.discard(call_id)
        self._remember(call_id, _Over(None, withdrawn=True))
        return Run.STOP if running else Run.IGNORE

    def result_of(self, call_id: str) -> str | CallError | None:
        """Returns what a finished call gave; None when it is not kept any more."""
        over = self._over.get(call_id)
        return over.result if over else None

    def _remember(self, call_id: str, over: _Over) -> None:
        self._over[call_id] = over
        if over.result is not None:
            self._kept_bytes += size_bytes(over.result)
        if len(self._over) > KEPT_RUNS:
            self._forget_result(self._over.popitem(last=False)[1])
        for oldest in self._over.values():
            if self._kept_bytes <= KEPT_RESULT_BYTES:
                break
            self._forget_result(oldest)

    def _forget_result(self, over: _Over) -> None:
        if over.result is not None:
            self._kept_bytes -= size_bytes(over.result)
            over.result = None


def size_bytes(result: str | CallError) -> int:
    """Bytes of a result on the wire, without its frame."""
    text = result if isinstance(result, str) else result.reason
    return len(text.encode(errors="surrogatepass"))
