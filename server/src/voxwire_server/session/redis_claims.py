"""What can be had once, agreed on in an engine that may lose what it knows.

A token that was used opens nothing, whatever happens to the engine. So each process remembers what
it has claimed itself, and an engine has a *mark*: which run of the server it is, and since when it
is known. One that was begun anew, or that took over from another one, has none of its own. Who
looks first sets it; every process looks 2.5 times a second, tells an engine with a mark that is new
to it what it remembers, and enters its sessions again. Until the mark is a second old nothing can
be claimed, no place be had, and no session be said to be over; whoever comes meanwhile is told that
the store is unreachable, and comes again.

What only a process knew that has ended is lost with the engine; and what one knew that stood still,
or could not reach the engine, for longer than that second is told too late.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from voxwire_server.session.redis_scripts import CLAIM, ENTER, MARK, Call, Script
from voxwire_server.session.store import StoreUnreachableError
from voxwire_server.session.turning import turning

__all__ = ["SETTLES_MS", "RedisClaims"]

_log = logging.getLogger("voxwire.store")

SETTLES_MS: Final = 1000
"""How long an engine that is new has to be told what was claimed, milliseconds."""
_LOOKS_S: Final = 0.4
_LOOK_S: Final = 0.3
"""How long one look may take, seconds: a connection to an engine that is gone may never answer, and
the next one is made to the one that took over."""
_UNSEEN_S: Final = 1.0
"""After which time without a look that was answered nothing is claimed."""
_MOST: Final = 30_000
"""What a process remembers at most; the oldest is forgotten first."""
_AT_ONCE: Final = 100


def _nothing() -> None:
    pass


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

    Attributes:
        lost: Called when the engine is another one than before.
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
        self._is_old = False
        self._mine: dict[str, tuple[bytes, int]] = {}
        self._untold: list[str] = []
        self._is_telling = False
        self._looking: asyncio.Task[None] | None = None
        self.lost: Callable[[], None] = _nothing

    def open(self) -> None:
        """Look at the engine's mark from now on. Idempotent."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_always())

    def close(self) -> None:
        """Look no more. Idempotent."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def try_out(self) -> None:
        """Ask what a claim asks."""
        await self._look_at.run(self._mark_key)
        await self._claim.run(f"{self._prefix}:trial", b"", b"", 0)
        await self._enter.run(f"{self._prefix}:trial", b"", 0)

    async def settled(self) -> None:
        """Look at the mark now.

        Raises:
            StoreUnreachableError: The engine may not know yet what it knew before.
        """
        await self._look()
        self._check()

    async def under_mark(self, script: Script, key: str, *args: str | bytes | int) -> Any:
        """Run a script of three arguments that asks for what others may have had before.

        Raises:
            StoreUnreachableError: The engine may not know yet what it knew before.
        """
        await self._know()
        self._check()
        beside = "" if self._is_cluster else self._mark_key
        answer = await script.run(key, *args, self._mark, beside=beside)
        if answer is None:  # it is another one, and has done nothing
            self._is_old = False
            raise StoreUnreachableError
        return answer

    async def claim(self, what: str, value: bytes, instead_of: bytes, until_ms: int) -> bytes:
        """Set what can be had once, or look (:meth:`SessionStore.claim`).

        Raises:
            StoreUnreachableError: The engine may not know yet what was claimed.
        """
        key = f"{self._prefix}:{what}"
        mark = await self._know()
        there: bytes = await self.under_mark(self._claim, key, value, instead_of, until_ms)
        if value != instead_of and there == value:
            self._remember(key, value, until_ms)
            if self._mark != mark:  # it is another engine meanwhile, which was not told of it
                self._untold.append(key)
        return there

    def _check(self) -> None:
        if self._untold or self._is_telling or not self._is_old:
            raise StoreUnreachableError

    def _remember(self, key: str, value: bytes, until_ms: int) -> None:
        self._mine.pop(key, None)
        if value:
            self._mine[key] = (value, until_ms)
        if len(self._mine) > _MOST:
            self._forget_what_is_over()
            for oldest in list(self._mine)[: max(0, len(self._mine) - _MOST * 9 // 10)]:
                del self._mine[oldest]

    def _forget_what_is_over(self) -> None:
        now_ms = time.time() * 1000
        self._mine = {key: it for key, it in self._mine.items() if it[1] > now_ms}

    async def _know(self) -> bytes:
        """The mark of the engine; it is looked at when none is known."""
        if not self._mark:
            await self._look()
        return self._mark

    async def _look(self) -> None:
        """See which engine it is."""
        mark, age_ms = await self._look_at.run(self._mark_key)
        if mark != self._mark:
            was, self._mark = self._mark, mark
            self._forget_what_is_over()
            self._untold = list(self._mine)
            if was:
                _log.warning("the engine is not the one it was: it is told again what it knew")
                self.lost()
        self._is_old = age_ms >= self._settles_ms

    async def _tell_some(self) -> None:
        some = self._untold[-_AT_ONCE:]
        del self._untold[-_AT_ONCE:]
        self._is_telling = True
        try:
            calls: list[Call] = [(it, self._mine[it]) for it in some if it in self._mine]
            await self._enter.run_all(calls, at_once=not self._is_cluster)
        except BaseException:
            self._untold += some
            raise
        finally:
            self._is_telling = False

    async def _look_always(self) -> None:
        seen_s = time.monotonic()
        while True:
            try:
                async with turning(_LOOK_S):
                    await self._ask(self._look())
                seen_s = time.monotonic()
                while self._untold:
                    await self._ask(self._tell_some())
            except TimeoutError:
                if time.monotonic() - seen_s > _UNSEEN_S:
                    self._is_old = False
                continue
            except StoreUnreachableError:
                self._is_old = False
            except Exception:
                self._is_old = False
                _log.exception("the engine could not be looked at")
            await asyncio.sleep(_LOOKS_S)
