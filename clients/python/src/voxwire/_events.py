"""The bounded queue between a session and a program that reads its events."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

from voxwire_protocol.events import Event, EventsSkipped

__all__ = ["MAX_QUEUED", "EventQueue"]

MAX_QUEUED: Final = 8192
"""Most events that wait to be read."""

EventT = TypeVar("EventT")


class EventQueue:
    """First in, first out. What does not fit is counted and said: `EventsSkipped` takes its place.

    The oldest events are given up, since the newest ones tell what is the case.
    """

    def __init__(
        self, limit: int = MAX_QUEUED, *, told: Callable[[], object] | None = None
    ) -> None:
        """Creates an open queue.

        Args:
            limit: Most events that it holds.
            told: Called when a reader gets the failure that the queue was closed with.
        """
        self._limit = limit
        self._told = told
        self._queued: deque[Event] = deque()
        self._skipped = 0
        self._closed = False
        self._failure: BaseException | None = None
        self._wake = asyncio.Event()

    def put(self, event: Event) -> None:
        """Adds an event; nothing after `close`."""
        if self._closed:
            return
        if len(self._queued) >= self._limit:
            self._queued.popleft()
            self._skipped += 1
        self._queued.append(event)
        self._wake.set()

    def close(self, failure: BaseException | None = None) -> None:
        """Ends the queue: readers get what is queued, then `failure` or the end."""
        if not self._closed:
            self._closed = True
            self._failure = failure
        self._wake.set()

    def take_failure(self) -> BaseException | None:
        """The failure that the queue was closed with, if no reader has got it; once."""
        failure, self._failure = self._failure, None
        return failure

    def take_first(self, wanted: type[EventT]) -> EventT | None:
        """Takes the first event of a type that is queued, and drops what came before it.

        None leaves everything as it is.
        """
        skipped = EventsSkipped(self._skipped) if self._skipped else None
        if isinstance(skipped, wanted):
            self._skipped = 0
            return skipped
        found = next((event for event in self._queued if isinstance(event, wanted)), None)
        if found is not None:
            self.drop_through(found)
        return found

    def drop_through(self, event: object) -> None:
        """Drops an event that is queued, and what came before it."""
        if any(one is event for one in self._queued):
            self._skipped = 0
            while self._queued.popleft() is not event:
                pass

    async def get(self) -> Event | None:
        """Returns the next event, or None at the end. Cancel-safe.

        Raises:
            BaseException: The failure that the queue was closed with, once.
        """
        while True:
            if self._skipped:
                skipped, self._skipped = self._skipped, 0
                return EventsSkipped(skipped)
            if self._queued:
                return self._queued.popleft()
            if self._closed:
                failure = self.take_failure()
                if failure is None:
                    return None
                if self._told is not None:
                    self._told()
                raise failure
            self._wake.clear()
            await self._wake.wait()
