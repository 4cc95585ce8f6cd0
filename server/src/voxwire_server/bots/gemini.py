"""The gemini bot: Gemini Live hears, thinks and speaks; weather and restaurants are tools.

``VOXWIRE_GEMINI_MODEL`` names another model. ``GOOGLE_GEMINI_BASE_URL``, which google-genai reads,
puts another server in Google's place; ``SSL_CERT_FILE`` names the certificates that it trusts.
"""

import os
from typing import TYPE_CHECKING

from pipecat.processors.aggregators.llm_context import LLMContext

from voxwire_server.bots.conversing import EXAMPLES, INSTRUCTION, converse, tools_of
from voxwire_server.bots.needs import Needs

if TYPE_CHECKING:
    from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService

    from voxwire_server.pipeline.bot import BotSession

__all__ = ["EXAMPLES", "NEEDS", "bot", "build_service"]

_KEY = "GOOGLE_API_KEY|GEMINI_API_KEY"

NEEDS = Needs(
    who="the gemini bot",
    package="google.genai",
    extra="gemini",
    keys=(_KEY,),
    get_key="https://aistudio.google.com/apikey",
)


def build_service(session: "BotSession") -> "GeminiLiveLLMService":
    """The model of one session, with its tools.

    The tools go in here, not by the context: with those of a context Pipecat connects twice.
    """
    from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService

    settings = GeminiLiveLLMService.Settings(system_instruction=INSTRUCTION)
    if model := os.environ.get("VOXWIRE_GEMINI_MODEL"):
        settings.model = model
    return GeminiLiveLLMService(
        api_key=NEEDS.key(_KEY), settings=settings, tools=[*tools_of(session)]
    )


async def bot(session: "BotSession") -> None:
    """Hold a conversation with one user.

    Args:
        session: The session to serve; returns when it ends.
    """
    await converse(session, build_service(session), LLMContext())
