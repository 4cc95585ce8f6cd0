"""A conversation over a WebSocket, and voices that speak several contexts side by side."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol

from aiohttp import WSMessage, web

from tests.support.providers.peer import Aborted

__all__ = ["Contexts", "Session", "converse"]


class Session(Protocol):
    """One WebSocket connection's conversation."""

    async def take(self, message: WSMessage) -> None:
        """Do what a message asks for."""

    def close(self) -> None:
        """The client has gone: cancel what still runs."""


async def converse(
    request: web.Request,
    session_of: Callable[[web.WebSocketResponse, asyncio.TaskGroup], Session],
) -> web.StreamResponse:
    """Serve a WebSocket until one side closes it; the session's tasks end with it.

    Raises:
        Aborted: One of them wants the connection cut.
    """
    socket = web.WebSocketResponse(compress=False, max_msg_size=0)
    await socket.prepare(request)
    cut = False
    try:
        async with asyncio.TaskGroup() as group:
            session = session_of(socket, group)
            try:
                async for message in socket:
                    await session.take(message)
            finally:
                session.close()
    except* Aborted:
        cut = True
    except* ConnectionError:
        pass  # the client has gone while something was sent
    if cut:
        raise Aborted
    await socket.close()
    return socket


class Contexts:
    """What is to be spoken, by context: the texts of one in order, contexts side by side.

    Args:
        group: What the contexts' tasks run in.
        speak: Speaks a context's texts, as they come, until there are no more.
    """

    def __init__(
        self,
        group: asyncio.TaskGroup,
        speak: Callable[[str, AsyncIterator[Any]], Coroutine[Any, Any, None]],
    ) -> None:
        self._group, self._speak = group, speak
        self._queues: dict[str, asyncio.Queue[Any]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._all: set[asyncio.Task[None]] = set()

    def say(self, name: str, text: Any) -> None:
        """Put a text at the end of a context; the first one opens it, again if it failed."""
        if name not in self._queues or self._tasks[name].done():
            self._queues[name] = asyncio.Queue()
            task = self._group.create_task(self._speak(name, self._texts(self._queues[name])))
            self._tasks[name] = task
            self._all.add(task)
            task.add_done_callback(self._all.discard)
        self._queues[name].put_nowait(text)

    def end(self, name: str) -> None:
        """No more texts come for a context, whose name is free again."""
        if queue := self._queues.pop(name, None):
            queue.put_nowait(None)

    def drop(self, name: str) -> None:
        """Stop speaking a context at once."""
        self._queues.pop(name, None)
        if task := self._tasks.pop(name, None):
            task.cancel()

    def close(self) -> None:
        """Stop speaking."""
        for task in list(self._all):
            task.cancel()

    @staticmethod
    async def _texts(queue: asyncio.Queue[Any]) -> AsyncIterator[Any]:
        while (text := await queue.get()) is not None:
            yield text
