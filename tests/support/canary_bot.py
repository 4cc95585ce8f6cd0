"""A bot that says, sends and receives nothing but canaries; run by ``test_log_canaries``."""

from typing import Any

from pipecat.frames.frames import (
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

from tests.support.canaries import CANARY, envelopes
from tests.support.clicks import ClickTTS, ScriptedLLM
from voxwire_protocol import wire
from voxwire_server import BotSession

# Those that end the session or its sockets come last or never.
_LEFT_OUT = frozenset({"welcome", "session_ended", "audio", "path_ready", "chunk", "ack_only"})


class CanaryLLM(ScriptedLLM):
    """Answers everything with the canary."""

    async def _answer(self, context: LLMContext) -> None:
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(f"{CANARY}. "))
        await self.push_frame(LLMFullResponseEndFrame())


async def bot(session: BotSession) -> None:
    """Emit every message that a server may send, then talk."""
    inner: Any = session._wires.port
    for envelope in envelopes(wire.SERVER_PAYLOADS - _LEFT_OUT):
        inner.outlet.send(envelope)
    context = LLMContext([{"role": "system", "content": CANARY}])
    user, assistant = session.aggregators(context, vad_analyzer=None)
    await session.run([session.input(), user, CanaryLLM(), ClickTTS(), session.output(), assistant])
