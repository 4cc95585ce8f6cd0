"""What the bots on speech-to-speech models share: instruction, tools, greeting, pipeline."""

from typing import TYPE_CHECKING, Any

from pipecat.frames.frames import LLMRunFrame
from pipecat.processors.aggregators.llm_context import LLMContext

from voxwire_server.bots.offline.tools import find_restaurant, get_weather

if TYPE_CHECKING:
    from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.services.llm_service import LLMService

    from voxwire_server.pipeline.bot import BotSession

__all__ = ["EXAMPLES", "GREET", "INSTRUCTION", "converse", "tools_of"]

INSTRUCTION = (
    "You are a concierge on the telephone. Answer in one or two short sentences, in plain words "
    "that are easy to listen to. For the weather and for restaurants use your tools, never guess."
)
"""The system instruction."""

GREET = "Greet the user in one sentence and say that you know the weather and restaurants."
"""The developer message that the conversation begins with."""

EXAMPLES = ("what is the weather in Paris", "find a Japanese restaurant in London")
"""Phrases to try."""


def tools_of(session: "BotSession") -> "list[FunctionSchema]":
    """The weather and the restaurants, under the session's rules for tools."""
    return [session.tool(get_weather), session.tool(find_restaurant)]


async def converse(session: "BotSession", service: "LLMService[Any]", context: LLMContext) -> None:
    """Put a speech-to-speech service on the line; the bot speaks first.

    Args:
        session: The session to serve; returns when it ends.
        service: The model.
        context: Where the conversation is kept, empty so far.
    """
    context.add_message({"role": "developer", "content": GREET})
    user, assistant = session.aggregators(context)
    await session.run(
        [session.input(), user, service, session.output(), assistant], on_ready=_greet
    )


async def _greet(worker: "PipelineWorker") -> None:
    await worker.queue_frames([LLMRunFrame()])
