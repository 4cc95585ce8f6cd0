"""Through a Daily room: what the model remembers was heard, and words fire on their sound.

The room is in memory (`tests/support/fake_room.py`): the figures say what client and server make of
a delay, and nothing of Daily. The bot's voice clicks at the start of every word, so where it really
was is counted in the samples that came out of the client's speaker. In virtual time.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.clicks import ForetoldClickTTS, make_bot
from tests.support.daily_line import URL, DailyLine
from tests.support.front_door import House, token_of
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.app import wires_of
from voxwire_server.pipeline.bot import BotSession, run_bot
from voxwire_server.session.session import Session

RATE = 24_000
BLOCK = RATE // 50
DELAYS_MS = (0, 60, 150)


class Ear:
    """A speaker that keeps what sounds, and when: a click every so often says which word it was.

    Attributes:
        clicks: When each click sounded, ms of the clock.
    """

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self.clicks: list[float] = []
        self.positions: list[tuple[float, float]] = []
        self._before = 0
        self.loud_until_ms = 0.0

    def open(self, sample_rate: int) -> None:
        assert sample_rate == RATE

    def write(self, block: voxwire.Block, at: float) -> None:
        loud = np.abs(np.concatenate(([self._before], block.samples)).astype(np.int32)) > 9000
        for n in np.flatnonzero(loud[1:] & ~loud[:-1]):
            at_ms = at * 1000 + float(n) * 1000 / RATE
            if not self.clicks or at_ms - self.clicks[-1] > 50:
                self.clicks.append(at_ms)
        self._before = int(block.samples[-1])
        if np.abs(block.samples.astype(np.int32)).max() > 100:
            self.loud_until_ms = at * 1000 + 20

    def close(self) -> None:
        pass


class Switchboard:
    """A server whose bot clicks, and clients of it."""

    def __init__(self, time: VirtualTime, **line: Any) -> None:
        self.time = time
        self.contexts: list[LLMContext] = []
        self.line = DailyLine(time, house=House(self._run), **line)
        self.calls = 0

    async def _run(self, session: Session) -> None:
        bot = make_bot(self.contexts, tts=ForetoldClickTTS)
        await run_bot(bot, BotSession(wires_of(session)))

    @asynccontextmanager
    async def call(self, ear: Ear, **options: Any) -> AsyncGenerator[voxwire.Session]:
        """A session over a Daily room."""
        self.calls += 1
        connection = voxwire.connect(
            URL,
            speaker=ear,
            transport="daily",
            bot="a",
            token=token_of(token_id=f"token-of-a-call-{self.calls}"),
            environment=self.line.environment,
            **options,
        )
        async with connection as session:
            assert session.transport == "daily"
            await self.time.advance(500)
            yield session

    @property
    def session(self) -> Session:
        """The server's newest."""
        return self.line.process.sessions[-1]

    def said(self) -> str:
        """What the model remembers that it said last."""
        messages: list[Any] = list(self.contexts[-1].get_messages())
        answers = [str(m["content"]) for m in messages if m["role"] == "assistant"]
        return answers[-1] if answers else ""


async def read(session: voxwire.Session, time: VirtualTime, events: list[Any]) -> None:
    async for event in session:
        events.append((time.now_ms(), event))


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
@in_virtual_time
async def test_a_question_is_answered_and_words_fire_with_their_sound(
    time: VirtualTime, delay_ms: int
) -> None:
    board, ear = Switchboard(time, delay_ms=delay_ms), Ear(time)
    async with board.call(ear) as session:
        fired: list[float] = []
        session.on(voxwire.BotWord, lambda _: fired.append(time.now_ms()))
        ended: list[voxwire.UtteranceEnded] = []
        session.on(voxwire.UtteranceEnded, ended.append)
        await session.send_text("say 12")
        await time.advance(8000)
        assert len(ear.clicks) == 12
        assert len(fired) == 12
        off = np.subtract(fired, ear.clicks)
        print(f"{delay_ms} ms: words {off.min():+.1f} to {off.max():+.1f} ms off their sound")
        assert np.abs(off).max() <= 10
        [end] = ended
        assert end.heard_source is voxwire.HeardSource.SERVER_CLOCK
    await board.line.close()


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
@in_virtual_time
async def test_an_interruption_falls_silent_and_the_context_has_the_words_that_were_heard(
    time: VirtualTime, delay_ms: int
) -> None:
    board, ear = Switchboard(time, delay_ms=delay_ms), Ear(time)
    wrong: list[int] = []
    silent_after: list[float] = []
    async with board.call(ear) as session:
        for cut in range(20):
            ear.clicks.clear()
            await session.send_text("say 40")
            await time.advance(1400 + 2 * delay_ms + cut * 131)
            at_ms = time.now_ms()
            await session.interrupt()
            await time.advance(2000)
            silent_after.append(ear.loud_until_ms - at_ms)
            assert len(ear.clicks) >= 3
            wrong.append(len(board.said().split()) - len(ear.clicks))
    print(f"{delay_ms} ms: off by {wrong}; silent {max(silent_after):.0f} ms after the cut")
    assert sum(map(abs, wrong)) <= 1
    assert max(silent_after) <= 2 * delay_ms + 60
    await board.line.close()
