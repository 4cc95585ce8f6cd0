"""What other processes need of the sessions of this one, written behind the conversations.

Nobody waits for it. A session that has something new to keep is written 100 ms later, with all that
has come by then; while the engine cannot be reached, the newest of each waits, and no more than
that. What a client has heard for 250 ms is to be kept: so nothing new waits until the engine has
answered what was written before, and what failed is tried again in 100 ms, then less often.
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
_AT_ONCE: Final = 4
"""So often may be written before the engine has answered."""
_MOST_MS: Final = 1000
"""How long it is waited at most before what failed is tried again; the first time it is 100 ms."""
_TURN_MS: Final = 10
"""How long packing may hold the loop before others have a turn."""
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
        self._num_writing = 0
        self._num_failed = 0

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
        """Whether this process has a session still, with all that is kept of it by now.

        A session that is not kept cannot be taken by another one.
        """
        if session.numbered is None or not session.resumable:
            return True
        try:
            return await self._saved(session, behind=False)
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
        self._plan()

    def _told(self, session: Session, envelope: wire.Envelope) -> None:
        kind = envelope.WhichOneof("payload")
        if kind in _LASTING or (kind == "transcript" and envelope.transcript.final):
            self.changed(session)

    def _plan(self) -> None:
        if self._new and self._next is None and self._num_writing < _AT_ONCE:
            wait_ms = min(KEEPS_MS << min(max(0, self._num_failed - 1), 8), _MOST_MS)
            self._next = self._clock.call_later(wait_ms, self._begin)

    def _begin(self) -> None:
        self._next = None
        self._num_writing += 1
        self._spawn(self._write())

    async def _write(self) -> None:
        """Write all that is new; what comes meanwhile is new again."""
        sessions, self._new = list(self._new.values()), {}
        try:
            kept = await self._all_kept(sessions)
            has_failed = bool(kept) and not any(kept.values())
            self._num_failed = self._num_failed + 1 if has_failed else 0
            for session in sessions:
                if not kept[session.id] and not session.over:
                    self._new.setdefault(session.id, session)
        finally:
            self._num_writing -= 1
            self._plan()

    async def _all_kept(self, sessions: list[Session]) -> dict[str, bool]:
        """Write sessions at once; by id, False = the store cannot be reached."""
        kept = dict.fromkeys((session.id for session in sessions), True)

        async def keep(session: Session, snapshot: bytes) -> None:
            try:
                await self._save(session, snapshot, behind=True)
            except StoreUnreachableError:
                kept[session.id] = False

        since_ms = self._clock.now_ms()
        async with asyncio.TaskGroup() as group:
            for session in sessions:
                if self._clock.now_ms() - since_ms >= _TURN_MS:
                    await asyncio.sleep(0)
                    since_ms = self._clock.now_ms()
                snapshot = self._packed_if_it_can_be(session)
                if snapshot is not None:
                    group.create_task(keep(session, snapshot))
        return kept

    def _packed_if_it_can_be(self, session: Session) -> bytes | None:
        """None = it cannot be resumed, or packed; that costs the others, and itself, nothing."""
        try:
            return None if session.over else self._packed(session)
        except Exception:
            _log.exception("a session cannot be kept", extra={"session": session.id})
            return None

    async def write(self, session: Session) -> bool:
        """Write a session now; the store may take a second for it.

        Returns:
            False when it cannot be resumed or packed, or is not this process's any more.

        Raises:
            StoreUnreachableError: It may be written or not.
        """
        return await self._saved(session, behind=True)

    async def _saved(self, session: Session, *, behind: bool) -> bool:
        snapshot = self._packed_if_it_can_be(session)
        return snapshot is not None and await self._save(session, snapshot, behind=behind)

    def _packed(self, session: Session) -> bytes | None:
        """None = it cannot be resumed."""
        kept = session.keep()
        return None if kept is None else self._snapshots.pack(session.id, kept)

    async def _save(self, session: Session, snapshot: bytes, *, behind: bool) -> bool:
        return await self._store.save(
            session.id, self._me, snapshot, term=session.term, behind=behind
        )
