"""The offline bot: a concierge that hears, thinks and speaks on one CPU without a network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pipecat.frames.frames import LLMRunFrame
from pipecat.processors.aggregators.llm_context import LLMContext

from voxwire_server.bots.offline import tools
from voxwire_server.bots.offline.agent import ConciergeLLMService
from voxwire_server.bots.offline.decoders import shared_decoders
from voxwire_server.bots.offline.ears import shared_ears
from voxwire_server.bots.offline.intents import CLIENT_TOOLS, EXAMPLES
from voxwire_server.bots.offline.stt import SphinxSTTService
from voxwire_server.bots.offline.tts import HibariTTSService
from voxwire_server.bots.offline.voice import shared_voice
from voxwire_server.bots.offline.voice_model import has_durations
from voxwire_server.pipeline.bot import ToolReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipecat.pipeline.worker import PipelineWorker

    from voxwire_server.pipeline.bot import BotSession

__all__ = ["ACCEPTS", "EXAMPLES", "bot", "build_services", "close", "warm"]


ACCEPTS = ("image/*", "text/*", "application/pdf")
"""Files that it takes: it says what came."""


def build_services(
    memory: Mapping[str, Any] | None = None, keep: Callable[[dict[str, Any]], object] = bool
) -> tuple[SphinxSTTService, ConciergeLLMService, HibariTTSService]:
    """Make the ears, mind and voice of one session.

    Args:
        memory: What the mind of another process has handed to ``keep`` last; None = nothing.
        keep: Takes what it remembers, which is JSON.
    """
    stt = SphinxSTTService()
    mind = ConciergeLLMService(take_rejected=stt.take_rejected, memory=memory, keep=keep)
    return stt, mind, HibariTTSService()


async def bot(session: BotSession) -> None:
    """Hold a conversation with one user; the bot speaks first.

    Args:
        session: The session to serve; returns when it ends.
    """
    context = LLMContext(tools=[*tools.TOOLS, *session.client_tools(CLIENT_TOOLS)])
    user, assistant = session.aggregators(context)
    session.report_tools(ToolReport.FULL)  # nothing of its tables is a secret

    def keep(memory: dict[str, Any]) -> None:
        session.state = memory

    stt, llm, tts = build_services(session.state, keep)
    await session.run(
        [session.input(), stt, user, llm, tts, session.output(), assistant], on_ready=_greet
    )


async def _greet(worker: PipelineWorker) -> None:
    """Run the agent on an empty context: it greets, and the greeting lands in the context."""
    await worker.queue_frames([LLMRunFrame()])


async def warm() -> None:
    """Load everything that the first session would otherwise wait for.

    Starts the voice's helper, loads one decoder and looks into the voice's model (in threads), and
    reads the tables. The ears start when somebody first speaks.

    Raises:
        MissingExtraError: The ``offline`` extra is not installed; says how to install it.
        HelperError: The helper did not start.
    """
    for table in (tools.weather, tools.restaurants, tools.jokes, tools.story):
        table()
    await asyncio.gather(
        shared_voice().start(), shared_decoders().warm(), asyncio.to_thread(has_durations)
    )


async def close() -> None:
    """End the helper processes of this event loop; the counterpart of ``warm``."""
    await asyncio.gather(shared_voice().aclose(), shared_ears().aclose())
