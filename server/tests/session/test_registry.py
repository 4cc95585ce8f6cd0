"""The sessions of a process: places, owner tasks, and the end of all of them."""

import asyncio
from functools import partial
from typing import Any

import pytest

from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.config import Settings
from voxwire_server.control.none import NoChannel
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


def begin(
    registry: SessionRegistry, time: VirtualTime, run: Any = wait_for_ever, **more: Any
) -> Session:
    session = Session(registry.reserve(), settings=Settings(), run_bot=run, clock=time, **more)
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


@in_virtual_time
async def test_somebody_hears_while_a_client_is_on_a_session_that_goes_on(
    time: VirtualTime,
) -> None:
    registry = SessionRegistry(2)
    begin(registry, time)  # nobody has come to it yet
    assert not registry.heard_by_somebody
    session = begin(registry, time, channel=NoChannel())
    assert registry.heard_by_somebody
    session.end(wire.EndReason.END_REASON_CLIENT)
    assert not registry.heard_by_somebody
    await registry.close(1000)


@in_virtual_time
async def test_a_process_that_leaves_tells_those_whose_sessions_go_on_how_long_is_left(
    time: VirtualTime,
) -> None:
    registry, told = SessionRegistry(2), list[tuple[str, int]]()
    first, second = [begin(registry, time) for _ in range(2)]

    def note(session_id: str, envelope: wire.Envelope) -> None:
        if envelope.HasField("go_away"):
            told.append((session_id, envelope.go_away.time_left_ms))

    for session in (first, second):
        session.outlet.note(partial(note, session.id))
    registry.tell_going(first)
    assert (told, registry.leaving) == ([], False)
    second.end(wire.EndReason.END_REASON_CLIENT)
    registry.leave(time.now_ms() + 30_000)
    assert registry.leaving
    assert told == [(first.id, 30_000)]
    await time.advance(10_000)
    registry.tell_going(first)
    assert told == [(first.id, 30_000), (first.id, 20_000)]
    await registry.close(1000)
