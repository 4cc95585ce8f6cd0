"""A stock client's audio: little ahead of the ear, void at once, at any rate it comes."""

import asyncio

import numpy as np

from tests.support.session_port import FakePort
from voxwire_protocol import rtvi
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.control.link import ControlLink
from voxwire_server.media.stock_socket import PLAYOUT_RATE, StockSocketPath
from voxwire_server.playout.placed import Playout
from voxwire_server.playout.sound import PlacedSound
from voxwire_server.ports import PathError, Report

AHEAD_MS, BLOCK_MS = 80, 40


class Sink:
    """Takes what comes from the user."""

    def __init__(self) -> None:
        self.pcm, self.signs = b"", 0

    def audio(self, pcm: bytes, timestamp: int | None = None) -> None:
        self.pcm += pcm
        self.signs += 1

    def report(self, report: Report) -> None: ...

    def keys(self, digits: str) -> None: ...

    def gone(self, error: PathError) -> None: ...


class Ear:
    """A client that plays what it is sent."""

    def __init__(self, *, listens: bool = True) -> None:
        self.port, self.sink = FakePort(), Sink()
        self.clock = self.port.clock
        self.playout = Playout(sample_rate=PLAYOUT_RATE)
        self.sent: list[bytes] = []
        self.link = ControlLink(self._send, clock=self.clock)
        self.path = StockSocketPath(
            1,
            self.sink,
            PlacedSound(self.playout, self.clock, in_use=lambda: True),
            link=self.link,
            capture_rate=16_000,
            clock=self.clock,
            voice=(lambda pcm: pcm) if listens else None,
            interrupted=b"drop it",
        )
        self.playout.attach(self.clock.now_ms(), reports=False)
        self.writing = self.port.spawn(self.link.write())

    async def _send(self, event: dict[str, bytes]) -> None:
        self.sent.append(event["bytes"])

    def place(self, length_ms: int) -> None:
        pcm = bytes(length_ms * PLAYOUT_RATE // 500)
        self.playout.place(pcm, self.clock.now_ms(), new_stretch=True)
        self.path.wake()

    async def say(self, length_ms: int) -> None:
        self.place(length_ms)
        await self.port.settle(100)

    def interrupt(self) -> float | None:
        cut = self.playout.flush(self.clock.now_ms())
        assert cut is not None
        return self.path.void(cut)

    async def close(self) -> None:
        await self.path.close()
        self.port.cancel()
        await asyncio.sleep(0)

    @property
    def sent_ms(self) -> float:
        return sum(len(pcm) for pcm in self.sent if pcm != b"drop it") * 500 / PLAYOUT_RATE

    @property
    def heard_ms(self) -> float:
        return self.playout.heard_ms(self.clock.now_ms())


@in_virtual_time
async def test_it_is_little_ahead_of_the_ear_and_what_is_sent_is_heard(time: VirtualTime) -> None:
    ear = Ear()
    await ear.say(3000)
    for now_ms in (0, 500, 1000):
        await time.advance(now_ms - ear.heard_ms)
        await ear.port.settle(100)
        assert ear.heard_ms == now_ms
        assert now_ms + AHEAD_MS <= ear.sent_ms <= now_ms + AHEAD_MS + BLOCK_MS
    await time.advance(5000)
    assert (ear.sent_ms, ear.heard_ms) == (3000, 3000)
    await ear.close()


@in_virtual_time
async def test_an_interruption_drops_what_waits_and_tells_a_client_that_knows(
    time: VirtualTime,
) -> None:
    ear = Ear()
    await ear.say(3000)
    await time.advance(500)
    ear.link.send_audio(b"waits")
    ear.interrupt()
    await ear.port.settle(100)
    before = ear.sent_ms
    await time.advance(3000)
    assert ear.sent_ms == before
    assert b"waits" not in ear.sent
    assert ear.sent[-1] == b"drop it"
    await ear.close()


@in_virtual_time
async def test_what_an_interruption_drops_is_said_to_have_never_left(time: VirtualTime) -> None:
    ear = Ear()
    await ear.say(40)
    assert ear.interrupt() is None  # it is with the socket
    ear.place(80)
    assert not ear.link.takes_audio
    assert ear.interrupt() == 40
    await ear.close()


@in_virtual_time
async def test_a_client_that_reads_text_alone_hears_in_time_all_the_same(time: VirtualTime) -> None:
    ear = Ear(listens=False)
    await ear.say(2000)
    await time.advance(1000)
    assert ear.heard_ms == 1000
    assert ear.sent == []
    await ear.close()


@in_virtual_time
async def test_the_users_audio_comes_at_the_sessions_rate_and_mono(time: VirtualTime) -> None:
    ear = Ear()
    second = (8000 * np.sin(np.arange(48_000) / 20)).astype("<i2")
    stereo = np.repeat(second, 2).tobytes()
    ear.path.hear(rtvi.RawAudio(stereo, 48_000, 2))
    assert abs(len(ear.sink.pcm) // 2 - 16_000) < 800
    assert 5000 < np.abs(np.frombuffer(ear.sink.pcm, "<i2").astype(int)).max() < 9000
    before = len(ear.sink.pcm)
    ear.path.hear(rtvi.RawAudio(bytes(640), 16_000, 1))
    assert len(ear.sink.pcm) == before + 640
    ear.path.alive()  # a client that is muted is within reach
    assert (len(ear.sink.pcm), ear.sink.signs) == (before + 640, 3)
    await ear.close()


@in_virtual_time
async def test_when_it_is_closed_nothing_goes_out(time: VirtualTime) -> None:
    ear = Ear()
    await ear.say(1000)
    await ear.path.close()
    sent = len(ear.sent)
    await time.advance(2000)
    assert len(ear.sent) == sent
    assert ear.link.on_drained is None
    await ear.close()
