"""Opus on the control channel: the same positions as PCM, the end of a voice soon, void at once."""

import numpy as np
import pytest

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.opus import ChunkDecoder, ChunkEncoder, opus_ready
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.control.link import ControlLink
from voxwire_server.media.websocket import WebSocketPath
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import Format, Formats

RATE = 8000
MS = RATE // 1000

pytestmark = pytest.mark.skipif(not opus_ready(RATE), reason="no libopus here")


class Listener:
    """Decodes what the socket is given; the socket takes it when it is told to."""

    def __init__(self) -> None:
        self.port = FakePort()
        self.playout = Playout(sample_rate=RATE)
        self.link = ControlLink(self._send)
        self.failed = 0
        form = Format(wire.Codec.CODEC_OPUS, RATE, 20)
        self.path = WebSocketPath(
            1,
            self.link,
            playout=self.playout,
            formats=Formats(capture=form, playout=form),
            port=self.port,
            on_codec_failed=self._fail,
        )
        self.chunks: list[wire.AudioChunk] = []
        self.spans: list[tuple[int, int, float]] = []
        self._decoder = ChunkDecoder(RATE)
        self.playout.attach(self.port.clock.now_ms(), reports=True)

    def _fail(self) -> None:
        self.failed += 1

    async def read(self) -> None:
        self.port.spawn(self.link.write())
        await self.port.settle(50)

    async def _send(self, message: dict[str, bytes]) -> None:
        chunk = wire.Envelope.FromString(message["bytes"]).audio
        length = len(self._decoder.decode(chunk))
        self.chunks.append(chunk)
        now_ms = self.port.clock.now_ms()
        self.spans.append((chunk.sample_index, chunk.sample_index + length, now_ms))

    async def say(self, samples: int, *, new_stretch: bool = True) -> None:
        voice = (8000 * np.sin(np.arange(samples) / 5)).astype("<i2")
        now_ms = self.port.clock.now_ms()
        self.playout.place(voice.tobytes(), now_ms, new_stretch=new_stretch)
        self.path.wake()
        await self.port.settle(50)

    @property
    def end(self) -> int:
        return max(end for _, end, _ in self.spans)

    def whole(self, start: int, end: int) -> bool:
        """Every sample between two positions came, once, in order."""
        came = [at for first, last, _ in self.spans for at in range(first, last)]
        return came == list(range(start, end))


@in_virtual_time
async def test_it_is_300_ms_ahead_of_the_listener_and_no_more(time: VirtualTime) -> None:
    ear = Listener()
    await ear.read()
    await ear.say(5000 * MS)
    assert 280 * MS <= ear.end <= 300 * MS
    await time.advance(2000)
    assert ear.whole(0, ear.end)
    assert [chunk.restarts for chunk in ear.chunks] == [True] + [False] * (len(ear.chunks) - 1)


@in_virtual_time
async def test_the_end_of_a_voice_follows_within_100_ms(time: VirtualTime) -> None:
    ear = Listener()
    await ear.read()
    began_ms = ear.port.clock.now_ms()
    await ear.say(207 * MS + 3)
    assert ear.end < 207 * MS
    await time.advance(200)
    assert ear.whole(0, 207 * MS + 3)
    assert ear.spans[-1][2] - began_ms <= 101


@in_virtual_time
async def test_a_voice_that_comes_as_it_is_made_is_one_stretch(time: VirtualTime) -> None:
    """Pieces of odd lengths, at times late by a block: none of them is padded."""
    ear = Listener()
    await ear.read()
    total = 0
    for number, amount in enumerate([160, 100, 170, 33, 160, 160, 311, 160, 160, 160]):
        await ear.say(amount, new_stretch=number == 0)
        total += amount
        await time.advance(amount / MS + (15 if number % 3 == 2 else 0))
    assert sum(chunk.restarts for chunk in ear.chunks) == 1
    await time.advance(300)
    assert ear.whole(0, total)


@in_virtual_time
async def test_a_pause_ends_a_stretch_and_nothing_of_it_is_sent(time: VirtualTime) -> None:
    ear = Listener()
    await ear.read()
    await ear.say(100 * MS)
    await time.advance(3000)
    await ear.say(100 * MS)
    await time.advance(200)
    first, second = (chunk.sample_index for chunk in ear.chunks if chunk.restarts)
    assert (first, second) == (0, ear.playout.end_ms * MS - 100 * MS)
    assert sum(end - start for start, end, _ in ear.spans) == 200 * MS


@in_virtual_time
async def test_what_is_void_is_not_sent_and_said_to_begin_where_it_does(time: VirtualTime) -> None:
    ear = Listener()
    await ear.read()
    await ear.say(250 * MS)
    sent = ear.end
    cut = ear.playout.flush(ear.port.clock.now_ms())
    assert cut is not None
    from_ms = ear.path.void(cut)
    assert from_ms == sent / MS  # the rest was in the encoder
    await time.advance(1000)
    assert ear.end == sent
    await ear.say(100 * MS)
    assert next(chunk for chunk in ear.chunks if chunk.sample_index >= 250 * MS).restarts


@in_virtual_time
async def test_what_waits_for_the_socket_is_void_from_its_first_chunk_on(time: VirtualTime) -> None:
    ear = Listener()  # nobody reads
    await ear.say(250 * MS)
    cut = ear.playout.flush(ear.port.clock.now_ms())
    assert cut is not None
    assert ear.path.void(cut) == 0
    await ear.read()
    assert ear.chunks == []


@in_virtual_time
async def test_a_codec_that_fails_is_said_once_and_nothing_more_is_sent(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear = Listener()
    await ear.read()

    def broken(*_: object) -> list[wire.AudioChunk]:
        raise RuntimeError("opus_encode failed (-3)")

    monkeypatch.setattr(ChunkEncoder, "push", broken)
    await ear.say(250 * MS)
    await ear.say(250 * MS)
    await time.advance(500)
    assert (ear.failed, ear.chunks) == (1, [])


@in_virtual_time
async def test_when_it_is_closed_the_end_is_not_sent_any_more(time: VirtualTime) -> None:
    ear = Listener()
    await ear.read()
    await ear.say(100 * MS)
    sent = len(ear.chunks)
    await ear.path.close()
    await time.advance(500)
    assert len(ear.chunks) == sent
