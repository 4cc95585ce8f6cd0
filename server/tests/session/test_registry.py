"""The sessions of a process: places, owner tasks, and the end of all of them."""

import asyncio

import pytest

from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.config import Settings
from voxwire_server.session.registry import CapacityError, SessionRegistry
from voxwire_server.session.session import Session


async def wait_for_ever(_: Session) -> None:
    await asyncio.Event().wait()


async def deaf(_: Session) -> None:
    """Takes no cancellation for an answer, for a while."""
    until = asyncio.get_running_loop().time() + 60
    while (now := asyncio.get_running_loop().time()) < until:
        try:
            await asyncio.sleep(until - now)
        except asyncio.CancelledError:
            continue


def begin(registry: SessionRegistry, time: VirtualTime, run: object = wait_for_ever) -> Session:
    session = Session(registry.reserve(), settings=Settings(), run_bot=run, clock=time)  # type: ignore[arg-type]
    registry.start(session)
    return session


@in_virtual_time
async def test_a_place_is_reserved_before_there_is_a_session_and_given_back(
    time: VirtualTime,
) -> None:
    registry = SessionRegistry(2)
    first, second = registry.reserve(), registry.reserve()
    assert first != second
    assert first.split(".")[0] == second.split(".")[0] == registry.name
    assert (len(registry), registry.reserved, registry.full) == (0, 2, True)
    with pytest.raises(CapacityError):
        registry.reserve()
    registry.give_back(first)
    registry.give_back(first)
    assert not registry.full
    session = begin(registry, time)
    assert (len(registry), registry.reserved, registry.full) == (1, 1, True)
    registry.give_back(session.id)
    assert registry.get(session.id) is session
    await registry.close(1000)


@in_virtual_time
async def test_a_session_is_forgotten_when_its_owner_has_ended(time: VirtualTime) -> None:
    registry = SessionRegistry(2)
    session = begin(registry, time)
    await time.settle()
    assert list(registry) == [session]
    session.end(wire.EndReason.END_REASON_CLIENT)
    await session.ended.wait()
    await time.settle()
    assert len(registry) == 0
    assert registry.get(session.id) is None
    assert not vars(registry)["_tasks"]


@in_virtual_time
async def test_a_registry_that_closes_ends_every_session_and_takes_no_other(
    time: VirtualTime,
) -> None:
    registry = SessionRegistry(5)
    sessions = [begin(registry, time) for _ in range(3)]
    reserved = registry.reserve()
    await registry.close(1000)
    assert all(session.ended.is_set() for session in sessions)
    assert len(registry) == 0
    with pytest.raises(CapacityError):
        registry.reserve()
    registry.give_back(reserved)
    await registry.close(1000)


@in_virtual_time
async def test_a_close_does_not_wait_longer_than_it_may(time: VirtualTime) -> None:
    registry = SessionRegistry(5)
    session = begin(registry, time, deaf)
    await time.settle()
    start_ms = time.now_ms()
    await registry.close(500)
    assert time.now_ms() - start_ms <= 1500
    assert session.over
    await time.advance(120_000)
    assert len(registry) == 0
