"""What callbacks of the loop raise, for a task that can raise it further."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

__all__ = ["Raised"]


class Raised:
    """Keeps the first exception of those that nobody would see."""

    def __init__(self) -> None:
        """Nothing was raised yet."""
        self._error: Exception | None = None
        self._is_there = asyncio.Event()

    def by(self, work: Callable[[], object]) -> None:
        """Calls something in a callback, which has nobody to raise to; `first` has."""
        try:
            work()
        except Exception as error:
            self._error = self._error or error
            self._is_there.set()

    async def first(self) -> NoReturn:
        """Waits for what is raised first, and raises it. Cancel-safe."""
        await self._is_there.wait()
        assert self._error is not None
        raise self._error
