"""A session over either kind of control channel: who is waited for, and who is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.inbox import FakeLink
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.config import Settings
from voxwire_server.control.none import NoChannel
from voxwire_server.control.numbered import NumberedChannel
from voxwire_server.ports import ControlChannel, SessionFacts
from voxwire_server.session.session import Session

SETTINGS = Settings(heartbeat_ms=1000, dead_after_ms=5000, grace_ms=30_000)
RESUME = wire.Feature.FEATURE_RESUME


async def forever(_: Session) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def running(
    time: VirtualTime, channel: ControlChannel, *features: wire.Feature
) -> AsyncIterator[Session]:
    """A session that runs while the block lasts, unless it ends before."""
    session = Session(
        "o.s",
        settings=SETTINGS,
        run_bot=forever,
        facts=SessionFacts(features=frozenset(features)),
        channel=channel,
        clock=time,
    )
    task = asyncio.ensure_future(session.run())
    await time.settle()
    yield session
    session.end(wire.EndReason.END_REASON_SERVER)
    await task
    assert session.ended.is_set()


def dialled(channel: NumberedChannel) -> Any:
    """A client's first socket."""
    link: Any = FakeLink()
    channel.rebind(link, wire.Hello(attach_nonce=bytes(16)), wire.Welcome(session_id="o.s"))
    return link


@in_virtual_time
async def test_a_session_without_a_client_that_reads_lasts_until_it_is_ended(
    time: VirtualTime,
) -> None:
    channel = NoChannel(clock=time)
    async with running(time, channel) as session:
        session.emit(app_message=wire.AppMessage(type="n"))
        await time.advance(3_600_000)
        assert not session.over
    assert not channel.attached


@in_virtual_time
async def test_a_silent_client_is_lost_and_its_session_waits_for_it(time: VirtualTime) -> None:
    channel = NumberedChannel({RESUME}, clock=time)
    async with running(time, channel, RESUME) as session:
        link = dialled(channel)
        await time.advance(5000)
        assert channel.attached
        await time.advance(20)
        assert link.given_up
        assert not channel.attached
        assert not session.over
        await time.advance(29_900)
        assert not session.over
        await time.advance(100)
        assert session.over


@in_virtual_time
async def test_who_comes_back_within_the_grace_time_stops_it(time: VirtualTime) -> None:
    channel = NumberedChannel({RESUME}, clock=time)
    async with running(time, channel, RESUME) as session:
        channel.lost(dialled(channel))
        await time.advance(29_000)
        link = dialled(channel)
        for _ in range(40):
            channel.receive(wire.Envelope(ping=wire.Ping()).SerializeToString(), link)
            await time.advance(1000)
        assert not session.over
        assert len(link.of("pong")) == 40
    assert link.kinds[-1] == "session_ended"
    assert link.closed == (1000, "session ended")


@in_virtual_time
async def test_a_client_that_cannot_resume_ends_the_session_with_its_socket(
    time: VirtualTime,
) -> None:
    channel = NumberedChannel(clock=time)
    async with running(time, channel) as session:
        channel.lost(dialled(channel))
        assert session.over
