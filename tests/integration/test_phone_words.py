"""Over the telephone the model remembers the words that the caller heard: one in 20 may be wrong.

The same words the bot is told (``session.events()``), when they are heard. The bot's voice clicks
at the start of every word, so what was heard is counted in the samples that came out of the
caller's telephone. In virtual time.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

from tests.support.clicks import ForetoldClickTTS, make_bot
from tests.support.front_door import House
from tests.support.phone_clicks import clicks_in
from tests.support.phone_line import Exchange, Line
from voxwire_protocol import wire
from voxwire_protocol.events import BotWord, UtteranceEnded
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.app import wires_of
from voxwire_server.pipeline.bot import BotSession, run_bot
from voxwire_server.session.session import Session

Record = Callable[[str, object], None]
CLIENT = wire.InterruptionSource.INTERRUPTION_SOURCE_CLIENT


class Switchboard:
    """Calls to the bot that clicks."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.contexts: list[LLMContext] = []
        self.words: list[tuple[str, float]] = []
        """The words that the bot of the last call was told of, and when."""
        self.num_heard = 0
        self.exchange = Exchange(time, house=House(self._run))

    async def _run(self, session: Session) -> None:
        bot = make_bot(self.contexts, tts=ForetoldClickTTS)
        called = BotSession(wires_of(session))
        listening = asyncio.ensure_future(self._listen(called))
        await run_bot(bot, called)
        await listening

    async def _listen(self, called: BotSession) -> None:
        self.words, self.num_heard = [], 0
        async for event in called.events(BotWord, UtteranceEnded):
            if isinstance(event, BotWord):
                self.words.append((event.text, self.time.now_ms()))
            else:
                self.num_heard += event.heard_words

    async def call(self, vendor: str, **network: Any) -> tuple[Line, Session]:
        """A call whose bot is ready."""
        line = await self.exchange.call(vendor, **network)
        session = line.live
        await session.pipeline_ready.wait()
        await self.time.advance(1000)
        return line, session

    def said(self) -> str:
        """What the model remembers that it said last."""
        messages: list[Any] = list(self.contexts[-1].get_messages())
        answers = [str(m["content"]) for m in messages if m["role"] == "assistant"]
        return answers[-1] if answers else ""


@pytest.mark.parametrize(
    ("vendor", "delay_ms", "cuts"),
    [
        *(("twilio", 10, 4), ("twilio", 40, 20), ("twilio", 120, 6)),
        *(("telnyx", 40, 20), ("plivo", 40, 20), ("exotel", 40, 20), ("vonage", 40, 6)),
    ],
)
@in_virtual_time
async def test_the_words_in_the_context_are_those_that_the_caller_heard(
    time: VirtualTime, vendor: str, delay_ms: int, cuts: int, record_property: Record
) -> None:
    board = Switchboard(time)
    wrong: list[int] = []
    told_otherwise = 0
    late_ms: list[float] = []
    for cut in range(cuts):
        line, session = await board.call(vendor, delay_ms=delay_ms, jitter_ms=20, seed=cut)
        assert session.port is not None
        first = len(line.phone.heard)
        await session.port.text("say 40", run_immediately=True, audio_response=True, is_void=bool)
        await time.advance(1200 + 2 * delay_ms + cut * 131)
        await session.port.interrupt(CLIENT, settle=True)
        await time.advance(2000)
        clicks = clicks_in(line.phone.heard[first:])
        wrong.append(len(board.said().split()) - len(clicks))
        assert len(clicks) >= 3
        heard_at = [line.phone.when_ms(first + at) for at in clicks]
        late_ms += [told - true for (_, told), true in zip(board.words, heard_at, strict=False)]
        line.hang_up()
        await session.ended.wait()
        told = [text for text, _ in board.words]
        assert board.num_heard == len(board.said().split())
        told_otherwise += told != board.said().split()
    assert sum(map(abs, wrong)) <= 1
    assert told_otherwise <= 1
    p5, p50, p95 = np.percentile(late_ms, [5, 50, 95])
    record_property("words", f"told {p5:.0f}, {p50:.0f}, {p95:.0f} ms late: p5, p50, p95")
    most_ms = 75 if vendor == "vonage" else 50
    assert abs(p50) <= most_ms / 2
    first_ms = delay_ms + (0 if line.phone.far.sends_idle else 100)  # until the first mark is back
    assert -most_ms <= p5 <= p95 <= most_ms + first_ms
    await board.exchange.close()
