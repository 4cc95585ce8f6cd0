"""What the engine is asked to do: scripts of one key each, and how they are sent."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from redis.exceptions import NoScriptError

__all__ = [
    "CLAIM",
    "COUNT",
    "ENTER",
    "MARK",
    "RENEW",
    "SAVE",
    "SPEND",
    "TAKE",
    "Call",
    "Script",
    "Together",
]

_UNDER_MARK: Final = """
if KEYS[2] then
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  if redis.call('GET', KEYS[2]) ~= ARGV[4] or string.match(ARGV[4], '^%w+') ~= run then
    return false
  end
end
"""
# KEYS: the session. ARGV: who, its term, life in ms. 1 = another one's, 2 = it was not known so, or
# nothing is kept of it.
RENEW: Final = """
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then
  if tonumber(redis.call('HGET', KEYS[1], 'term')) >= tonumber(ARGV[2]) then return 1 end
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'term', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local kept = redis.call('HEXISTS', KEYS[1], 'snapshot')
return owner == ARGV[1] and kept == 1 and 0 or 2
"""
# KEYS: the session. ARGV: of, by, nobody, life in ms. Its term and snapshot.
TAKE: Final = """
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
# KEYS: the session. ARGV: who, its term, snapshot, life in ms, the how-manieth of this owner's. One
# that was sent before another and comes behind it, by another connection, is not kept.
SAVE: Final = """
local found = redis.call('HMGET', KEYS[1], 'owner', 'term', 'saved')
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] then return 0 end
local term, number = string.match(found[3] or '', '^(%d+) (%d+)$')
if term == ARGV[2] and tonumber(number) > tonumber(ARGV[5]) then return 1 end
redis.call('HSET', KEYS[1], 'snapshot', ARGV[3], 'saved', ARGV[2] .. ' ' .. ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""
# KEYS: the user, and the engine's mark as above. ARGV: session, limit or -1, life in ms, the mark.
COUNT: Final = (
    _UNDER_MARK
    + """
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
)
# KEYS: what, and the engine's mark where it is on the same server. ARGV: value, instead of, until
# in ms since the epoch, the mark. Nothing where that is not its mark.
CLAIM: Final = (
    _UNDER_MARK
    + """
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
)
# KEYS: the payer's day. ARGV: life in s, then each amount by its name.
SPEND: Final = """
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
if #ARGV > 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return redis.call('HGETALL', KEYS[1])
"""
# KEYS: the engine's mark. The mark, and how old it is in ms.
MARK: Final = """
local at = redis.call('TIME')
local now = at[1] * 1000 + math.floor(at[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local mark = redis.call('GET', KEYS[1])
if not mark or string.match(mark, '^%w+') ~= run then
  mark = run .. ' ' .. string.format('%d', now)
  redis.call('SET', KEYS[1], mark)
end
return {mark, now - tonumber(string.match(mark, '%d+$'))}
"""
# KEYS: what. ARGV: value, until in ms since the epoch. It is not there already, or it stays.
ENTER: Final = """
local at = redis.call('TIME')
local left = tonumber(ARGV[2]) - (at[1] * 1000 + math.floor(at[2] / 1000))
if left > 0 then redis.call('SET', KEYS[1], ARGV[1], 'PX', left, 'NX') end
return 0
"""

_BESIDE: Final = 16
"""What is asked of a cluster at once."""
Call = tuple[str, Sequence[str | bytes | int]]
"""The key of a script, and its arguments."""


class Script:
    """A script by its digest, which is sent along where the server does not know it."""

    def __init__(self, client: Any, text: str) -> None:
        self._client = client
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, key: str, *args: str | bytes | int, beside: str = "") -> Any:
        """Run it on a key, and on one beside it on the same server."""
        keys = [key, beside] if beside else [key]
        try:
            return await self._client.evalsha(self._digest, len(keys), *keys, *args)
        except NoScriptError:
            return await self._client.eval(self._text, len(keys), *keys, *args)

    async def run_all(self, calls: Sequence[Call], *, at_once: bool) -> list[Any]:
        """Run it on several keys; ``at_once``: in one go, which a cluster's client cannot."""
        if not at_once:
            answers: list[Any] = []
            for at in range(0, len(calls), _BESIDE):
                some = calls[at : at + _BESIDE]
                answers += await asyncio.gather(*(self.run(key, *args) for key, args in some))
            return answers
        if not calls:
            return []
        try:
            return await self._in_one_go(calls)
        except NoScriptError:
            await self._client.script_load(self._text)
            return await self._in_one_go(calls)

    async def _in_one_go(self, calls: Sequence[Call]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for key, args in calls:
            pipe.evalsha(self._digest, 1, key, *args)
        return await pipe.execute()


class Together:
    """Asks for all who come in the same turn of the loop in one go.

    Args:
        ask: Asks; its answers are in the order of the calls.
    """

    def __init__(self, ask: Callable[[list[Call]], Coroutine[Any, Any, list[Any]]]) -> None:
        self._ask = ask
        self._calls: list[Call] = []
        self._next: asyncio.Task[list[Any]] | None = None

    async def answer(self, call: Call) -> Any:
        """What one of them is answered. Cancel-safe: the others are answered all the same."""
        number, task = len(self._calls), self._next
        self._calls.append(call)
        if task is None:
            task = self._next = asyncio.create_task(self._go())
            task.add_done_callback(_ended)
        return (await asyncio.shield(task))[number]

    async def _go(self) -> list[Any]:
        calls, self._calls, self._next = self._calls, [], None
        return await self._ask(calls)


def _ended(task: "asyncio.Task[list[Any]]") -> None:
    """Whoever has asked is told why it failed, if he is there still."""
    if not task.cancelled():
        task.exception()
