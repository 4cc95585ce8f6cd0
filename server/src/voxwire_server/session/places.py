"""Who gets a place in this process, and when.

A session needs a place among as many as the process may have, and its turn to begin in it. Whether
there is one is decided without a pause, from what is known already, and in this order:

- Whoever waits for a place comes first. Places are handed out where they become free, so that a
  newcomer finds none meanwhile (ADR 35).
- A process that leaves begins nothing; one whose loop is late, or whose thread is busy, begins
  nothing that those on its sessions would hear; one that is full has no place
  (protocol/spec/limits.md, "Starts").
- Who comes while others are on sessions waits for his turn, 3 s at most (the same). While nobody
  is, there is nobody to be disturbed: he begins at once.

What is kept is given back, unless a session takes it.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack

from voxwire_protocol.clocks import Clock
from voxwire_server.session.load import Load
from voxwire_server.session.refusals import BusyError, ClosingError
from voxwire_server.session.registry import CapacityError, SessionRegistry
from voxwire_server.session.start_pace import PacedStarts, StartPace
from voxwire_server.session.waiting_room import Guest, WaitingRoom

__all__ = ["Places"]


class Places:
    """The places of one process.

    Args:
        registry: Its sessions, and how many there may be.
        load: Says when one more session would be too much.
        pace: Says how fast sessions may begin.
        max_waiting: Most that may wait for a place; 0 = nobody.
        max_wait_s: Longest wait, seconds.
        clock: The clock to run by.
        crowded: Is told an address from which too many wait.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        *,
        load: Load,
        pace: StartPace,
        max_waiting: int,
        max_wait_s: int,
        clock: Clock,
        crowded: Callable[[str], object] = bool,
    ) -> None:
        self._registry = registry
        self._load = load
        self.may_wait = max_waiting > 0
        """True when those may wait who find no place."""
        self.paced = PacedStarts(pace, clock)
        """Those whose turn to begin has not come."""
        self.waiting_room = WaitingRoom(
            max_waiting=max_waiting,
            max_wait_s=max_wait_s,
            reserve=self._next_place,
            give_back=self._give_back_next,
            num_sessions=lambda: len(registry),
            clock=clock,
            crowded=crowded,
        )
        """Those who wait for a place."""

    @property
    def busy(self) -> bool:
        """True while one more session would be too much for those whose clients are there."""
        return self._load.too_much and self._registry.heard_by_somebody

    @property
    def begins_now(self) -> bool:
        """True when somebody who comes now finds a place, and his turn has come.

        Raises:
            ClosingError: The process is leaving.
        """
        try:
            self.check()
        except (BusyError, CapacityError):
            return False
        return not self._registry.heard_by_somebody or self.paced.is_due

    def check(self) -> None:
        """See whether there is a place for somebody who comes now. None is kept.

        Raises:
            BusyError: One more session would be too much, or somebody waits.
            CapacityError: The process is full.
            ClosingError: It is leaving.
        """
        self._give_back(self._place())

    async def take(self, held: AsyncExitStack) -> str:
        """Keep a place, and wait for the turn to begin. Cancel-safe.

        Args:
            held: Gives back what was kept.

        Returns:
            The id of the session that is to have it.

        Raises:
            BusyError: One more session would be too much, somebody waits, or the turn would not
                come within 3 s.
            CapacityError: The process is full.
            ClosingError: It is leaving.
        """
        session_id = self._place()
        held.callback(self._give_back, session_id)
        if self._registry.heard_by_somebody:
            await self.paced.turn()
        else:
            self.paced.begin()
        held.callback(self.paced.take_back)
        return session_id

    async def wait(self, guest: Guest, held: AsyncExitStack) -> str:
        """Wait in the waiting room until a place is free and the turn has come. Cancel-safe.

        Args:
            guest: Who waits.
            held: Gives back what was kept.

        Returns:
            The id of the session that is to have it.

        Raises:
            NoPlaceError, LeftError, ChannelError, ClosingError: As :meth:`WaitingRoom.wait`.
        """
        session_id = await self.waiting_room.wait(guest)
        held.callback(self._give_back_next, session_id)
        return session_id

    def _place(self) -> str:
        self.waiting_room.serve()
        if self.waiting_room:  # whoever waits comes first
            raise BusyError
        return self._free_place()

    def _free_place(self) -> str:
        if self._registry.leaving:
            raise ClosingError
        if self.busy:
            raise BusyError
        return self._registry.reserve()

    def _give_back(self, session_id: str) -> None:
        self._registry.give_back(session_id)
        self.waiting_room.serve()

    def _next_place(self) -> str:
        """A place for whoever waits: he begins at once, so that his turn has come, too."""
        disturbs = not self._registry.leaving and self._registry.heard_by_somebody
        if disturbs and not self.paced.is_due:
            raise BusyError
        session_id = self._free_place()
        self.paced.begin()
        return session_id

    def _give_back_next(self, session_id: str) -> None:
        self.paced.take_back()
        self._give_back(session_id)
