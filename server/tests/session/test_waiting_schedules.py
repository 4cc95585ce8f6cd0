"""Six who come to two places, wait, hang up and come again; a store lets anything happen."""

import asyncio
import hashlib
import random

import pytest

from tests.support.front_door import Caller, Process, SlowStore, token_of
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime
from voxwire_server.session.store import Saved
from voxwire_server.session.ticket import At, Here, Refused
from voxwire_server.session.waiting import Place

SCHEDULES = 1000
PARTS = 4
GUESTS = 6
PLACES = 2
TOKENS = [token_of(f"user-{n}", token_id=f"the-token-of-{n}") for n in range(GUESTS)]
EXPECTED = {
    wire.ErrorCode.ERROR_CODE_CAPACITY,
    wire.ErrorCode.ERROR_CODE_SUPERSEDED,
    wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED,
    wire.ErrorCode.ERROR_CODE_UNAUTHORIZED,
}

NONCES = {
    f"nonce/{hashlib.sha256(nonce).hexdigest()}": nonce
    for nonce in (bytes([number]) * 16 for number in range(GUESTS))
}


class Ledger(SlowStore):
    """Notes who has got a place, in their order, and how many waited when he did."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.process: Process | None = None
        self._waiting: dict[str, int] = {}
        self._nonces: dict[str, bytes] = {}

    @property
    def granted(self) -> list[tuple[bytes, int]]:
        return [(self._nonces[it], num) for it, num in self._waiting.items() if it in self._nonces]

    async def take(self, session_id: str, *, of: str, by: str) -> Saved | None:
        if not of:
            assert self.process is not None
            self._waiting[session_id] = len(self.process.directory.places.waiting_room)
        return await super().take(session_id, of=of, by=by)

    async def claim(
        self, what: str, value: bytes = b"", *, instead_of: bytes = b"", until_s: float
    ) -> bytes:
        if value and what in NONCES:
            self._nonces[value.decode()] = NONCES[what]
        return await super().claim(what, value, instead_of=instead_of, until_s=until_s)


class Crowd:
    """Those who come.

    Args:
        seed: Of everything that they do.
        process: Where they come to.
    """

    def __init__(self, seed: int, process: Process) -> None:
        self._random = random.Random(seed)
        self._process = process
        self._leavers = self._random.choice([0.0, 0.3, 0.7])
        self._nonces = [bytes([n]) * 16 for n in range(GUESTS)]
        self.entered: list[bytes] = []
        self.came_again: set[bytes] = set()
        self.answers: list[Here | At | Refused] = []
        self.callers: list[Caller] = []

    async def come(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(GUESTS):
                group.create_task(self._one(number))

    async def _one(self, number: int) -> None:
        rng = self._random
        await asyncio.sleep(rng.randrange(1000) / 1000)
        if not await self._try(number, leaves=rng.random() < self._leavers):
            await asyncio.sleep(rng.randrange(300) / 1000)
            self.came_again.add(self._nonces[number])
            await self._try(number, leaves=rng.random() < self._leavers)

    async def _try(self, number: int, *, leaves: bool) -> bool:
        """Come once; False = he has hung up."""
        nonce = self._nonces[number]
        caller = Caller(TOKENS[number], token_id=f"the-token-of-{number}", nonce=nonce)
        self.callers.append(caller)

        def told(_: Place) -> None:
            if nonce not in self.entered:
                self.entered.append(nonce)

        waits = None if self._random.random() < 0.1 else told
        attach = self._process.directory.attach(caller.ticket, caller.facts, caller, waits=waits)
        coming = asyncio.ensure_future(attach)
        if leaves:
            await asyncio.sleep(self._random.randrange(1500) / 1000)
            coming.cancel()
            await asyncio.wait({coming})
            if coming.cancelled():
                return False
        answer = await coming
        self.answers.append(answer)
        if isinstance(answer, Here):
            await asyncio.sleep(self._random.randrange(800) / 1000)
            answer.session.end(wire.EndReason.END_REASON_BOT)
        return True


async def settled(process: Process) -> None:
    while not process.idle:
        await asyncio.sleep(0.01)


def in_order(crowd: Crowd, store: Ledger) -> int:
    """Whoever waited before another one had his place before him, and nobody passed them.

    Returns:
        How many waited and had a place.
    """
    waited = [nonce for nonce, _ in store.granted if nonce in crowd.entered]
    once = [it for it in waited if waited.count(it) == 1 and it not in crowd.came_again]
    assert once == [nonce for nonce in crowd.entered if nonce in once]
    passed = [n for nonce, n in store.granted if nonce not in crowd.entered if n]
    assert not passed
    return len(once)


async def schedule(time: VirtualTime, seed: int) -> int:
    store = Ledger(seed)
    process = store.process = Process(
        store, clock=time, max_sessions=PLACES, max_waiting=4, max_wait_s=3
    )
    crowd = Crowd(seed, process)
    await crowd.come()
    await settled(process)
    assert len(process.directory.places.waiting_room) == 0
    assert {a.code for a in crowd.answers if isinstance(a, Refused)} <= EXPECTED
    used = {f"the-token-of-{n}" for n in range(GUESTS) if store.is_used(f"the-token-of-{n}")}
    assert used == {caller.token_id for caller in crowd.callers if caller.bound}
    for session in process.sessions:  # of somebody who left just when it had begun
        assert any(caller.left and caller.bound is session for caller in crowd.callers)
        session.end(wire.EndReason.END_REASON_SERVER)
    await asyncio.sleep(1)
    await settled(process)
    assert (len(process.registry), process.registry.reserved, len(store)) == (0, 0, 0)
    await process.close()
    return in_order(crowd, store)


@pytest.mark.parametrize("part", range(PARTS), ids="part{}".format)
def test_first_come_first_served_no_place_lost_no_orphan(part: int) -> None:
    served = 0
    for seed in range(part, SCHEDULES, PARTS):
        time = VirtualTime()
        served += time.run(schedule(time, seed))
    assert served > SCHEDULES // PARTS
