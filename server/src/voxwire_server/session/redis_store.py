"""The store of a service of several processes: Redis, Valkey, or what speaks their protocol.

Every script touches one key, and beside it, where all keys are on one server, that server's mark.
Which keys there are, how long they live and what they never hold: protocol/spec/cluster.md.

A call that is not answered within 200 ms has failed, and for a second nothing more is asked: those
who come meanwhile are told so at once. redis-py's own retries are off for the same reason. What is
saved behind the conversations is asked all the same, for nobody waits for it: one slow answer to
somebody else must not cost a second of what was heard.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import asdict, fields
from typing import Any, Final, TypeVar

from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
)

from voxwire_server.caps import Amounts, Payer, day_of
from voxwire_server.session.redis_claims import SETTLES_MS, RedisClaims
from voxwire_server.session.redis_scripts import COUNT, RENEW, SAVE, SPEND, TAKE, Script, Together
from voxwire_server.session.store import (
    NO_OWNER,
    Heard,
    Held,
    Located,
    Replica,
    Saved,
    StoreUnreachableError,
)
from voxwire_server.session.turning import turning

__all__ = ["ANSWERS_S", "REPLICA_MS", "RedisStore"]

_log = logging.getLogger("voxwire.store")

ANSWERS_S: Final = 0.2
"""How long the server may take to answer, seconds."""
REPLICA_MS: Final = 6000
"""How long a process lives that is not heard of, milliseconds."""
_PAUSE_S: Final = 1.0
_BEHIND_S: Final = 1.0
"""How long that may take for which nobody waits: a beat, and what is saved."""
_TRIES_S: Final = 3.0
_AT_ONCE: Final = 8
"""What is asked at once; the rest waits. A crowd is not to be taken for an engine that is slow."""
_DAYS_S: Final = 2 * 86_400

T = TypeVar("T")

_LOST: Final = 1
_ENTERED: Final = 2
_FIELDS: Final = tuple(field.name for field in fields(Replica))


class RedisStore:
    """Where the processes of a service agree.

    Args:
        client: Its connections, of redis-py: without retries, and without decoding.
        session_ms: How long a session is kept whose owner is not heard of, milliseconds.
        is_cluster: True when keys are on several servers.
        answers_s: How long the server may take to answer, seconds.
        settles_ms: How long an engine that is new has to be told what was claimed before anything
            can be claimed, milliseconds.
        prefix: Of every key.
        clock_s: A clock that runs on, seconds.
    """

    def __init__(
        self,
        client: Any,
        *,
        session_ms: int,
        is_cluster: bool = False,
        answers_s: float = ANSWERS_S,
        settles_ms: int = SETTLES_MS,
        prefix: str = "vw:",
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._session_ms = session_ms
        self._at_once = not is_cluster
        self._answers_s = answers_s
        self._prefix = prefix
        self._clock_s = clock_s
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._behind = asyncio.Semaphore(_AT_ONCE)
        self._num_saved = 0
        self._silent_until_s = 0.0
        self._away = False
        self._renew = Script(client, RENEW)
        self._take = Script(client, TAKE)
        self._save = Script(client, SAVE)
        self._saves = Together(
            lambda calls: self._ask_behind(self._save.run_all(calls, at_once=True))
        )
        self._count = Script(client, COUNT)
        self._claims = RedisClaims(
            client,
            self._key("c"),
            self._key("e"),
            ask=self._ask_behind,
            is_cluster=is_cluster,
            settles_ms=settles_ms,
        )
        self._spend = Script(client, SPEND)

    async def close(self) -> None:
        """Close the connections."""
        self._claims.close()
        await self._client.aclose()

    async def try_out(self) -> str:
        """See whether the engine can be used; why not, or nothing."""
        try:
            async with asyncio.timeout(_TRIES_S):
                await self._claims.try_out()
        except NoPermissionError:
            return "this user may not do what is needed (scripts, INFO, keys that begin with vw:)"
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            text = str(error)
            if isinstance(error, AuthenticationError) or "username-password" in text:
                return "it refuses this user or password"
            if "authenticated" in text:
                return "it asks for a password, and none is given"
            return f"it cannot be reached: {text or f'no answer within {_TRIES_S:g} s'}"
        return ""

    def when_lost(self, lost: Callable[[], None]) -> None:
        """Have a loss told (:meth:`SessionStore.when_lost`)."""
        self._claims.lost = lost

    # the verbs

    async def beat(
        self, me: Replica, sessions: Collection[Held] = (), *, gone: bool = False
    ) -> Heard:
        """Say that a process lives (:meth:`SessionStore.beat`)."""
        if gone:
            self._claims.close()
        else:
            self._claims.open()
        work = self._leave(me) if gone else self._beat(me, list(sessions))
        return await self._ask(work, within_s=_BEHIND_S)

    async def locate(self, session_id: str) -> Located | None:
        """Find a session (:meth:`SessionStore.locate`)."""
        return await self._ask(self._locate(session_id))

    async def take(self, session_id: str, *, of: str, by: str) -> Saved | None:
        """Change the owner of a session (:meth:`SessionStore.take`)."""
        key = self._key("s", session_id)
        found = await self._ask(self._take.run(key, of, by, NO_OWNER, self._session_ms))
        return None if found is None else Saved(*found)

    async def count(
        self, user: str, session_id: str, *, limit: int | None = None, back: bool = False
    ) -> bool:
        """Reserve a place for a session (:meth:`SessionStore.count`)."""
        key = self._key("u", _digest(user))
        if back:
            await self._ask(self._client.zrem(key, session_id))
            return False
        most = -1 if limit is None else limit
        args = (session_id, most, self._session_ms)
        if limit is None:
            return bool(await self._ask(self._count.run(key, *args)))
        return bool(await self._ask(self._claims.under_mark(self._count, key, *args)))

    async def claim(
        self, what: str, value: bytes = b"", *, instead_of: bytes = b"", until_s: float
    ) -> bytes:
        """Set what can be had once (:meth:`SessionStore.claim`)."""
        kind, _, name = what.partition("/")
        what = f"{kind}:{_digest(name)}"
        return await self._ask(self._claims.claim(what, value, instead_of, round(until_s * 1000)))

    async def save(
        self, session_id: str, me: str, snapshot: bytes, *, term: int, behind: bool = False
    ) -> bool:
        """Keep a snapshot (:meth:`SessionStore.save`)."""
        self._num_saved += 1
        key = self._key("s", session_id)
        args = (me, term, snapshot, self._session_ms, self._num_saved)
        if behind and self._at_once:
            return bool(await self._saves.answer((key, args)))
        ask = self._ask_behind if behind else self._ask
        return bool(await ask(self._save.run(key, *args)))

    async def spend(self, payer: Payer, amounts: Amounts, *, now_s: float) -> Amounts:
        """Add to what was spent on a day (:meth:`SessionStore.spend`)."""
        key = self._key("d", str(day_of(now_s)), payer.whose, _digest(payer.name))
        more = [part for it in amounts._asdict().items() if it[1] for part in it]
        found = iter(await self._ask(self._spend.run(key, _DAYS_S, *more)))
        total = {name.decode(): int(number) for name, number in zip(found, found, strict=True)}
        return Amounts(**{name: total.get(name, 0) for name in Amounts._fields})

    # what they ask

    async def _beat(self, me: Replica, sessions: list[Held]) -> Heard:
        said = json.dumps(asdict(me))
        if self._at_once:
            pipe = self._client.pipeline(transaction=False)
            pipe.set(self._key("r", me.name), said, px=REPLICA_MS)
            pipe.sadd(self._key("r"), me.name)
            await pipe.execute()
        else:
            await self._client.set(self._key("r", me.name), said, px=REPLICA_MS)
            await self._client.sadd(self._key("r"), me.name)
        renewed = await self._renew.run_all(
            [
                (self._key("s", it.session_id), (me.name, it.term, self._session_ms))
                for it in sessions
            ],
            at_once=self._at_once,
        )
        found = list(zip(sessions, renewed, strict=True))
        lost = frozenset(it.session_id for it, answer in found if answer == _LOST)
        entered = frozenset(it.session_id for it, answer in found if answer == _ENTERED)
        await self._count.run_all(
            [
                (self._key("u", _digest(it.user)), (it.session_id, -1, self._session_ms))
                for it in sessions
                if it.user and it.session_id not in lost
            ],
            at_once=self._at_once,
        )
        return Heard(lost, await self._replicas(), entered)

    async def _replicas(self) -> tuple[Replica, ...]:
        """Those that live; the names of the others are dropped."""
        names = [name.decode() for name in sorted(await self._client.smembers(self._key("r")))]
        said = await self._said(names)
        dead = [name for name, text in zip(names, said, strict=True) if text is None]
        if dead:
            await self._client.srem(self._key("r"), *dead)
        return tuple(_replica_of(text) for text in said if text is not None)

    async def _said(self, names: Sequence[str]) -> list[bytes | None]:
        """What processes say of themselves; several keys may be on several servers."""
        keys = [self._key("r", name) for name in names]
        if self._at_once and keys:
            return await self._client.mget(keys)
        return [await self._client.get(key) for key in keys]

    async def _replica(self, name: str) -> Replica | None:
        [said] = await self._said([name])
        return None if said is None else _replica_of(said)

    async def _leave(self, me: Replica) -> Heard:
        await self._client.delete(self._key("r", me.name))
        await self._client.srem(self._key("r"), me.name)
        return Heard()

    async def _locate(self, session_id: str) -> Located | None:
        key = self._key("s", session_id)
        owner, term, snapshot = await self._client.hmget(key, "owner", "term", "snapshot")
        if owner is None:
            await self._claims.settled()  # it is over, and not forgotten a moment ago
            return None
        replica = await self._replica(owner.decode())
        return Located(owner.decode(), replica, int(term), snapshot or b"")

    def _key(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)

    async def _ask(self, work: Coroutine[Any, Any, T], *, within_s: float = 0) -> T:
        try:
            async with self._turns:
                if self._clock_s() < self._silent_until_s:
                    raise StoreUnreachableError
                return await self._answer(work, max(within_s, self._answers_s))
        finally:
            work.close()

    async def _ask_behind(self, work: Coroutine[Any, Any, T]) -> T:
        """Ask whatever has failed before; those for whom somebody waits are not behind this."""
        try:
            async with self._behind:
                return await self._answer(work, max(_BEHIND_S, self._answers_s))
        finally:
            work.close()

    async def _answer(self, work: Coroutine[Any, Any, T], within_s: float) -> T:
        try:
            async with turning(within_s):
                answer = await work
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            self._silent_until_s = self._clock_s() + _PAUSE_S
            if not self._away:
                why = str(error) or f"no answer within {within_s:g} s"
                _log.warning("the engine cannot be reached: %s", why)
            self._away = True
            raise StoreUnreachableError from None
        if self._away:
            self._away = False
            self._silent_until_s = 0.0
            _log.warning("the engine answers again")
        return answer


def _replica_of(said: bytes) -> Replica:
    known = {name: value for name, value in json.loads(said).items() if name in _FIELDS}
    return Replica(**known)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
