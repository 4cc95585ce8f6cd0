"""The nova-sonic bot: Amazon Nova Sonic hears, thinks and speaks."""

import os
from typing import TYPE_CHECKING

from pipecat.processors.aggregators.llm_context import LLMContext

from voxwire_server.bots.conversing import EXAMPLES, INSTRUCTION, converse, tools_of
from voxwire_server.bots.needs import Needs

if TYPE_CHECKING:
    from pipecat.services.aws.nova_sonic.llm import AWSNovaSonicLLMService

    from voxwire_server.pipeline.bot import BotSession

__all__ = ["EXAMPLES", "NEEDS", "bot", "build_service"]

NEEDS = Needs(
    who="the nova-sonic bot",
    package="aws_sdk_bedrock_runtime",
    extra="nova",
    keys=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    get_key="the IAM console of AWS, for a user who may invoke amazon.nova-sonic in Bedrock",
    python="3.12",
)


def build_service() -> "AWSNovaSonicLLMService":
    """The model of one session."""
    from pipecat.services.aws.nova_sonic.llm import AWSNovaSonicLLMService

    return AWSNovaSonicLLMService(
        access_key_id=NEEDS.key("AWS_ACCESS_KEY_ID"),
        secret_access_key=NEEDS.key("AWS_SECRET_ACCESS_KEY"),
        session_token=os.environ.get("AWS_SESSION_TOKEN"),
        region=os.environ.get("AWS_REGION", "us-east-1"),
        settings=AWSNovaSonicLLMService.Settings(system_instruction=INSTRUCTION),
    )


async def bot(session: "BotSession") -> None:
    """Hold a conversation with one user.

    Args:
        session: The session to serve; returns when it ends.
    """
    await converse(session, build_service(), LLMContext(tools=[*tools_of(session)]))
