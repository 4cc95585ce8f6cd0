"""What other processes need of the sessions of this one, written behind the conversations.

Nobody waits for it. A session that has something new to keep is written 100 ms later, with all that
has come by then; while the engine cannot be reached, the newest of each waits, and no more than
that.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock, Timer
from voxwire_server.session.session import Session
from voxwire_server.session.snapshots import Kept, SnapshotError, Snapshots
from voxwire_server.session.store import SessionStore, StoreUnreachableError

__all__ = ["Keeper"]

_log = logging.getLogger("voxwire.session")

KEEPS_MS: Final = 100
_AGAIN_MS: Final = 1000
_LASTING: Final = frozenset(
    {
        "state_changed",
        "utterance_started",
        "utterance_ended",
        "response_started",
        "response_ended",
        "tool_call_started",
        "tool_call_ended",
    }
)


class Keeper:
    """Keeps the sessions of one process.

    Args:
        store: Where.
        snapshots: Packs them.
        me: Name of this process.
        clock: The clock to run by.
        spawn: Runs what asks the store.
    """

    def __init__(
        self,
        store: SessionStore,
        snapshots: Snapshots,
        me: str,
        *,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._me = me
        self._clock = clock
        self._spawn = spawn
        self._new: dict[str, Session] = {}
        self._next: Timer | None = None
        self._writing = False

    def watch(self, session: Session) -> None:
        """Keep a session from now on; it has been welcomed."""
        session.changed = partial(self.changed, session)
        session.outlet.tell(partial(self._told, session))
        session.tools.fence = partial(self.fence, session)
        session.when_ending(lambda: self.forget(session))
        self.changed(session)

    def forget(self, session: Session) -> None:
        """It is over."""
        self._new.pop(session.id, None)

    async def fence(self, session: Session) -> bool:
        """Whether this process has a session still, with all that is kept of it by now."""
        try:
            return not session.resumable or await self.write(session)
        except StoreUnreachableError:
            return False

    def read(self, session_id: str, snapshot: bytes) -> Kept | None:
        """What a process before has kept of a session; None = nothing that can be read."""
        if not snapshot:
            return None
        try:
            return self._snapshots.read(session_id, snapshot)
        except SnapshotError as error:
            _log.warning("a session cannot be taken over: %s", error, extra={"session": session_id})
            return None

    def changed(self, session: Session) -> None:
        """There is something new to keep of a session."""
        self._new[session.id] = session
        if self._next is None and not self._writing:
            self._later(KEEPS_MS)

    def _told(self, session: Session, envelope: wire.Envelope) -> None:
        kind = envelope.WhichOneof("payload")
        if kind in _LASTING or (kind == "transcript" and envelope.transcript.final):
            self.changed(session)

    def _later(self, wait_ms: float) -> None:
        self._next = self._clock.call_later(wait_ms, self._begin)

    def _begin(self) -> None:
        self._next = None
        self._writing = True
        self._spawn(self._write())

    async def _write(self) -> None:
        """Write all that is new; what comes meanwhile is new again."""
        wait_ms = KEEPS_MS
        try:
            sessions, self._new = list(self._new.values()), {}
            kept = await asyncio.gather(*map(self._kept, sessions))
            for session, is_kept in zip(sessions, kept, strict=True):
                if not is_kept:
                    wait_ms = _AGAIN_MS
                    self._new.setdefault(session.id, session)
        finally:
            self._writing = False
            if self._new:
                self._later(wait_ms)

    async def _kept(self, session: Session) -> bool:
        """Write one; False = the store cannot be reached."""
        if session.over:
            return True
        try:
            await self.write(session)
        except StoreUnreachableError:
            return session.over
        return True

    async def write(self, session: Session) -> bool:
        """Write a session now.

        Returns:
            False when it cannot be resumed, or is not this process's any more.

        Raises:
            StoreUnreachableError: It may be written or not.
        """
        kept = session.keep()
        if kept is None:
            return False
        snapshot = self._snapshots.pack(session.id, kept)
        return await self._store.save(session.id, self._me, snapshot, term=session.term)
