"""A process that leaves: its sessions end by themselves, and no other begins."""

import asyncio

import pytest

from tests.support.front_door import Caller, token_of
from tests.support.kernel import Client, Kernel
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.ticket import Here, Refused

GOING = Refused(wire.ErrorCode.ERROR_CODE_GOING_AWAY, "the server is shutting down", 1000)


@in_virtual_time
async def test_every_client_is_told_once_how_long_and_the_last_end_is_the_end(
    time: VirtualTime,
) -> None:
    kernel = Kernel(time)
    clients = [await kernel.client() for _ in range(3)]
    directory = kernel.process.directory
    draining = asyncio.ensure_future(directory.drain(30_000))
    await time.settle()
    for client in clients:
        [told] = client.of("go_away")
        assert (told.time_left_ms, told.resume_url) == (30_000, "")
    assert directory.leaving
    assert not kernel.process.registry.closing
    for client in clients:
        assert not draining.done()
        client.bot.stop.set()
        await time.advance(100)
    assert draining.done()
    await kernel.close()


@in_virtual_time
async def test_none_is_begun_and_each_may_come_back(time: VirtualTime) -> None:
    kernel = Kernel(time)
    client = await kernel.client()
    draining = asyncio.ensure_future(kernel.process.directory.drain(30_000))
    await time.settle()
    stranger = Caller(token_of())
    assert await stranger.come(kernel.process) == GOING
    assert kernel.process.directory.doorkeeper.refusal_of(stranger.ticket) == GOING
    assert await back(client) == "resumed"
    assert len(kernel.process.registry) == 1
    client.bot.stop.set()
    await time.advance(100)
    assert draining.done()
    assert await back(client) == "SESSION_EXPIRED"
    await kernel.close()


@in_virtual_time
async def test_the_first_attach_may_be_tried_again_while_it_leaves(time: VirtualTime) -> None:
    kernel = Kernel(time)
    caller = Caller(token_of())
    first = await caller.come(kernel.process)
    draining = asyncio.ensure_future(kernel.process.directory.drain(30_000))
    await time.settle()
    again = await caller.come(kernel.process)
    assert isinstance(first, Here)
    assert isinstance(again, Here)
    assert again.session is first.session
    first.session.end(wire.EndReason.END_REASON_SERVER)
    await time.advance(100)
    assert draining.done()
    await kernel.close()


@in_virtual_time
async def test_who_comes_back_is_told_how_long_is_left(time: VirtualTime) -> None:
    kernel = Kernel(time)
    client = await kernel.client()
    draining = asyncio.ensure_future(kernel.process.directory.drain(30_000))
    await time.advance(10_000)
    assert await back(client) == "resumed"
    await time.settle()
    assert [told.time_left_ms for told in client.of("go_away")] == [30_000, 20_000]
    client.bot.stop.set()
    await time.advance(100)
    assert draining.done()
    await kernel.close()


@in_virtual_time
async def test_one_that_cannot_be_told_does_not_keep_the_others_from_it(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(time)
    first, second = [await kernel.client() for _ in range(2)]

    def fails(**_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(first.live, "emit", fails)
    draining = asyncio.ensure_future(kernel.process.directory.drain(30_000))
    await time.settle()
    assert len(second.of("go_away")) == 1
    monkeypatch.undo()
    for client in (first, second):
        client.bot.stop.set()
    await time.advance(100)
    assert draining.done()
    assert draining.exception() is None
    await kernel.close()


async def back(client: Client) -> str:
    """What a client that lost its socket is answered."""
    assert client.line is not None
    client.line.drop()
    return await client.ask(client.hello())
