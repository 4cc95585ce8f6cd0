"""Following a client's session: all its events, and waiting for what they should say."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import voxwire
from tests.support.waiting import DEADLINE_S

__all__ = ["Following", "following"]

EventT = TypeVar("EventT")


class Following:
    """The events of a session, oldest first.

    Attributes:
        events: All that came.
        at_s: When each of them came, on the machine's monotonic clock, seconds.
        error: Why the session failed; None = it has not.
        ended: Set when no event follows.
    """

    def __init__(self, session: voxwire.Session) -> None:
        self.events: list[voxwire.Event] = []
        self.at_s: list[float] = []
        self.error: voxwire.VoxwireError | None = None
        self.ended = asyncio.Event()
        self._session = session
        self._changed = asyncio.Event()

    async def read(self) -> None:
        """Read to the end."""
        try:
            async for event in self._session:
                self.events.append(event)
                self.at_s.append(time.monotonic())
                self._changed.set()
        except voxwire.VoxwireError as error:
            self.error = error
        self.ended.set()
        self._changed.set()

    def of(self, kind: type[EventT], *, since: int = 0) -> list[EventT]:
        """The events of one class, from a number on."""
        return [event for event in self.events[since:] if isinstance(event, kind)]

    def told(self, kind: str, *, since: int = 0) -> list[voxwire.AppMessage]:
        """The application's messages of one type."""
        return [event for event in self.of(voxwire.AppMessage, since=since) if event.type == kind]

    def spoken(self, *, since: int = 0) -> str:
        """The words that sounded."""
        return " ".join(word.text for word in self.of(voxwire.BotWord, since=since))

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until something holds; the session must last so long."""
        async with asyncio.timeout(DEADLINE_S):
            while not true():
                assert not self.ended.is_set(), (self.error, self.events[-8:])
                self._changed.clear()
                await self._changed.wait()

    async def to_the_end(self) -> None:
        """Wait until no event follows."""
        async with asyncio.timeout(DEADLINE_S):
            await self.ended.wait()


@asynccontextmanager
async def following(session: voxwire.Session) -> AsyncIterator[Following]:
    """Follow a session until the block ends."""
    found = Following(session)
    task = asyncio.create_task(found.read())
    try:
        yield found
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
