"""Ten minutes of audio in one, and a client that stops reading, at the real limits."""

import asyncio
import os
import time

import pytest
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from tests.integration.test_leaks import rss_kb
from tests.integration.test_races import peer
from tests.support import flooding
from tests.support.clicks import make_bot
from tests.support.flooding import envelope, frame
from tests.support.inside import counters, is_held, only_session
from voxwire_protocol import wire
from voxwire_server import BotSession
from voxwire_server.testing import running_server

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]


class Recogniser(FrameProcessor):
    """Stands where the STT would, and counts what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.heard_ms = 0.0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self.heard_ms += len(frame.audio) / 32
        await self.push_frame(frame, direction)


async def test_of_600_s_of_audio_sent_in_60_s_at_most_76_s_reach_the_stt() -> None:
    stt = Recogniser()

    async def bot(session: BotSession) -> None:
        await session.run([session.input(), stt, session.output()])

    async with running_server(bot) as server, asyncio.timeout(120), peer(server) as client:
        await client.open()
        await asyncio.sleep(3)
        before = rss_kb(os.getpid())
        reading = asyncio.ensure_future(client.next("session_ended", timeout=300))
        began = time.monotonic()
        for tenth in range(600):
            for _ in range(50):
                await client.send(audio=wire.AudioChunk(path_id=1, data=bytes(640)))
            await asyncio.sleep(max(0.0, began + (tenth + 1) / 10 - time.monotonic()))
        reading.cancel()
        await asyncio.wait({reading})
        errors = [m.error for m in client.seen if m.WhichOneof("payload") == "error"]
        rise = rss_kb(os.getpid()) - before
        session = only_session(server)
        print(
            f"\n{stt.heard_ms / 1000:.2f} s reached the STT in {time.monotonic() - began:.1f} s, "
            f"{len(errors)} errors, RSS +{rise} KiB, {counters(session)}"
        )
        assert stt.heard_ms <= 76_000
        assert stt.heard_ms >= 60_000
        assert {e.code for e in errors} == {wire.ErrorCode.ERROR_CODE_AUDIO_OVERRUN}
        assert 55 <= len(errors) <= 61


async def test_a_client_that_stops_reading_is_closed_in_10_s_with_flat_memory() -> None:
    async def talkative(session: BotSession) -> None:
        running = asyncio.ensure_future(make_bot()(session))
        await asyncio.sleep(1)
        for _ in range(2000):
            session.send("noise", "x" * 5_000)
            await asyncio.sleep(0.005)
        await running

    pings = frame(envelope(ping=wire.Ping())) * 40
    async with running_server(talkative) as server, asyncio.timeout(60):
        await flooding.flood(server.port, pings, seconds=3, paced_bytes=200)
        while len(server.registry):
            await asyncio.sleep(0.05)
        before = highest = rss_kb(os.getpid())
        pouring = asyncio.ensure_future(
            flooding.flood(server.port, pings, seconds=12, paced_bytes=200, reads=False)
        )
        while not len(server.registry):
            await asyncio.sleep(0.01)
        first = only_session(server)
        began = time.monotonic()
        while is_held(server, first):
            highest = max(highest, rss_kb(os.getpid()))
            await asyncio.sleep(0.02)
        took = time.monotonic() - began
        print(f"\nclosed after {took:.1f} s, RSS {before} -> {highest} KiB at most")
        assert took <= 10
        assert highest - before <= 4096
        await pouring
        while len(server.registry):
            await asyncio.sleep(0.05)
