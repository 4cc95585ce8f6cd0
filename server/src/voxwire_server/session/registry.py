"""The sessions of this process: each with the task that owns it."""

import asyncio
import base64
import logging
import secrets
from collections.abc import Iterator
from typing import Final

from voxwire_protocol import wire
from voxwire_server.session.session import Session

__all__ = ["CapacityError", "SessionRegistry"]

_log = logging.getLogger("voxwire.session")

_NAME_BYTES: Final = 5
_ID_BYTES: Final = 16
_CANCELLED_MS: Final = 250
"""What is left of the time to end for sessions that are cancelled."""
_FAILED: Final = 4000 + wire.ErrorCode.ERROR_CODE_INTERNAL
_GOING: Final = "the server shuts down; a new connection finds another one"


class CapacityError(Exception):
    """The process has as many sessions as it may, or is shutting down."""


def _random_name(num_bytes: int) -> str:
    return base64.b32encode(secrets.token_bytes(num_bytes)).decode().rstrip("=").lower()


class SessionRegistry:
    """Owns the sessions' tasks, and ends them.

    Args:
        max_sessions: Most sessions at once.
    """

    def __init__(self, max_sessions: int) -> None:
        self.name = _random_name(_NAME_BYTES)
        """Name of this process; the ids of its sessions begin with it."""
        self.closing = False
        self.draining = False
        """True when no session is begun any more, and those that there are go on."""
        self._leaves_at_ms = 0.0
        self.max_sessions = max_sessions
        """Most sessions at once."""
        self._sessions: dict[str, Session] = {}
        self._reserved: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    @property
    def full(self) -> bool:
        """True when no more sessions are taken."""
        taken = len(self._sessions) + len(self._reserved)
        return self.closing or taken >= self.max_sessions

    @property
    def reserved(self) -> int:
        """Number of the places that are kept for sessions which are about to begin."""
        return len(self._reserved)

    @property
    def leaving(self) -> bool:
        """True when no session is begun any more; those that there are may go on."""
        return self.draining or self.closing

    @property
    def heard_by_somebody(self) -> bool:
        """True while a client is on a session: somebody would hear what another one costs."""
        return any(session.control.attached and not session.over for session in self)

    def reserve(self, session_id: str = "") -> str:
        """Keep a place for a session.

        Args:
            session_id: One that another process had; empty = a new one.

        Returns:
            The id that it will have; :meth:`start` or :meth:`give_back` takes it.

        Raises:
            CapacityError: The process is full or shutting down.
        """
        if self.full:
            raise CapacityError
        session_id = session_id or f"{self.name}.{_random_name(_ID_BYTES)}"
        self._reserved.add(session_id)
        return session_id

    def give_back(self, session_id: str) -> None:
        """No session came of a place that was reserved. Nothing when one did."""
        self._reserved.discard(session_id)

    def get(self, session_id: str) -> Session | None:
        """A session of this process; it may be over."""
        return self._sessions.get(session_id)

    def start(self, session: Session) -> "asyncio.Task[None]":
        """Run the owner task of a session in the place that was reserved for it."""
        self._reserved.discard(session.id)
        self._sessions[session.id] = session
        task = asyncio.get_running_loop().create_task(session.run(), name=f"session {session.id}")
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._over(session, task))
        return task

    def _over(self, session: Session, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._sessions.get(session.id) is session:  # else it is back already
            del self._sessions[session.id]
        session.end(wire.EndReason.END_REASON_ERROR)  # one that was cancelled has not said so
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("session failed", exc_info=error, extra={"session": session.id})
            session.control.close(_FAILED, "the session failed")

    def leave(self, at_ms: float) -> None:
        """Begin no session any more, and tell every client.

        Args:
            at_ms: When the process ends the rest, by their clock.
        """
        self.draining = True
        self._leaves_at_ms = at_ms
        for session in self:
            self.tell_going(session)

    def tell_going(self, session: Session) -> None:
        """Tell a client how long is left, if the process leaves and its session goes on."""
        if not self.leaving or session.over:
            return
        left_ms = max(0, round(self._leaves_at_ms - session.now_ms()))
        try:
            session.emit(go_away=wire.GoAway(reason=_GOING, time_left_ms=left_ms))
        except Exception:  # the others are told all the same
            _log.exception("a client was not told", extra={"session": session.id})

    async def emptied(self) -> None:
        """Wait until there is no session any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self, timeout_ms: int) -> None:
        """End every session and wait until nothing of them remains, or the time is over."""
        self.closing = True
        for session in self:
            session.end(wire.EndReason.END_REASON_SERVER)
        tasks = list(self._tasks)
        if tasks:
            cancelled_ms = min(_CANCELLED_MS, timeout_ms / 2)
            _, left = await asyncio.wait(tasks, timeout=(timeout_ms - cancelled_ms) / 1000)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=cancelled_ms / 1000)
