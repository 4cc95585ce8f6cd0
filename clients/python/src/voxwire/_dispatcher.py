"""One dispatcher feeds everybody who wants to know what happens in a session."""

import asyncio
import inspect
import logging
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

from voxwire._events import EventQueue
from voxwire._stopped import is_cancelled
from voxwire_protocol.events import Event

__all__ = ["Dispatcher", "EventStream", "Handler"]

EventT = TypeVar("EventT")
Handler = Callable[[Any], Awaitable[object] | object]

HANDLERS_MS: Final = 1000
"""How long handlers may take with what is left to them when the session is over."""

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

    def end(self, failure: BaseException | None) -> None:
        """The session is over."""
        self._queue.close(failure)


@dataclass(eq=False)
class _Listener:
    """A plain function, called where the event happens."""

    types: tuple[type, ...]
    function: Callable[[Any], object]


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
        self._tasks: dict[asyncio.Task[None], EventStream[Any]] = {}
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
            if not listener.types or isinstance(event, listener.types):
                _call(listener.function, event)

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

        What it raises is logged and goes no further. One that is async is called with one event
        after the other, in a task that ends with the session.
        """
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
        ):
            return self._on_async(
                types, cast("Callable[[Any], Coroutine[Any, Any, Any]]", function)
            )
        listener = _Listener(types, function)
        self._listeners.append(listener)

        def off() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return off

    def _on_async(
        self, types: tuple[type, ...], function: Callable[[Any], Coroutine[Any, Any, Any]]
    ) -> Callable[[], None]:
        stream: EventStream[Any] = self.stream(types)

        async def run() -> None:
            try:
                async for event in stream:
                    try:
                        await function(event)
                    except (Exception, asyncio.CancelledError) as error:
                        if isinstance(error, asyncio.CancelledError) and is_cancelled():
                            raise
                        _log.exception("a handler of %s failed", type(event).__name__)
            except Exception:  # why the session ended: whoever reads its events is told
                return

        task = asyncio.create_task(run(), name="voxwire-handler")
        self._tasks[task] = stream
        task.add_done_callback(lambda ended: self._tasks.pop(ended, None))
        return stream.close

    async def finish(self) -> None:
        """Waits for async handlers, at most `HANDLERS_MS`; what is left then is cancelled."""
        tasks = list(self._tasks)
        if not tasks:
            return
        await asyncio.wait(tasks, timeout=HANDLERS_MS / 1000)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def spare(self, task: "asyncio.Task[Any] | None") -> None:
        """Nobody waits for this handler: it is the one that ends the session."""
        if task is not None:
            self._tasks.pop(task, None)

    def take_failure(self) -> BaseException | None:
        """Why the session ended, if no reader has been told yet."""
        return None if self._told else self._failure

    def _note_told(self) -> None:
        self._told = True


def _call(function: Callable[[Any], object], event: Event) -> None:
    try:
        function(event)
    except (Exception, asyncio.CancelledError):
        _log.exception("a handler of %s failed", type(event).__name__)
