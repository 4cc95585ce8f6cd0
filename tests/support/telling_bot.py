"""A bot that answers every text with a secret of its own; run by ``test_canaries_told``."""

import os
from typing import Any

from pipecat.frames.frames import (
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

from tests.support.clicks import ClickTTS, ScriptedLLM
from voxwire_server import BotSession


class TellingLLM(ScriptedLLM):
    """Answers everything with ``BOT_WORDS``."""

    async def _answer(self, context: LLMContext) -> None:
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(f"{os.environ['BOT_WORDS']}. "))
        await self.push_frame(LLMFullResponseEndFrame())


async def bot(session: BotSession) -> None:
    """Talk."""
    context = LLMContext([{"role": "system", "content": os.environ["BOT_WORDS"]}])
    user, assistant = session.aggregators(context, vad_analyzer=None)
    stages: list[Any] = [session.input(), user, TellingLLM(), ClickTTS(), session.output()]
    await session.run([*stages, assistant])
