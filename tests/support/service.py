"""A service of several processes, and a session in one of them."""

from dataclasses import replace
from typing import Any

from tests.support.front_door import Caller, Process, SlowStore, token_of
from voxwire_protocol.virtual_time import VirtualTime
from voxwire_server.session.keeper import KEEPS_MS
from voxwire_server.session.session import Session
from voxwire_server.session.ticket import Here


def service(time: VirtualTime, num: int = 2, seed: int = 1, **settings: Any) -> list[Process]:
    store = SlowStore(seed)
    return [Process(store, clock=time, keeps=True, **settings) for _ in range(num)]


async def begun(time: VirtualTime, process: Process, **facts: Any) -> tuple[Caller, Session]:
    caller = Caller(token_of(max_sessions=1))
    caller.facts = replace(caller.facts, **facts)
    answer = await caller.come(process)
    assert isinstance(answer, Here)
    await time.advance(KEEPS_MS + 100)
    return caller, answer.session


async def dies(process: Process) -> None:
    """It is not heard of any more; what runs in it does not know."""
    leases = process.directory.leases
    leases.stop()
    await process.store.beat(leases.me, gone=True)


async def heard_of(*processes: Process) -> None:
    """Each has heard of those before it."""
    for process in processes:
        await process.directory.leases.beat()


async def closed(*processes: Process) -> None:
    for process in processes:
        await process.directory.close(5000)
