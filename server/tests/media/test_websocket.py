"""Audio on the control channel: so far ahead of the listener and no further, and void at once."""

import pytest

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.control.link import ControlLink
from voxwire_server.media.websocket import WebSocketPath
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import Cut, Format, Formats

RATE = 8000
BLOCK_MS = 20


class Listener:
    """Reads what the socket is given."""

    def __init__(self) -> None:
        self.port = FakePort()
        self.playout = Playout(sample_rate=RATE)
        self.link = ControlLink(self._send)
        form = Format(wire.Codec.CODEC_PCM_S16LE, RATE, BLOCK_MS)
        formats = Formats(capture=form, playout=form)
        self.path = WebSocketPath(
            1,
            self.link,
            playout=self.playout,
            formats=formats,
            port=self.port,
            on_codec_failed=lambda: None,
        )
        self.chunks: list[wire.AudioChunk] = []
        self.reads = self.port.spawn(self.link.write())

    async def _send(self, message: dict[str, bytes]) -> None:
        self.chunks.append(wire.Envelope.FromString(message["bytes"]).audio)

    async def say(self, length_ms: int, *, live: bool = False) -> None:
        now_ms = self.port.clock.now_ms()
        self.playout.place(bytes(length_ms * RATE // 500), now_ms, new_stretch=True, live=live)
        self.path.wake()
        await self.port.settle(200)

    async def report(self, media_ms: float, concealed_ms: int = 0) -> None:
        self.playout.heard.report(media_ms, self.port.clock.now_ms(), playing=True)
        self.playout.concealed_ms = concealed_ms
        self.path.wake()
        await self.port.settle(200)

    @property
    def sent_ms(self) -> float:
        last = self.chunks[-1]
        return (last.sample_index + len(last.data) // 2) * 1000 / RATE


async def listener() -> Listener:
    one = Listener()
    one.playout.attach(one.port.clock.now_ms(), reports=True)
    return one


@in_virtual_time
async def test_it_says_how_its_chunks_are_numbered(time: VirtualTime) -> None:
    ear = await listener()
    await ear.path.begin()
    [anchor] = ear.port.of("media_anchor")
    assert (anchor.path_id, anchor.sample_index, anchor.clock_rate) == (1, 0, RATE)


@in_virtual_time
async def test_it_is_300_ms_ahead_of_the_listener_and_no_more(time: VirtualTime) -> None:
    ear = await listener()
    await ear.say(5000)
    assert ear.sent_ms == 300
    assert {chunk.path_id for chunk in ear.chunks} == {1}
    await ear.report(100)
    assert ear.sent_ms == 400
    await time.advance(100)  # it runs on between reports
    assert ear.sent_ms == pytest.approx(500, abs=BLOCK_MS)


@in_virtual_time
async def test_a_listener_who_had_to_make_sound_up_gets_more_ahead(time: VirtualTime) -> None:
    ear = await listener()
    await ear.say(5000)
    for number in range(1, 12):
        await ear.report(0, concealed_ms=number * 20)
    assert ear.sent_ms == 1000


@in_virtual_time
async def test_sound_as_it_happens_does_not_stay_behind_a_burst(time: VirtualTime) -> None:
    ear = await listener()
    ear.playout.heard.reports = False
    await ear.say(2000, live=True)
    assert ear.sent_ms == 2000


@in_virtual_time
async def test_what_is_void_is_not_sent(time: VirtualTime) -> None:
    ear = await listener()
    await ear.say(5000)
    ear.link.send_audio(b"waits")
    cut = ear.playout.flush(ear.port.clock.now_ms())
    assert cut == Cut(1, 5000)
    ear.path.void(cut)
    sent = len(ear.chunks)
    await ear.port.settle()
    await time.advance(1000)
    assert len(ear.chunks) == sent


@in_virtual_time
async def test_when_it_is_closed_nothing_goes_out_and_nothing_is_left(time: VirtualTime) -> None:
    ear = await listener()
    await ear.say(5000)
    sent = len(ear.chunks)
    await ear.path.close()
    await ear.path.close()
    await ear.report(1000)
    assert len(ear.chunks) == sent
    assert ear.link.on_drained is None


@in_virtual_time
async def test_a_newer_path_on_the_same_socket_is_not_disturbed(time: VirtualTime) -> None:
    ear = await listener()
    formats = ear.path.formats
    newer = WebSocketPath(
        2,
        ear.link,
        playout=ear.playout,
        formats=formats,
        port=ear.port,
        on_codec_failed=lambda: None,
    )
    await ear.path.close()
    assert ear.link.on_drained == newer.wake
