"""The sessions of this process, as an operator sees and ends them."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from voxwire_protocol import wire
from voxwire_server.lifecycle import State
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.session.session import Session

__all__ = ["LiveSessions", "states"]

_STATES = {State.ATTACHED: "attached", State.PARKED: "parked", State.ENDED: "ending"}


def states(registry: SessionRegistry) -> dict[str, int]:
    """How many sessions there are in each state."""
    found = dict.fromkeys(_STATES.values(), 0)
    for session in registry:
        found[_STATES[session.life.state]] += 1
    return found


class LiveSessions:
    """What the operator's routes show.

    Args:
        registry: The sessions.
        turns_of: Stages of the last turns of a session.
        number_of: How many it has had.
        num_waiting: How many clients wait for a place.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        turns_of: Callable[[str], list[dict[str, int]]],
        number_of: Callable[[str], int],
        num_waiting: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._turns_of = turns_of
        self._number_of = number_of
        self._num_waiting = num_waiting

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """What each is."""
        return (self._describe(session) for session in self._registry)

    @property
    def waiting(self) -> int:
        """How many clients wait for a place."""
        return self._num_waiting()

    def one(self, session_id: str) -> dict[str, Any] | None:
        """What one is, with its last turns."""
        session = self._registry.get(session_id)
        if session is None:
            return None
        return {**self._describe(session), "last_turns": self._turns_of(session_id)}

    def end(self, session_id: str, reason: str) -> bool:
        """End one; its client is told why with `GoAway`, then that the server ended it."""
        session = self._registry.get(session_id)
        if session is None or session.over:
            return False
        session.emit(go_away=wire.GoAway(reason=reason or "the operator ended this session"))
        session.end(wire.EndReason.END_REASON_SERVER)
        return True

    def _describe(self, session: Session) -> dict[str, Any]:
        facts, turns = session.facts, self._turns_of(session.id)
        return {
            "id": session.id,
            "state": _STATES[session.life.state],
            "bot": facts.bot,
            "user": facts.user,
            "client": " ".join(filter(None, (facts.client.library, facts.client.library_version))),
            "began": round(time.time() - session.age_ms / 1000, 3),
            "age_s": round(session.age_ms / 1000, 1),
            "heard_s": round(session.playout.heard_ms(session.now_ms()) / 1000, 1),
            "turns": self._number_of(session.id),
            "spent": _spent(session),
            "last_turn_ms": turns[-1].get("total_ms") if turns else None,
        }


def _spent(session: Session) -> dict[str, int]:
    if session.spending is None:
        return {}
    return {**session.spending.own._asdict(), "seconds": int(session.age_ms // 1000)}
