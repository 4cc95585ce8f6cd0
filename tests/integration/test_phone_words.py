"""Over the telephone the model remembers the words that the caller heard: one in 20 may be wrong.

The bot's voice clicks at the start of every word, so what was heard is counted in the samples that
came out of the caller's telephone. In virtual time.
"""

from typing import Any

import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

from tests.support.clicks import ForetoldClickTTS, make_bot
from tests.support.front_door import House
from tests.support.phone_clicks import clicks_in
from tests.support.phone_line import Exchange, Line
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.app import wires_of
from voxwire_server.pipeline.bot import BotSession, run_bot
from voxwire_server.session.session import Session

CLIENT = wire.InterruptionSource.INTERRUPTION_SOURCE_CLIENT


class Switchboard:
    """Calls to the bot that clicks."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.contexts: list[LLMContext] = []
        self.exchange = Exchange(time, house=House(self._run))

    async def _run(self, session: Session) -> None:
        bot = make_bot(self.contexts, tts=ForetoldClickTTS)
        await run_bot(bot, BotSession(wires_of(session)))

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
    time: VirtualTime, vendor: str, delay_ms: int, cuts: int
) -> None:
    board = Switchboard(time)
    wrong: list[int] = []
    for cut in range(cuts):
        line, session = await board.call(vendor, delay_ms=delay_ms, jitter_ms=20, seed=cut)
        assert session.port is not None
        first = len(line.phone.heard)
        await session.port.text("say 40", run_immediately=True, audio_response=True, is_void=bool)
        await time.advance(1200 + 2 * delay_ms + cut * 131)
        await session.port.interrupt(CLIENT, settle=True)
        await time.advance(2000)
        heard = len(clicks_in(line.phone.heard[first:]))
        wrong.append(len(board.said().split()) - heard)
        assert heard >= 3
        line.hang_up()
        await session.ended.wait()
    assert sum(map(abs, wrong)) <= 1
    await board.exchange.close()
