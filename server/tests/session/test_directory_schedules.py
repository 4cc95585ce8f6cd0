"""One token, one place, twenty Hellos, and a store that lets anything happen at every step."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from tests.support.front_door import Caller, Process, SlowStore, token_of
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.ticket import At, Here, Refused

SCHEDULES = 1000
PARTS = 4
FEWER = 100
HELLOS = 20
TWO = {name: token_of(token_id=name, max_sessions=1) for name in ("token-one", "token-two")}
ONE = {"token-one": TWO["token-one"]}
UNLIMITED = {"token-one": token_of(token_id="token-one")}

CAPACITY = wire.ErrorCode.ERROR_CODE_CAPACITY
UNAUTHORIZED = wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
EXPECTED = {
    CAPACITY,
    UNAUTHORIZED,
    wire.ErrorCode.ERROR_CODE_SUPERSEDED,
    wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED,
}


class Crowd:
    """Twenty who come; some share a nonce, some come back, some leave half-way.

    Args:
        seed: Of everything that they do.
        processes: Where they come to.
        tokens: What they come with.
    """

    def __init__(
        self, seed: int, processes: Sequence[Process], tokens: Mapping[str, str] = ONE
    ) -> None:
        self._random = random.Random(seed)
        self._processes = processes
        self.tokens = dict(tokens)
        self._nonces = [bytes([n]) * 16 for n in range(self._random.choice([1, 3, HELLOS]))]
        self._leavers = self._random.choice([0.0, 0.3, 0.9])
        self._welcomes: list[tuple[Process, wire.Welcome]] = []
        self.first_hellos = 0
        self.answers: list[Here | At | Refused] = []
        self.callers: list[Caller] = []

    async def come(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(HELLOS):
                group.create_task(self._one())

    async def _one(self) -> None:
        rng = self._random
        await asyncio.sleep(rng.randrange(100) / 1000)
        process, back = rng.choice(self._processes), None
        if self._welcomes and rng.random() < 0.4:
            process, back = rng.choice(self._welcomes)
        if back is None:
            token_id, token = rng.choice(list(self.tokens.items()))
            caller = Caller(token, token_id=token_id, nonce=rng.choice(self._nonces))
        else:
            caller = Caller(nonce=rng.randbytes(16), back=back)
        self.callers.append(caller)
        coming = asyncio.create_task(caller.come(process))
        if rng.random() < self._leavers:
            await asyncio.sleep(rng.randrange(50) / 1000)
            coming.cancel()
            await asyncio.wait({coming})
            if coming.cancelled():
                return
        answer = await coming
        self.answers.append(answer)
        self.first_hellos += back is None
        if isinstance(answer, Here):
            self._welcomes.append((process, caller.welcome))


async def let_everything_end(processes: Sequence[Process]) -> None:
    while not all(process.idle for process in processes):
        await asyncio.sleep(0.01)


def used(store: LocalStore) -> set[str]:
    return {token_id for token_id in TWO if store.is_used(token_id)}


def count(crowd: Crowd, store: LocalStore, processes: Sequence[Process]) -> int:
    """Nothing is left over, and there is one session at most.

    Returns:
        How many sessions there are.
    """
    sessions = [session for process in processes for session in process.sessions]
    assert len(sessions) <= 1
    here = [answer.session for answer in crowd.answers if isinstance(answer, Here)]
    assert {session.id for session in here} <= {session.id for session in sessions}
    assert {a.code for a in crowd.answers if isinstance(a, Refused)} <= EXPECTED
    assert len(store) == store.places_of("ada") == len(sessions)
    assert used(store) == {caller.token_id for caller in crowd.callers if caller.bound} - {""}
    for session in sessions:
        carried = session.link is not None
        parked = any(caller.left and caller.bound is session for caller in crowd.callers)
        assert carried or parked
        assert not session.over
    assert sum(len(vars(p.registry)["_tasks"]) for p in processes) == len(sessions)
    return len(sessions)


async def schedule(
    time: VirtualTime,
    seed: int,
    *,
    make: Callable[[int], SlowStore] = SlowStore,
    num_processes: int = 1,
    tokens: Mapping[str, str] = ONE,
) -> int:
    store = make(seed)
    processes = [Process(store, url=f"ws://{n}", clock=time) for n in range(num_processes)]
    for process in processes:
        await process.directory.leases.beat()
    try:
        return await held_to_account(Crowd(seed, processes, tokens), store, processes)
    finally:
        for process in processes:
            await process.directory.close(5000)


async def held_to_account(crowd: Crowd, store: LocalStore, processes: Sequence[Process]) -> int:
    await crowd.come()
    await let_everything_end(processes)
    num = count(crowd, store, processes)
    if len(processes) == 1 and crowd.first_hellos:
        assert num == 1
    if not num:  # whoever comes now finds the token and the place as they were
        assert isinstance(await Caller(crowd.tokens["token-one"]).come(processes[0]), Here)
    for process in processes:
        await process.close()
    await let_everything_end(processes)
    assert len(store) == store.places_of("ada") == 0
    assert used(store)  # by a session that was
    return num


def run(seed: int, **how: Any) -> int:
    """One schedule, to its end.

    Returns:
        How many sessions there were.
    """
    time = VirtualTime()
    return time.run(schedule(time, seed, **how))


@pytest.mark.parametrize("part", range(PARTS))
def test_one_session_no_burnt_token_no_orphan(part: int) -> None:
    seeds = range(part, SCHEDULES, PARTS)
    numbers = [run(seed) for seed in seeds]
    assert numbers.count(1) > len(seeds) // 2


@pytest.mark.parametrize("tokens", [ONE, UNLIMITED, TWO], ids=["quota", "no quota", "two tokens"])
def test_nor_when_two_processes_share_the_store(tokens: dict[str, str]) -> None:
    numbers = [run(seed, num_processes=2, tokens=tokens) for seed in range(FEWER)]
    assert numbers.count(1) > FEWER // 2


async def attaches(time: VirtualTime, seed: int, make: Callable[[int], SlowStore]) -> int:
    """Twelve who come with three nonces and no token, to two processes.

    Returns:
        How many sessions there were.
    """
    store, rng = make(seed), random.Random(seed)
    processes = [Process(store, key="", clock=time) for _ in range(2)]
    for process in processes:
        await process.directory.leases.beat()

    async def one(nonce: bytes) -> Any:
        await asyncio.sleep(rng.randrange(60) / 1000)
        return await Caller(nonce=nonce).come(rng.choice(processes))

    nonces = [bytes([number]) * 16 for number in range(3)]
    async with asyncio.TaskGroup() as group:
        coming = [group.create_task(one(nonce)) for nonce in nonces * 4]
    assert all(isinstance(task.result(), Here | At) for task in coming)
    await let_everything_end(processes)
    sessions = [session for process in processes for session in process.sessions]
    for nonce in nonces:
        assert sum(s.numbered is not None and s.numbered.knows(nonce) for s in sessions) <= 1
    assert len(store) == len(sessions)
    for process in processes:
        await process.close()
    return len(sessions)


def of_attaches(seed: int, make: Callable[[int], SlowStore] = SlowStore) -> int:
    time = VirtualTime()
    return time.run(attaches(time, seed, make))


def test_one_attach_is_one_session_wherever_it_comes() -> None:
    assert [of_attaches(seed) for seed in range(FEWER)] == [3] * FEWER


class CountsWithAPause(SlowStore):
    """Looks, pauses, and enters only then."""

    async def count(
        self, user: str, session_id: str, *, limit: int | None = None, back: bool = False
    ) -> bool:
        good = limit is None or self.places_of(user) < limit
        await self.pause()
        return (good or back) and await super().count(user, session_id, back=back)


class ClaimsWithAPause(SlowStore):
    """Looks, pauses, and answers what it saw."""

    async def claim(
        self, what: str, value: bytes = b"", *, instead_of: bytes = b"", until_s: float
    ) -> bytes:
        free = await LocalStore.claim(self, what, until_s=until_s) == instead_of
        there = await super().claim(what, value, instead_of=instead_of, until_s=until_s)
        return value if free and what.startswith("token/") else there


@pytest.mark.parametrize(
    ("make", "tokens"), [(CountsWithAPause, TWO), (ClaimsWithAPause, UNLIMITED)]
)
def test_a_store_that_is_not_atomic_is_found_out(
    make: Callable[[int], SlowStore], tokens: dict[str, str]
) -> None:
    with pytest.raises(AssertionError):
        for seed in range(FEWER):
            run(seed, make=make, num_processes=2, tokens=tokens)


class BindsWithAPause(SlowStore):
    """Whoever claims a nonce has it."""

    async def claim(
        self, what: str, value: bytes = b"", *, instead_of: bytes = b"", until_s: float
    ) -> bytes:
        there = await LocalStore.claim(self, what, until_s=until_s)
        if value and what.startswith("nonce/"):
            instead_of = there
        return await super().claim(what, value, instead_of=instead_of, until_s=until_s)


def test_a_store_in_which_an_attach_is_bound_anew_is_found_out() -> None:
    with pytest.raises(AssertionError):
        for seed in range(FEWER):
            of_attaches(seed, BindsWithAPause)
