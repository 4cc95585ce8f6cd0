"""Sound that comes as it happens does not wait for a page that cannot play."""

import asyncio

import numpy as np
from pipecat.frames.frames import Frame, InputDTMFFrame, OutputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from tests.support.inside import listener_suspended, live_backlog_samples, only_session, placed_ms
from tests.support.raw import dial
from voxwire_protocol import wire
from voxwire_server import BotSession
from voxwire_server.playout.placed import MAX_BACKLOG_MS
from voxwire_server.testing import running_server

RATE = 24_000
BLOCK_MS = 100
BLOCKS = 150
"""Fifteen seconds: five more than are kept."""


class Music(FrameProcessor):
    """Brings all its sound when a key is pressed; each block's samples are its number."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, InputDTMFFrame):
            for number in range(1, BLOCKS + 1):
                pcm = np.full(RATE * BLOCK_MS // 1000, number * 100, np.int16).tobytes()
                await self.push_frame(OutputAudioRawFrame(pcm, RATE, 1))


async def music(session: BotSession) -> None:
    await session.run([session.input(), Music(), session.output()])


async def test_live_sound_does_not_wait_for_a_suspended_listener() -> None:
    """It filled the output for a minute, and what the bot said then came behind all of it."""
    async with (
        asyncio.timeout(60),
        running_server(music) as server,
        dial(server.url) as client,
    ):
        session = only_session(server)
        await client.open_path(1)
        client.hears = False
        await client.send(playout_report=wire.PlayoutReport(path_id=1, media_ms=0, suspended=True))
        while not listener_suspended(session):
            await asyncio.sleep(0.005)
        await client.send(app_message=wire.AppMessage(type="dtmf", data_json='{"digits": "1"}'))
        while placed_ms(session) < BLOCKS * BLOCK_MS:  # all of it is taken, nothing blocks
            await asyncio.sleep(0.005)
        kept_ms = live_backlog_samples(session) * 1000 // RATE
        assert kept_ms <= MAX_BACKLOG_MS + BLOCK_MS
