"""A concierge on Amazon Nova Sonic. Run it with AWS keys in the environment:
voxwire-server run bot.py.
"""

import os

from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams

from voxwire_server import BotSession, serve

try:
    from pipecat.services.aws.nova_sonic.llm import AWSNovaSonicLLMService
except ImportError as error:
    exit(f"Amazon's SDK is missing: the first line of README.md, on Python 3.12 or newer ({error})")

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
KEYS = [os.environ.get(name) or exit(f"set {name} in the environment") for name in NAMES]


async def get_weather(params: FunctionCallParams, city: str) -> None:
    """Get the weather in a city.

    Args:
        params: The call.
        city: The city, e.g. "Paris".
    """
    await params.result_callback({"city": city, "condition": "sunny", "high_c": 22, "low_c": 13})


async def bot(session: BotSession) -> None:
    """One conversation with one user."""
    llm = AWSNovaSonicLLMService(
        access_key_id=KEYS[0],
        secret_access_key=KEYS[1],
        session_token=os.environ.get("AWS_SESSION_TOKEN"),
        region=os.environ.get("AWS_REGION", "us-east-1"),
        settings=AWSNovaSonicLLMService.Settings(
            system_instruction="You are a concierge on the telephone. Answer in a sentence or two.",
        ),
    )
    greet = [{"role": "developer", "content": "Greet the user in one sentence."}]
    context = LLMContext(greet, tools=[session.tool(get_weather)])
    user, assistant = session.aggregators(context)

    async def begin(worker: PipelineWorker) -> None:
        await worker.queue_frames([LLMRunFrame()])

    await session.run([session.input(), user, llm, session.output(), assistant], on_ready=begin)


if __name__ == "__main__":
    serve(bot)
