"""Events of a session for its bot: ``async for word in session.events(BotWord)``."""

import asyncio
import weakref
from collections import deque
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

from voxwire_protocol import events, wire
from voxwire_server.conversation.bot_events import BotEvents
from voxwire_server.pipeline.wires import Wires

__all__ = ["EventStream", "SessionEvents"]

MAX_QUEUED: Final = 8192
"""Most events that wait for one reader."""

EventT = TypeVar("EventT")


class EventStream(Generic[EventT]):
    """Events of some types, from the moment on that it was made; got from ``BotSession.events``.

    An async iterator, for one task, with a queue of its own. Of what does not fit (8192 events) the
    oldest is given up, and ``EventsSkipped`` says how much. It ends when the bot's pipeline has
    ended, or by :meth:`close`.
    """

    def __init__(self, types: tuple[type, ...]) -> None:
        self._types = types
        self._queued: deque[events.Event] = deque()
        self._num_skipped = 0
        self._closed = False
        self._wake = asyncio.Event()

    def __aiter__(self) -> "EventStream[EventT]":
        """Iterates over the events."""
        return self

    async def __anext__(self) -> EventT:
        """The next event. Cancel-safe.

        Raises:
            StopAsyncIteration: Nothing comes any more.
        """
        while True:
            if self._num_skipped:
                num_skipped, self._num_skipped = self._num_skipped, 0
                return cast("EventT", events.EventsSkipped(num_skipped))
            if self._queued:
                return cast("EventT", self._queued.popleft())
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()

    def take(self, event: events.Event) -> None:
        """Queue an event, if it is one of those that are read here."""
        if self._closed or (self._types and not isinstance(event, self._types)):
            return
        if len(self._queued) >= MAX_QUEUED:
            self._queued.popleft()
            self._num_skipped += 1
        self._queued.append(event)
        self._wake.set()

    def close(self) -> None:
        """End it; what is queued can still be read. Idempotent."""
        self._closed = True
        self._wake.set()


class SessionEvents:
    """Hands the events of one session to whoever of its bot reads them. It costs nothing before.

    Args:
        wires: Of its pipeline to it.
    """

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self._told: BotEvents | None = None
        self._streams: weakref.WeakSet[EventStream[Any]] = weakref.WeakSet()
        self._closed = False

    def stream(self, types: tuple[type[EventT], ...]) -> EventStream[EventT]:
        """One more reader of events from now on; no types = all of them."""
        made: EventStream[EventT] = EventStream(types)
        if self._closed:
            made.close()
            return made
        self._streams.add(made)
        if self._told is None:
            self._told = BotEvents()
            self._wires.tell(partial(self._take, self._told))
        return made

    def close(self) -> None:
        """Nothing is told any more. Idempotent."""
        self._closed = True
        for stream in list(self._streams):
            stream.close()

    def _take(self, told: BotEvents, envelope: wire.Envelope) -> None:
        if self._closed:
            return
        now, onsets = told.take(envelope)
        self._hand_out(now)
        for media_ms in onsets:  # a word was heard when its onset is passed
            self._wires.voice.when_heard(media_ms + 1, partial(self._reach, told, media_ms))

    def _reach(self, told: BotEvents, media_ms: int) -> None:
        self._hand_out(told.heard(media_ms))

    def _hand_out(self, now: list[events.Event]) -> None:
        for event in now:
            for stream in list(self._streams):
                stream.take(event)
