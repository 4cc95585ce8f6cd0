"""Work that waits for other work of the same key."""

import asyncio
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["SingleFile"]


@dataclass(slots=True)
class _Line:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class SingleFile:
    """One after the other for each key, in the order of coming; different keys at once."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, _Line] = {}

    def __len__(self) -> int:
        """Number of the keys that somebody has or waits for."""
        return len(self._lines)

    @asynccontextmanager
    async def of(self, key: Hashable) -> AsyncGenerator[None]:
        """Wait for the turn of a key and keep it for the block. Cancel-safe."""
        line = self._lines.setdefault(key, _Line())
        line.length += 1
        try:
            async with line.lock:
                yield
        finally:
            line.length -= 1
            if not line.length:
                del self._lines[key]
