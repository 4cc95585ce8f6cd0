"""What the client asks of the pipeline, one after the other in the order in which it came."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from voxwire_protocol import wire
from voxwire_server.ports import SessionPort

__all__ = ["Errand", "Kind", "Lane"]

_log = logging.getLogger("voxwire.session")

MAX_WAITING: Final = 32
"""Texts and keys that may wait at once."""

_MAX_ERRANDS: Final = 512


class Kind(Enum):
    """What an errand is, as far as others that wait care."""

    QUESTION = "question"
    """Wants an answer: an interruption that comes behind it voids it."""
    INPUT = "input"
    """Tells the bot something; nothing voids it."""
    CUT = "cut"
    """Cuts the bot off."""
    CALL = "call"
    """About a tool call."""


@dataclass(slots=True)
class Errand:
    """Something that the pipeline is to be told.

    Attributes:
        kind: What it is.
        run: Does it; is given the errand, so that it can see whether it was voided meanwhile.
        void: Whether an interruption has come behind it.
    """

    kind: Kind
    run: "Callable[[Errand], Awaitable[None]]"
    void: bool = False


class Lane:
    """The errands of one session, served by one task while there are any.

    They wait until the pipeline has started, and each until the one before is done. One that
    fails is told to the client, and the next one goes on.

    Args:
        port: The session.
        session_id: Names it in the log.
        ready: Set when the pipeline has started.
        over: True when the session ends or has ended: nothing is taken any more.
    """

    def __init__(
        self, port: SessionPort, *, session_id: str, ready: asyncio.Event, over: Callable[[], bool]
    ) -> None:
        self._port = port
        self._session_id = session_id
        self._ready = ready
        self._over = over
        self._waiting: deque[Errand] = deque()
        self._running: Errand | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """True when no more texts and keys are taken."""
        taken = (Kind.QUESTION, Kind.INPUT)
        return sum(errand.kind in taken for errand in self._waiting) >= MAX_WAITING

    @property
    def idle(self) -> bool:
        """True when nothing waits and nothing is being done."""
        return self._running is None and not self._waiting

    def put(self, kind: Kind, run: Callable[[Errand], Awaitable[None]]) -> bool:
        """Let ``run`` happen behind everything that waits.

        Returns:
            False = it never will: the session is over, or too much waits, which the client is told.
        """
        if self._over():
            return False
        if len(self._waiting) >= _MAX_ERRANDS:
            reason = "too much waits for the bot"
            self._port.emit_error(wire.ErrorCode.ERROR_CODE_RATE_LIMITED, reason)
            return False
        self._waiting.append(Errand(kind, run))
        if self._task is None or self._task.done():
            self._task = self._port.spawn(self._serve())
        return True

    def cut(self, run: Callable[[Errand], Awaitable[None]]) -> None:
        """Void the questions that wait or are being asked, then let ``run`` cut the bot off.

        Before the pipeline has started there is nothing to cut.
        """
        if self._running is not None and self._running.kind is Kind.QUESTION:
            self._running.void = True
        kept = [errand for errand in self._waiting if errand.kind is not Kind.QUESTION]
        self._waiting = deque(kept)
        cut_already = bool(kept) and kept[-1].kind is Kind.CUT
        if self._ready.is_set() and not cut_already:
            self.put(Kind.CUT, run)

    def soon(self, act: Callable[[], None]) -> None:
        """Do ``act`` now when nothing waits or runs, else in its turn: it never overtakes."""
        if self.idle:
            act()
            return

        async def run(_: Errand) -> None:
            act()

        self.put(Kind.CALL, run)

    async def _serve(self) -> None:
        await self._ready.wait()
        while self._waiting:
            errand = self._running = self._waiting.popleft()
            try:
                await errand.run(errand)
            except Exception:
                fields = {"session": self._session_id, "kind": errand.kind.value}
                _log.exception("the pipeline did not take what the client asked", extra=fields)
                reason = "the bot's pipeline could not take what the client asked"
                self._port.emit_error(wire.ErrorCode.ERROR_CODE_INTERNAL, reason)
            finally:
                self._running = None
