"""Where clients wait for a place in this process while their sockets stay open."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.clocks import Clock, Timer
from voxwire_server.session.refusals import BusyError, ClosingError, LeftError, NoPlaceError
from voxwire_server.session.registry import CapacityError
from voxwire_server.session.waiting import Place, TooManyWaitError, Waiter, WaitingLine, Who

__all__ = ["Guest", "Tell", "WaitingRoom"]

_TICK_MS: Final = 100
"""How often it is seen whether the load is less, who has waited for long enough, and who is to be
told of what he was not told at once."""
_LEAST_RETRY_MS: Final = 2000
_MOST_RETRY_MS: Final = 60_000
_SUPERSEDED: Final = "a newer attach waits in its place"

Tell = Callable[[Place], None]
"""Tells somebody where he is now; it must not block."""


@dataclass(slots=True, eq=False)
class Guest:
    """One who waits.

    Attributes:
        waiter: His place in the line.
        tell: Tells him where he is.
        place: Becomes the id of his session.
    """

    waiter: Waiter
    tell: Tell
    place: asyncio.Future[str]


class WaitingRoom:
    """Gives each place that becomes free to whoever came first.

    Args:
        max_waiting: Most that may wait; 0 = nobody.
        max_wait_s: Longest wait, seconds.
        reserve: Keeps a place that is free. Raises why there is none.
        give_back: Nothing came of such a place.
        num_sessions: How many sessions there are.
        clock: The clock to run by.
        crowded: Is told an address from which too many wait.
    """

    def __init__(
        self,
        *,
        max_waiting: int,
        max_wait_s: int,
        reserve: Callable[[], str],
        give_back: Callable[[str], None],
        num_sessions: Callable[[], int],
        clock: Clock,
        crowded: Callable[[str], object] = bool,
    ) -> None:
        self._max_wait_s = max_wait_s
        self._line = WaitingLine(max_waiting=max_waiting, max_wait_ms=max_wait_s * 1000)
        self._reserve = reserve
        self._give_back = give_back
        self._num_sessions = num_sessions
        self._clock = clock
        self._crowded = crowded
        self._guests: dict[Waiter, Guest] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._guests)

    def enter(self, who: Who, tell: Tell) -> Guest:
        """Somebody begins to wait, and is told where he is.

        Raises:
            NoPlaceError: Too many wait, or too many of his.
        """
        try:
            waiter = self._line.enter(who, self._clock.now_ms())
        except TooManyWaitError as error:
            if error.of_address:
                self._crowded(who.address)
            raise NoPlaceError(error.reason, self._retry_ms()) from None
        guest = Guest(waiter, tell, asyncio.get_running_loop().create_future())
        self._guests[waiter] = guest
        self._tell()
        self._wind_up()
        return guest

    async def wait(self, guest: Guest) -> str:
        """Wait for a place. Cancel-safe: who is cancelled waits no more, and keeps no place.

        Returns:
            The id of the session that is to take it.

        Raises:
            NoPlaceError: There was none for too long.
            LeftError: The guest has gone.
            ChannelError: SUPERSEDED: he waits by another socket now.
            ClosingError: The process is leaving.
        """
        try:
            return await guest.place
        except asyncio.CancelledError:
            place = guest.place
            if place.done() and not place.cancelled() and place.exception() is None:
                self._give_back(place.result())
            raise
        finally:
            self._remove(guest.waiter)

    def leave(self, guest: Guest) -> None:
        """His socket is gone. Nothing when he has his place."""
        self._dismiss(guest, LeftError())
        self._remove(guest.waiter)

    def supersede(self, nonce: bytes) -> None:
        """An attach comes again: whoever waits with that nonce gives his place in line to it."""
        for guest in list(self._guests.values()):
            if guest.waiter.who.nonce == nonce:
                self._dismiss(
                    guest, ChannelError(wire.ErrorCode.ERROR_CODE_SUPERSEDED, _SUPERSEDED)
                )
                self._remove(guest.waiter)

    def serve(self) -> None:
        """Give the places that are free to those who wait, in their order."""
        if not self._guests:
            return
        while (waiter := self._line.first) is not None:
            guest = self._guests[waiter]
            if guest.place.done():  # cancelled just now
                self._remove(waiter)
                continue
            try:
                session_id = self._reserve()
            except (BusyError, CapacityError):
                break
            except ClosingError:
                self.send_away()
                return
            self._line.serve()
            del self._guests[waiter]
            guest.place.set_result(session_id)
        self._tell()

    def over(self, length_ms: float) -> None:
        """A session has ended that lasted so long: its place is free."""
        self._line.lasted(length_ms)
        self.serve()

    def send_away(self) -> None:
        """The process is leaving: nobody gets a place any more."""
        for waiter in self._line.empty():
            self._dismiss(self._guests.pop(waiter), ClosingError())

    def _remove(self, waiter: Waiter) -> None:
        if self._guests.pop(waiter, None) is not None:
            self._line.leave(waiter, self._clock.now_ms())
            self._tell()

    @staticmethod
    def _dismiss(guest: Guest, why: Exception) -> None:
        if not guest.place.done():
            guest.place.set_exception(why)

    def _tell(self) -> None:
        for waiter, place in self._line.due(self._clock.now_ms(), places=self._num_sessions()):
            self._guests[waiter].tell(place)

    def _wind_up(self) -> None:
        if self._timer is None and self._line:
            self._timer = self._clock.call_later(_TICK_MS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for waiter in self._line.late(self._clock.now_ms()):
            why = f"no place came free within {self._max_wait_s} s"
            self._dismiss(self._guests.pop(waiter), NoPlaceError(why, self._retry_ms()))
        self.serve()
        self._wind_up()

    def _retry_ms(self) -> int:
        """When it may be worth coming again."""
        next_ms = self._line.estimated_ms(len(self._line) + 1, places=self._num_sessions())
        return min(max(next_ms, _LEAST_RETRY_MS), _MOST_RETRY_MS)
