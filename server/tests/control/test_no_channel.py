"""A session without a client that reads: nothing is told, and nothing is missed."""

from tests.support.inbox import FakeInbox
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.control.none import NoChannel
from voxwire_server.ports import ControlChannel


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
