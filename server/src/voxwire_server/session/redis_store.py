"""The store of a service of several processes: Redis, Valkey, or what speaks their protocol.

Every script touches one key, so a cluster is as good as one server. Which keys there are, how long
they live and what they never hold: protocol/spec/cluster.md.

A call that is not answered within 200 ms has failed, and for a second nothing more is asked: those
who come meanwhile are told so at once. redis-py's own retries are off for the same reason.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from typing import Any, Final, TypeVar

from redis.exceptions import AuthenticationError, NoPermissionError, NoScriptError, RedisError

from voxwire_server.caps import Amounts, Payer, day_of
from voxwire_server.session.store import (
    NO_OWNER,
    Heard,
    Held,
    Located,
    Replica,
    Saved,
    StoreUnreachableError,
)

__all__ = ["ANSWERS_S", "REPLICA_MS", "RedisStore"]

_log = logging.getLogger("voxwire.store")

ANSWERS_S: Final = 0.2
"""How long the server may take to answer, seconds."""
REPLICA_MS: Final = 6000
"""How long a process lives that is not heard of, milliseconds."""
_PAUSE_S: Final = 1.0
_BEATS_S: Final = 1.0
"""How long a beat may take, for which nobody waits."""
_TRIES_S: Final = 3.0
_AT_ONCE: Final = 8
"""What is asked at once; the rest waits. A crowd is not to be taken for an engine that is slow."""
_SLICES: Final = 4
_DAYS_S: Final = 2 * 86_400

T = TypeVar("T")

# KEYS: the session. ARGV: who, its term, life in ms. 1 = another one's, 2 = it was not known so.
_RENEW: Final = """
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then
  if tonumber(redis.call('HGET', KEYS[1], 'term')) >= tonumber(ARGV[2]) then return 1 end
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'term', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return owner == ARGV[1] and 0 or 2
"""
# KEYS: the session. ARGV: of, by, nobody, life in ms. Its term and snapshot.
_TAKE: Final = """
local owner = redis.call('HGET', KEYS[1], 'owner') or ''
if owner ~= ARGV[1] or (owner == '' and ARGV[2] == '') then return false end
if owner == '' then
  redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'term', 1)
elseif ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], 'owner', ARGV[2])
  if ARGV[2] ~= ARGV[3] then redis.call('HINCRBY', KEYS[1], 'term', 1) end
end
local found = redis.call('HMGET', KEYS[1], 'term', 'snapshot')
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return {tonumber(found[1]), found[2] or ''}
"""
# KEYS: the session. ARGV: who, its term, snapshot, life in ms.
_SAVE: Final = """
local found = redis.call('HMGET', KEYS[1], 'owner', 'term')
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'snapshot', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""
# KEYS: the user. ARGV: session, limit or -1, life in ms.
_COUNT: Final = """
local at = redis.call('TIME')
local now = at[1] * 1000 + math.floor(at[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local others = redis.call('ZCARD', KEYS[1])
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then others = others - 1 end
if tonumber(ARGV[2]) >= 0 and others >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
# KEYS: what. ARGV: value, instead of, until in ms since the epoch.
_CLAIM: Final = """
local there = redis.call('GET', KEYS[1]) or ''
if there ~= ARGV[2] or ARGV[1] == ARGV[2] then return there end
local at = redis.call('TIME')
local left = tonumber(ARGV[3]) - (at[1] * 1000 + math.floor(at[2] / 1000))
if left <= 0 then return there end
if ARGV[1] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', math.max(left, redis.call('PTTL', KEYS[1])))
end
return ARGV[1]
"""
# KEYS: the payer's day. ARGV: life in s, then each amount by its name.
_SPEND: Final = """
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
if #ARGV > 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return redis.call('HGETALL', KEYS[1])
"""


_LOST: Final = 1
_ENTERED: Final = 2
_FIELDS: Final = tuple(field.name for field in fields(Replica))
_Call = tuple[str, Sequence[str | bytes | int]]
"""The key of a script, and its arguments."""


class _Script:
    """A script by its digest, which is sent along where the server does not know it."""

    def __init__(self, client: Any, text: str) -> None:
        self._client = client
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, key: str, *args: str | bytes | int) -> Any:
        """Run it on a key."""
        try:
            return await self._client.evalsha(self._digest, 1, key, *args)
        except NoScriptError:
            return await self._client.eval(self._text, 1, key, *args)

    async def run_all(self, calls: Sequence[_Call], *, at_once: bool) -> list[Any]:
        """Run it on several keys; ``at_once``: in one go, which a cluster's client cannot."""
        if not at_once or not calls:
            return [await self.run(key, *args) for key, args in calls]
        first, *rest = calls
        answers = [await self.run(first[0], *first[1])]  # the server knows it from now on
        pipe = self._client.pipeline(transaction=False)
        for key, args in rest:
            pipe.evalsha(self._digest, 1, key, *args)
        return answers + await pipe.execute()


class RedisStore:
    """Where the processes of a service agree.

    Args:
        client: Its connections, of redis-py: without retries, and without decoding.
        session_ms: How long a session is kept whose owner is not heard of, milliseconds.
        is_cluster: True when keys are on several servers.
        answers_s: How long the server may take to answer, seconds.
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
        self._silent_until_s = 0.0
        self._away = False
        self._renew = _Script(client, _RENEW)
        self._take = _Script(client, _TAKE)
        self._save = _Script(client, _SAVE)
        self._count = _Script(client, _COUNT)
        self._claim = _Script(client, _CLAIM)
        self._spend = _Script(client, _SPEND)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def try_out(self) -> str:
        """See whether the engine can be used; why not, or nothing."""
        try:
            async with asyncio.timeout(_TRIES_S):
                await self._claim.run(self._key("c", "trial"), b"", b"", 0)
        except NoPermissionError:
            return (
                "this user may not do what is needed (scripts, and every key that begins with vw:)"
            )
        except (RedisError, OSError, TimeoutError) as error:
            text = str(error)
            if isinstance(error, AuthenticationError) or "username-password" in text:
                return "it refuses this user or password"
            if "authenticated" in text:
                return "it asks for a password, and none is given"
            return f"it cannot be reached: {text or f'no answer within {_TRIES_S:g} s'}"
        return ""

    # the verbs

    async def beat(
        self, me: Replica, sessions: Collection[Held] = (), *, gone: bool = False
    ) -> Heard:
        """Say that a process lives (:meth:`SessionStore.beat`)."""
        work = self._leave(me) if gone else self._beat(me, list(sessions))
        return await self._ask(work, within_s=_BEATS_S)

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
        return bool(await self._ask(self._count.run(key, session_id, most, self._session_ms)))

    async def claim(
        self, what: str, value: bytes = b"", *, instead_of: bytes = b"", until_s: float
    ) -> bytes:
        """Set what can be had once (:meth:`SessionStore.claim`)."""
        kind, _, name = what.partition("/")
        key = self._key("c", kind, _digest(name))
        return await self._ask(self._claim.run(key, value, instead_of, round(until_s * 1000)))

    async def save(self, session_id: str, me: str, snapshot: bytes, *, term: int) -> bool:
        """Keep a snapshot (:meth:`SessionStore.save`)."""
        key = self._key("s", session_id)
        return bool(await self._ask(self._save.run(key, me, term, snapshot, self._session_ms)))

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
        found: list[Replica] = []
        for name in sorted(await self._client.smembers(self._key("r"))):
            replica = await self._replica(name.decode())
            if replica is None:
                await self._client.srem(self._key("r"), name)
            else:
                found.append(replica)
        return tuple(found)

    async def _replica(self, name: str) -> Replica | None:
        said = await self._client.get(self._key("r", name))
        if said is None:
            return None
        known = {name: value for name, value in json.loads(said).items() if name in _FIELDS}
        return Replica(**known)

    async def _leave(self, me: Replica) -> Heard:
        await self._client.delete(self._key("r", me.name))
        await self._client.srem(self._key("r"), me.name)
        return Heard()

    async def _locate(self, session_id: str) -> Located | None:
        key = self._key("s", session_id)
        owner, term, snapshot = await self._client.hmget(key, "owner", "term", "snapshot")
        if owner is None:
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

    async def _answer(self, work: Coroutine[Any, Any, T], within_s: float) -> T:
        try:
            async with _turning(within_s):
                answer = await work
        except (RedisError, OSError, TimeoutError) as error:
            self._silent_until_s = self._clock_s() + _PAUSE_S
            if not self._away:
                why = str(error) or f"no answer within {within_s:g} s"
                _log.warning("the engine cannot be reached: %s", why)
            self._away = True
            raise StoreUnreachableError from None
        if self._away:
            self._away = False
            _log.warning("the engine answers again")
        return answer


@asynccontextmanager
async def _turning(within_s: float) -> AsyncGenerator[None]:
    """A timeout for time in which the loop turns: one that stands still, with the answer at hand,
    says nothing of the engine.

    Raises:
        TimeoutError: The block has not ended within so many seconds.
    """
    loop, left = asyncio.get_running_loop(), _SLICES

    def slice_over() -> None:
        nonlocal left, timer
        left -= 1
        if left:
            timer = loop.call_later(within_s / _SLICES, slice_over)
        else:
            limit.reschedule(loop.time())

    timer = loop.call_later(within_s / _SLICES, slice_over)
    try:
        async with asyncio.timeout(None) as limit:
            yield
    finally:
        timer.cancel()


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
