"""A session without a client that reads: nothing is told, and nothing is missed."""

import asyncio

from tests.support.inbox import FakeInbox
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.app import wires_of
from voxwire_server.config import Settings
from voxwire_server.control.none import NoChannel
from voxwire_server.ports import ControlChannel
from voxwire_server.session.listening import Listening
from voxwire_server.session.session import Session


@in_virtual_time
async def test_nobody_is_told_anything_and_silence_means_nothing(time: VirtualTime) -> None:
    channel: ControlChannel = NoChannel(clock=time)
    inbox = FakeInbox()
    channel.begin(inbox)
    channel.send(wire.Envelope(ping=wire.Ping()))
    await time.advance(3_600_000)
    assert channel.attached
    assert channel.features == frozenset()
    assert channel.last_sign_ms == time.now_ms()
    assert not channel.overflowing
    channel.close(1000, "over")
    assert not channel.attached
    assert (inbox.messages, inbox.told, inbox.sent) == ([], [], [])


async def forever(_: Session) -> None:
    await asyncio.Event().wait()


@in_virtual_time
async def test_its_pipeline_and_its_voice_know_that_somebody_is_there(time: VirtualTime) -> None:
    channel = NoChannel(clock=time)
    session = Session("s", settings=Settings(), run_bot=forever, channel=channel, clock=time)
    assert wires_of(session).attached()
    assert Listening(session).attached()
    channel.close(1000, "over")
    assert not wires_of(session).attached()
    assert not Listening(session).attached()
