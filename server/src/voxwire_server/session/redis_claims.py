"""What can be had once, agreed on in an engine that may lose what it knows.

A token that was used opens nothing, whatever happens to the engine. So each process remembers what
it has claimed itself, and an engine has a *mark*: one that comes back empty has none. Who looks
first sets another one; every process looks twice a second and tells an engine with a mark that is
new to it what it remembers. Until the mark is a second old, nothing can be claimed; whoever comes
meanwhile is told that the store is unreachable, and comes again.

An engine that comes back with what it knew a moment ago (a fail-over) has its old mark; it is told,
too, as soon as it answers. What only a process knew that has ended is lost with both.
"""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from voxwire_server.session.redis_scripts import CLAIM, ENTER, MARK, Call, Script
from voxwire_server.session.store import StoreUnreachableError

__all__ = ["SETTLES_MS", "RedisClaims"]

_log = logging.getLogger("voxwire.store")

SETTLES_MS: Final = 1000
"""How long an engine that is new has to be told what was claimed, milliseconds."""
_LOOKS_S: Final = 0.4
_MOST: Final = 30_000
"""What a process remembers at most; the oldest is forgotten first."""
_AT_ONCE: Final = 500


class RedisClaims:
    """The claims of one process.

    Args:
        client: Connections to the engine.
        prefix: Of the keys of claims, without the colon behind it.
        mark: The key of the mark.
        ask: Asks the engine for what nobody waits for.
        is_cluster: True when keys are on several servers: then a claim is made without looking at
            the mark in the same moment.
        settles_ms: How old a mark has to be, milliseconds.
    """

    def __init__(
        self,
        client: Any,
        prefix: str,
        mark: str,
        *,
        ask: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]],
        is_cluster: bool,
        settles_ms: int,
    ) -> None:
        self._prefix = prefix
        self._mark_key = mark
        self._ask = ask
        self._is_cluster = is_cluster
        self._settles_ms = settles_ms
        self._claim = Script(client, CLAIM)
        self._enter = Script(client, ENTER)
        self._look_at = Script(client, MARK)
        self._mark = b""
        self._settled = False
        self._mine: OrderedDict[str, tuple[bytes, int]] = OrderedDict()
        self._untold: list[str] = []
        self._looking: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Look at the engine's mark from now on. Idempotent."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_always())

    def close(self) -> None:
        """Look no more. Idempotent."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def tell_again(self) -> None:
        """The engine was away: it may have forgotten what it was told last."""
        self._untold = list(self._mine)

    async def try_out(self) -> None:
        """Ask what a claim asks."""
        await self._look_at.run(self._mark_key, _name())
        await self._claim.run(f"{self._prefix}:trial", b"", b"", 0)
        await self._enter.run(f"{self._prefix}:trial", b"", 0)

    async def claim(self, what: str, value: bytes, instead_of: bytes, until_ms: int) -> bytes:
        """Set what can be had once, or look (:meth:`SessionStore.claim`).

        Raises:
            StoreUnreachableError: The engine may not know yet what was claimed.
        """
        if not self._mark:
            await self._look()
        if not self._settled:
            raise StoreUnreachableError
        key, beside = f"{self._prefix}:{what}", "" if self._is_cluster else self._mark_key
        args = (value, instead_of, until_ms, self._mark)
        there: bytes | None = await self._claim.run(key, *args, beside=beside)
        if there is None:  # it is a new one, and has done nothing
            self._settled = False
            raise StoreUnreachableError
        if value != instead_of and there == value:
            self._remember(key, value, until_ms)
        return there

    def _remember(self, key: str, value: bytes, until_ms: int) -> None:
        self._mine.pop(key, None)
        if value:
            self._mine[key] = (value, until_ms)
        now_ms = time.time() * 1000
        while self._mine:
            oldest, (_, ends_ms) = next(iter(self._mine.items()))
            if ends_ms > now_ms and len(self._mine) <= _MOST:
                return
            del self._mine[oldest]

    async def _look(self) -> None:
        """See which engine it is, and tell it what it may not know."""
        mark, age_ms = await self._look_at.run(self._mark_key, _name())
        if mark != self._mark:
            self._settled = False
            if self._mark:
                _log.warning("the engine has lost what it knew; it is told again")
            self._mark = mark
            self.tell_again()
        while some := self._untold[-_AT_ONCE:]:
            calls: list[Call] = [(it, self._mine[it]) for it in some if it in self._mine]
            await self._enter.run_all(calls, at_once=not self._is_cluster)
            del self._untold[-len(some) :]
        self._settled = age_ms >= self._settles_ms

    async def _look_always(self) -> None:
        while True:
            try:
                await self._ask(self._look())
            except StoreUnreachableError:
                self._settled = False
            await asyncio.sleep(_LOOKS_S)


def _name() -> str:
    return secrets.token_hex(8)
