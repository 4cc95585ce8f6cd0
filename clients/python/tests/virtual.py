"""Tests in virtual time that leave no task behind, and what many of them do.

::

    @virtual
    async def test_x(time: VirtualTime) -> None:
        async with FakeServer(bot) as server, session_of(server) as session: ...
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

import voxwire
from voxwire.testing import FakeServer, VirtualTime, in_virtual_time


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """`in_virtual_time`, and a task that is left behind fails the test."""

    @functools.wraps(test)
    async def checked(*args: Any, **kwargs: Any) -> None:
        await test(*args, **kwargs)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {[task.get_coro() for task in left]}"

    return in_virtual_time(checked)


def session_of(server: FakeServer, **options: Any) -> voxwire.Connection:
    """A session with that server, as a program opens one."""
    return voxwire.connect(server.url, environment=server.environment, **options)


class Log:
    """Reads the events of a session, each with its moment, milliseconds since the log began, or
    since `start_ms`.
    """

    def __init__(
        self, session: voxwire.Session, time: VirtualTime, *, start_ms: float | None = None
    ) -> None:
        self.timed: list[tuple[float, voxwire.Event]] = []
        self.failure: BaseException | None = None
        self.start_ms = time.now_ms() if start_ms is None else start_ms
        self._session, self._time = session, time
        self._reading = asyncio.create_task(self._read())

    @property
    def events(self) -> list[voxwire.Event]:
        return [event for _, event in self.timed]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def at(self, kind: type) -> list[float]:
        """The moments of the events of a type."""
        return [at_ms for at_ms, event in self.timed if isinstance(event, kind)]

    async def over(self) -> None:
        """Waits until the session has ended."""
        await self._reading

    async def _read(self) -> None:
        try:
            async for event in self._session:
                self.timed.append((round(self._time.now_ms() - self.start_ms, 3), event))
        except voxwire.VoxwireError as error:
            self.failure = error
