"""A process that leaves: its sessions end by themselves, and no other begins."""

import asyncio

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
    assert not directory.closing
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
    assert kernel.process.directory.refusal_of(stranger.ticket) == GOING
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


async def back(client: Client) -> str:
    """What a client that lost its socket is answered."""
    assert client.line is not None
    client.line.drop()
    return await client.ask(client.hello())
