"""What a process keeps in the store: its leases, renewed as long as it lives."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock, Timer
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.session.store import Owner, SessionStore, StoreUnreachableError

__all__ = ["BEAT_MS", "Leases"]

_log = logging.getLogger("voxwire.session")

BEAT_MS: Final = 2000
"""How often the store is told that this process lives, milliseconds."""
_TAKEN: Final = wire.Error(
    code=wire.ErrorCode.ERROR_CODE_SUPERSEDED,
    reason="another process has taken the session over",
    action=wire.RecoveryAction.RECOVERY_ACTION_NONE,
    fatal=True,
)


class Leases:
    """Renews the leases of one process.

    Args:
        registry: The sessions of this process.
        store: Where processes agree.
        me: This process.
        clock: The clock to run by.
        spawn: Runs what asks the store.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        store: SessionStore,
        me: Owner,
        *,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._registry = registry
        self._store = store
        self._me = me
        self._clock = clock
        self._spawn = spawn
        self._next_beat: Timer | None = None

    def begin(self) -> None:
        """Tell the store that this process lives, from now on. Idempotent."""
        if self._next_beat is None:
            self._beat_later()

    def stop(self) -> None:
        """The process ends. Idempotent."""
        if self._next_beat is not None:
            self._next_beat.cancel()

    def _beat_later(self) -> None:
        self._next_beat = self._clock.call_later(BEAT_MS, lambda: self._spawn(self._beat()))

    async def _beat(self) -> None:
        try:
            await self.beat()
        except StoreUnreachableError:
            _log.warning("the store of sessions cannot be reached")
        finally:  # whatever went wrong: a process that is not heard of loses its sessions
            if not self._registry.closing:
                self._beat_later()

    async def beat(self) -> None:
        """Renew the leases of this process, and end the sessions that another one has taken.

        Raises:
            StoreUnreachableError: Nothing has changed.
        """
        mine = [session.id for session in self._registry if not session.over]
        lost = await self._store.beat(self._me, mine)
        for session_id in lost:
            session = self._registry.get(session_id)
            if session is not None:
                session.end(wire.EndReason.END_REASON_ERROR, _TAKEN)
