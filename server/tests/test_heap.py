"""A server of its own looks through what was imported once, and never while somebody speaks."""

import asyncio
import gc
from types import SimpleNamespace
from typing import Any

import pytest

from voxwire_server import serving
from voxwire_server.life import Life


class NoSessions:
    closing = False

    def begin(self) -> None: ...

    async def close(self, timeout_ms: int) -> None: ...


async def test_the_heap_is_settled_when_the_server_is_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda: done.append("collect"))
    monkeypatch.setattr(gc, "freeze", lambda: done.append("freeze"))
    bots: Any = SimpleNamespace(all=[])
    life = Life(NoSessions(), bots, end_timeout_ms=100)
    state = SimpleNamespace(life=life)
    server: Any = SimpleNamespace(config=SimpleNamespace(app=SimpleNamespace(state=state)))
    settling = asyncio.ensure_future(serving._settle_heap(server))
    await asyncio.sleep(0)
    assert done == []
    life.begin()
    async with asyncio.timeout(60):
        await settling
    assert done == ["collect", "freeze"]
    await life.close()
