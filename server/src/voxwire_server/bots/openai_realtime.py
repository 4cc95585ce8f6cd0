"""The openai-realtime bot: OpenAI's Realtime API hears, thinks and speaks.

``VOXWIRE_OPENAI_REALTIME_URL`` puts another server in OpenAI's place.
"""

import os
from typing import TYPE_CHECKING

from pipecat.processors.aggregators.llm_context import LLMContext

from voxwire_server.bots.conversing import EXAMPLES, INSTRUCTION, converse, tools_of
from voxwire_server.bots.needs import Needs

if TYPE_CHECKING:
    from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

    from voxwire_server.pipeline.bot import BotSession

__all__ = ["EXAMPLES", "NEEDS", "bot", "build_service"]

_KEY = "OPENAI_API_KEY"

NEEDS = Needs(
    who="the openai-realtime bot",
    package="openai",
    extra="openai",
    keys=(_KEY,),
    get_key="https://platform.openai.com/api-keys",
)


def build_service() -> "OpenAIRealtimeLLMService":
    """The model of one session, with the user's words in writing too."""
    from pipecat.services.openai.realtime.events import (
        AudioConfiguration,
        AudioInput,
        InputAudioTranscription,
        SessionProperties,
    )
    from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

    properties = SessionProperties(
        audio=AudioConfiguration(input=AudioInput(transcription=InputAudioTranscription()))
    )
    settings = OpenAIRealtimeLLMService.Settings(
        system_instruction=INSTRUCTION, session_properties=properties
    )
    address = os.environ.get("VOXWIRE_OPENAI_REALTIME_URL", "wss://api.openai.com/v1/realtime")
    return OpenAIRealtimeLLMService(api_key=NEEDS.key(_KEY), base_url=address, settings=settings)


async def bot(session: "BotSession") -> None:
    """Hold a conversation with one user.

    Args:
        session: The session to serve; returns when it ends.
    """
    await converse(session, build_service(), LLMContext(tools=[*tools_of(session)]))
