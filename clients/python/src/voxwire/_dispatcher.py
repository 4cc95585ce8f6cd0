"""One dispatcher feeds everybody who wants to know what happens in a session."""

import asyncio
import inspect
import logging
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar, cast

from voxwire._callbacks import RAISED, is_cancelled
from voxwire._events import MAX_QUEUED, EventQueue
from voxwire_protocol.events import Event

__all__ = ["Dispatcher", "EventStream", "Handler"]

EventT = TypeVar("EventT")
Handler = Callable[[Any], Awaitable[object] | object]

HANDLERS_MS: Final = 1000
"""How long handlers may take with what is left to them when the session is over."""

CANCEL_S: Final = 2.0
"""How long a handler may take to be cancelled; then it is left to itself."""

_FAILED: Final = "a handler of %s failed"
_log = logging.getLogger("voxwire")


class EventStream(Generic[EventT]):
    """Events of some types, from the moment on that it was made; got from `Session.events`.

    An async iterator, for one task. Each stream has a queue of its own, so that a slow reader keeps
    nobody else waiting; of what does not fit (8192 events) the oldest is given up, and
    `EventsSkipped` says how much. It ends with the session, or with `close`.
    """

    def __init__(self, queue: EventQueue, types: tuple[type, ...]) -> None:
        """Reads a queue; use `Session.events`."""
        self._queue = queue
        self._types = types

    def __aiter__(self) -> "EventStream[EventT]":
        """Iterates over the events until the session ends."""
        return self

    async def __anext__(self) -> EventT:
        """Returns the next event. Cancel-safe.

        Raises:
            StopAsyncIteration: The session ended in order, or the stream was closed.
            VoxwireError: The session ended otherwise.
        """
        event = await self._queue.get()
        if event is None:
            raise StopAsyncIteration
        return cast("EventT", event)

    def close(self) -> None:
        """Ends the stream; what is queued can still be read."""
        self._queue.close()

    def take(self, event: Event) -> None:
        """Queues an event, if it is one of those that are read here."""
        if not self._types or isinstance(event, self._types):
            self._queue.put(event)

    def measure(self, event: Event) -> None:
        """Queues a measurement, if its very class is read here."""
        if type(event) in self._types:
            self._queue.put(event)

    def end(self, failure: BaseException | None) -> None:
        """The session is over."""
        self._queue.close(failure)


class _Listener:
    """A function that is called where an event happens; what it returns is awaited in order."""

    def __init__(self, types: tuple[type, ...], function: Handler) -> None:
        self._types = types
        self._function = function
        self._waiting: deque[tuple[str, Awaitable[object]]] = deque()
        self._off = self._late = False
        self.task: asyncio.Task[None] | None = None
        """Awaits what was returned; None while there is nothing."""

    def take(self, event: Event) -> None:
        """Calls the function, if it is for this event."""
        if not self._types or isinstance(event, self._types):
            self._call(event)

    def measure(self, event: Event) -> None:
        """Calls it with a measurement, if it is for its very class."""
        if type(event) in self._types:
            self._call(event)

    def _call(self, event: Event) -> None:
        if self._off:
            return
        name = type(event).__name__
        try:
            result = self._function(event)
        except RAISED:
            _log.exception(_FAILED, name)
            return
        if inspect.isawaitable(result):
            self._queue(name, result)

    def off(self) -> None:
        """It is not called any more; one that runs goes on."""
        self._off = True
        while self._waiting:
            _drop(self._waiting.popleft()[1])

    def _queue(self, name: str, result: Awaitable[object]) -> None:
        if len(self._waiting) >= MAX_QUEUED:
            _drop(self._waiting.popleft()[1])
            if not self._late:
                _log.warning("a handler of %s is too slow: it does not get all of them", name)
            self._late = True
        self._waiting.append((name, result))
        if self.task is None:
            self.task = asyncio.create_task(self._run(), name="voxwire-handler")

    async def _run(self) -> None:
        try:
            while self._waiting:
                name, result = self._waiting.popleft()
                try:
                    await result
                except RAISED as error:
                    if isinstance(error, asyncio.CancelledError) and is_cancelled():
                        raise
                    _log.exception(_FAILED, name)
        finally:
            self.task = None
            while self._waiting:
                _drop(self._waiting.popleft()[1])


def _drop(result: Awaitable[object]) -> None:
    """Nobody awaits this."""
    if inspect.iscoroutine(result):
        result.close()


class Dispatcher:
    """Takes each event of a session once, and hands it to whoever wants it."""

    def __init__(self, first: Callable[[Event], object]) -> None:
        """Creates it with one reader: the program that iterates over the session.

        Args:
            first: Is told of each event before everybody else.
        """
        self.queue = EventQueue(told=self._note_told)
        self._first = first
        self._streams: weakref.WeakSet[EventStream[Any]] = weakref.WeakSet()
        self._listeners: list[_Listener] = []
        self._closed = False
        self._failure: BaseException | None = None
        self._told = False

    def put(self, event: Event) -> None:
        """Tells everybody; nobody after `close`."""
        if self._closed:
            return
        self._first(event)
        self.queue.put(event)
        for stream in list(self._streams):
            stream.take(event)
        for listener in tuple(self._listeners):
            listener.take(event)

    def measure(self, event: Event) -> None:
        """Tells those who ask for its very class: to all others a measurement is no news."""
        for stream in list(self._streams):
            stream.measure(event)
        for listener in tuple(self._listeners):
            listener.measure(event)

    def close(self, failure: BaseException | None = None) -> None:
        """The session is over: readers get what is queued for them, then `failure` or the end."""
        if self._closed:
            return
        self._closed, self._failure = True, failure
        self.queue.close(failure)
        for stream in list(self._streams):
            stream.end(failure)

    def stream(self, types: tuple[type[EventT], ...]) -> EventStream[EventT]:
        """Makes a reader of events from now on; no types = all."""
        made: EventStream[EventT] = EventStream(EventQueue(told=self._note_told), types)
        self._streams.add(made)
        if self._closed:
            made.end(self._failure)
        return made

    def on(self, types: tuple[type, ...], function: Handler) -> Callable[[], None]:
        """Has a function called with each event of some types; returns what ends that.

        What it raises is logged and goes no further. What it returns is awaited if it can be, one
        after the other, in a task that ends with the session.
        """
        listener = _Listener(types, function)
        self._listeners.append(listener)

        def off() -> None:
            listener.off()
            if listener in self._listeners:
                self._listeners.remove(listener)

        return off

    async def finish(self, *, spared: "asyncio.Task[Any] | None" = None) -> None:
        """Waits for async handlers, at most `HANDLERS_MS`; what is left then is cancelled.

        Args:
            spared: What ends the session; nobody waits for it if it is a handler.
        """
        tasks = [one.task for one in self._listeners]
        running = [task for task in tasks if task is not None and task is not spared]
        if not running:
            return
        await asyncio.wait(running, timeout=HANDLERS_MS / 1000)
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=CANCEL_S)

    def take_failure(self) -> BaseException | None:
        """Why the session ended, if no reader has been told yet."""
        return None if self._told else self._failure

    def _note_told(self) -> None:
        self._told = True
