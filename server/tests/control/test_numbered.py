"""The control channel of our own clients, from its first socket to its last, in virtual time."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.inbox import FakeInbox, FakeLink
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel, ChannelError
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.control.attaches import ATTACH_MS
from voxwire_server.control.bad_messages import MAX_BAD_MESSAGES
from voxwire_server.control.numbered import NumberedChannel
from voxwire_server.ports import ControlChannel

RESUME = wire.Feature.FEATURE_RESUME
SUPERSEDED = wire.ErrorCode.ERROR_CODE_SUPERSEDED


class Client:
    """One client: its numbers, and the sockets that it dials."""

    def __init__(self, server: NumberedChannel) -> None:
        self.server = server
        self.channel = Channel(allowed=wire.SERVER_PAYLOADS)
        self.link: Any = None
        self.welcome = wire.Welcome()

    def dial(self, nonce: bytes = b"", **fields: Any) -> FakeLink:
        """Say Hello on a new socket and read its Welcome."""
        again = bool(self.welcome.session_id)
        hello = wire.Hello(
            attach_nonce=nonce or bytes([self.server.epoch]) * 16,
            session_id=self.welcome.session_id,
            resume_token=self.welcome.resume_token,
            epoch=self.welcome.epoch,
            last_seq=self.channel.last_received if again else 0,
        )
        for name, value in fields.items():
            setattr(hello, name, value)
        link: Any = FakeLink()
        self.server.rebind(link, hello, wire.Welcome(session_id="s"))
        self.link = link
        return link

    def read(self) -> list[str]:
        """Read what the socket has at hand; the payloads of what is new."""
        link, new = self.link, list[wire.Envelope]()
        sent, link.sent = link.sent, []
        for envelope in sent:
            if envelope.HasField("welcome"):
                self.welcome = envelope.welcome
            new += self.channel.receive(envelope.SerializeToString(), 0)
        return [str(message.WhichOneof("payload")) for message in new]

    def say(self, **payload: Any) -> float:
        """Send a message; how long the server wants to wait for the next."""
        wait_ms = 0.0
        for data in self.channel.send(wire.Envelope(**payload), 0):
            wait_ms = self.server.receive(data, self.link)
        return wait_ms


class Line:
    """A channel that has begun, its session, and its client on a socket."""

    def __init__(self, clock: VirtualTime) -> None:
        self.inbox = FakeInbox()
        self.channel = NumberedChannel({RESUME}, clock=clock)
        self.channel.begin(self.inbox)
        self.client = Client(self.channel)


Test = Callable[[VirtualTime, Line], Awaitable[None]]


def on_a_line(test: Test) -> Callable[..., None]:
    """Run a test in virtual time with a line whose client has attached."""

    async def run(time: VirtualTime) -> None:
        line = Line(time)
        line.client.dial()
        assert line.client.read() == ["welcome"]
        await test(time, line)

    run.__name__ = test.__name__
    return in_virtual_time(run)


def note(number: int = 1) -> wire.Envelope:
    return wire.Envelope(app_message=wire.AppMessage(type="n", data_json=str(number)))


@on_a_line
async def test_the_first_attach_is_told_to_the_client_alone(time: VirtualTime, line: Line) -> None:
    channel: ControlChannel = line.channel
    assert channel.attached
    assert channel.features == {RESUME, wire.Feature.FEATURE_SEQUENCE}
    assert line.client.welcome.epoch == line.channel.epoch == 1
    assert not line.client.welcome.resumed
    assert line.inbox.told == []


@on_a_line
async def test_messages_are_delivered_in_order_and_once(time: VirtualTime, line: Line) -> None:
    say, client = line.client.say, line.client
    say(mute=wire.Mute(muted=True))
    [data] = client.channel.send(wire.Envelope(interrupt=wire.Interrupt()), 0)
    for _ in range(2):
        line.channel.receive(data, client.link)
    say(ping=wire.Ping())
    assert line.inbox.kinds == ["mute", "interrupt", "ping"]
    assert line.inbox.told == ["alive"] * 4
    assert line.channel.last_received == 2


@on_a_line
async def test_silence_is_counted_from_the_last_bytes_whatever_they_were(
    time: VirtualTime, line: Line
) -> None:
    born_ms = line.channel.last_sign_ms
    await time.advance(700)
    assert line.channel.last_sign_ms == born_ms
    line.channel.receive(b"\xff", line.client.link)
    assert line.channel.last_sign_ms == time.now_ms()
    await time.advance(100)
    line.client.dial()
    assert line.channel.last_sign_ms == time.now_ms()


@on_a_line
async def test_an_acknowledgement_comes_after_250_ms(time: VirtualTime, line: Line) -> None:
    line.client.say(mute=wire.Mute())
    await time.advance(249)
    assert line.client.link.kinds == []
    await time.advance(1)
    assert line.client.link.kinds == ["ack_only"]
    assert line.client.link.sent[0].ack == 1
    await time.advance(10_000)
    assert line.client.link.kinds == ["ack_only"]


@on_a_line
async def test_what_is_sent_meanwhile_acknowledges_as_well(time: VirtualTime, line: Line) -> None:
    line.client.say(mute=wire.Mute())
    line.channel.send(note())
    await time.advance(1000)
    assert line.client.link.kinds == ["app_message"]
    assert line.client.link.sent[0].ack == 1


@on_a_line
async def test_nothing_is_acknowledged_behind_the_end(time: VirtualTime, line: Line) -> None:
    line.client.say(mute=wire.Mute())
    line.channel.close(1000, "session ended")
    line.client.say(mute=wire.Mute())
    await time.advance(1000)
    assert line.client.link.closed == (1000, "session ended")
    assert line.client.link.kinds == []
    assert "lost" not in "".join(line.inbox.told)


@on_a_line
async def test_a_lost_socket_keeps_what_is_said_for_the_next(time: VirtualTime, line: Line) -> None:
    sign_ms = line.channel.last_sign_ms
    await time.advance(300)
    line.channel.lost(line.client.link)
    assert not line.channel.attached
    assert line.inbox.told == [f"lost {sign_ms}"]
    line.channel.send(note(1))
    line.channel.send(note(2))
    line.client.dial()
    assert line.client.read() == ["welcome", "app_message", "app_message"]
    assert line.client.welcome.resumed
    assert line.client.welcome.epoch == 2
    assert line.inbox.told == [f"lost {sign_ms}", "back None"]


@on_a_line
async def test_a_socket_that_is_taken_over_from_is_closed_and_not_heard(
    time: VirtualTime, line: Line
) -> None:
    sign_ms, old = line.channel.last_sign_ms, line.client.link
    await time.advance(300)
    line.client.dial()
    assert old.closed[0] == 4000 + SUPERSEDED
    assert line.inbox.told == [f"back {sign_ms}"]
    assert line.channel.receive(b"\xff", old) == 0.0
    line.channel.lost(old)
    assert line.channel.attached
    assert line.inbox.told == [f"back {sign_ms}"]
    assert line.inbox.errors == []


@on_a_line
async def test_the_same_nonce_is_answered_with_the_same_welcome(
    time: VirtualTime, line: Line
) -> None:
    first, nonce = line.client.welcome, bytes(16)
    line.channel.send(note())
    client = Client(line.channel)  # the Welcome was lost: it knows nothing yet
    client.dial(nonce)
    assert client.read() == ["welcome", "app_message"]
    assert client.welcome.resume_token == first.resume_token
    assert client.welcome.epoch == line.channel.epoch == 1
    assert line.channel.knows(nonce)
    await time.advance(ATTACH_MS)
    assert not line.channel.knows(nonce)


@on_a_line
async def test_an_attach_that_another_came_behind_is_superseded(
    time: VirtualTime, line: Line
) -> None:
    line.client.dial(b"2" * 16)
    held, stale = line.channel.link, Client(line.channel)
    with pytest.raises(ChannelError) as refused:
        stale.dial(bytes(16))
    assert refused.value.code == SUPERSEDED
    assert line.channel.link is held
    assert line.channel.epoch == 2


@on_a_line
async def test_numbers_that_cannot_be_change_nothing(time: VirtualTime, line: Line) -> None:
    held = line.channel.link
    with pytest.raises(ChannelError) as refused:
        line.client.dial(b"3" * 16, last_seq=99)
    assert refused.value.code == wire.ErrorCode.ERROR_CODE_MALFORMED
    assert line.channel.link is held
    assert line.inbox.told == []


@on_a_line
async def test_what_is_not_kept_any_more_becomes_a_snapshot(time: VirtualTime, line: Line) -> None:
    line.channel.lost(line.client.link)
    for number in range(3000):
        line.channel.send(note(number))
    link = line.client.dial()
    [welcome] = link.of("welcome")
    assert not welcome.resumed
    assert welcome.snapshot.user_muted
    assert link.kinds == ["welcome"]
    assert line.channel.last_sent == 0


@on_a_line
async def test_a_token_is_good_until_its_successor_was_used(time: VirtualTime, line: Line) -> None:
    first = line.client.welcome.resume_token
    line.client.dial()
    line.client.read()
    assert line.channel.may_resume(first)
    line.client.say(ping=wire.Ping())
    assert not line.channel.may_resume(first)
    assert line.channel.may_resume(line.client.welcome.resume_token)
    assert not line.channel.may_resume(b"")


@on_a_line
async def test_three_bad_messages_in_a_row_end_the_session(time: VirtualTime, line: Line) -> None:
    for _ in range(MAX_BAD_MESSAGES - 1):
        line.channel.receive(b"\xff", line.client.link)
    line.client.say(ping=wire.Ping())
    assert line.inbox.ended == []
    for _ in range(MAX_BAD_MESSAGES - 1):
        line.channel.receive(b"\xff", line.client.link)
    line.client.dial()  # another socket begins anew
    line.channel.receive(b"\xff", line.client.link)
    assert line.inbox.ended == []
    for _ in range(MAX_BAD_MESSAGES - 1):
        line.channel.receive(b"\xff", line.client.link)
    assert line.inbox.ended == [wire.EndReason.END_REASON_ERROR]
    assert set(line.inbox.codes) == {ErrorCode.MALFORMED}
    assert line.channel.intake.dropped.bad == 7


@on_a_line
async def test_a_message_too_large_for_its_kind_is_refused_and_its_number_taken(
    time: VirtualTime, line: Line
) -> None:
    line.client.say(tool_progress=wire.ToolProgress(call_id="x" * 20_000))
    line.client.say(mute=wire.Mute())
    assert line.inbox.codes == [ErrorCode.TOO_LARGE]
    assert line.inbox.kinds == ["mute"]
    assert line.inbox.ended == []


@on_a_line
async def test_a_second_hello_is_answered_and_not_delivered(time: VirtualTime, line: Line) -> None:
    line.client.say(hello=wire.Hello())
    assert line.inbox.codes == [ErrorCode.UNEXPECTED_MESSAGE]
    assert line.inbox.messages == []


@on_a_line
async def test_audio_that_comes_too_fast_is_dropped_unread_and_told(
    time: VirtualTime, line: Line
) -> None:
    for _ in range(301):
        line.client.say(audio=wire.AudioChunk(path_id=1, data=bytes(4)))
    assert line.inbox.told.count("overrun") == 1
    assert len(line.inbox.messages) == 300


@on_a_line
async def test_a_flood_makes_the_reader_wait_and_excuses_the_answer_to_a_ping(
    time: VirtualTime, line: Line
) -> None:
    waits = [line.client.say(mute=wire.Mute()) for _ in range(200)]
    assert waits[:100] == [0.0] * 100
    assert waits[-1] == pytest.approx(2000)
    assert line.client.link.held_back_at_ms == time.now_ms()
    assert len(line.inbox.messages) == 200


@on_a_line
async def test_a_ping_waits_for_its_pong(time: VirtualTime, line: Line) -> None:
    line.channel.send(wire.Envelope(ping=wire.Ping()))
    assert line.client.link.unanswered
    line.client.say(pong=wire.Pong())
    assert not line.client.link.unanswered
    assert line.inbox.kinds == ["pong"]


@on_a_line
async def test_a_client_that_is_gone_is_not_waited_for(time: VirtualTime, line: Line) -> None:
    link, channel = line.client.link, line.channel
    link.overflowing = True
    assert channel.overflowing
    channel.close(4019, "gone", gone=True)
    assert link.given_up
    assert not channel.attached
    assert not channel.overflowing
    assert line.inbox.told == [f"lost {channel.last_sign_ms}"]
    channel.close(4019, "gone", gone=True)
    assert len(line.inbox.told) == 1
    line.client.dial()  # it is there after all
    assert channel.attached


@in_virtual_time
async def test_a_channel_has_one_session_and_no_socket_before_it(time: VirtualTime) -> None:
    channel = NumberedChannel(clock=time)
    with pytest.raises(RuntimeError):
        Client(channel).dial()
    assert not channel.attached
    channel.begin(FakeInbox())
    with pytest.raises(RuntimeError):
        channel.begin(FakeInbox())


@on_a_line
async def test_to_ask_what_a_hello_is_takes_no_acknowledgement_away(
    time: VirtualTime, line: Line
) -> None:
    """The Hello may be refused: the socket that is there goes on."""
    line.channel.send(wire.Envelope(app_message=wire.AppMessage(type="n")))
    line.client.say(send_text=wire.SendText(text="hi"))
    line.channel.coming(wire.Hello(attach_nonce=bytes(16)))
    await time.advance(5000)
    assert [e.ack for e in line.client.link.sent if e.HasField("ack_only")] == [1]
