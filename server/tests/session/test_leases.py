"""What a process knows of the others."""

import asyncio

from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.leases import Leases
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.session.store import Replica


def made(store: LocalStore, name: str, time: VirtualTime) -> Leases:
    me = Replica(name=name, peer_url=f"ws://{name}")
    return Leases(SessionRegistry(1), store, me, clock=time, spawn=asyncio.ensure_future)


@in_virtual_time
async def test_a_process_that_began_a_moment_ago_is_found(time: VirtualTime) -> None:
    """Its client's next request comes to another one, which has not heard of it yet."""
    store = LocalStore()
    old, new = made(store, "old", time), made(store, "new", time)
    old.begin()
    await time.advance(10)
    new.begin()
    await time.advance(10)
    assert [it.name for it in old.replicas] == ["old"]
    looking = asyncio.ensure_future(old.other("new"))
    await time.advance(1000)
    assert looking.done()
    found = looking.result()
    assert found is not None and found.name == "new"
    old.stop()
    new.stop()


@in_virtual_time
async def test_names_of_nobody_ask_the_store_five_times_a_second_at_most(
    time: VirtualTime,
) -> None:
    store, asked = LocalStore(), list[float]()
    leases, beat = made(store, "me", time), store.beat

    async def counted(*args: object, **how: object) -> object:
        asked.append(time.now_ms())
        return await beat(*args, **how)  # type: ignore[arg-type]

    vars(store)["beat"] = counted
    leases.begin()
    await time.advance(10)
    for _ in range(5):
        looking = [asyncio.ensure_future(leases.other(f"nobody{it}")) for it in range(100)]
        await time.advance(200)
        assert [it.result() for it in looking] == [None] * 100
    assert 5 <= len(asked) <= 6
    leases.stop()
