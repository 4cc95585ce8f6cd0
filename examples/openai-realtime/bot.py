"""A concierge on OpenAI's Realtime API. Run it: OPENAI_API_KEY=... voxwire-server run bot.py."""

import os

from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

from voxwire_server import BotSession, serve

KEY = os.environ.get("OPENAI_API_KEY") or exit("set OPENAI_API_KEY in the environment")
URL = os.environ.get("VOXWIRE_OPENAI_REALTIME_URL", "wss://api.openai.com/v1/realtime")


async def get_weather(params: FunctionCallParams, city: str) -> None:
    """Get the weather in a city.

    Args:
        params: The call.
        city: The city, e.g. "Paris".
    """
    await params.result_callback({"city": city, "condition": "sunny", "high_c": 22, "low_c": 13})


async def bot(session: BotSession) -> None:
    """One conversation with one user."""
    audio = AudioConfiguration(input=AudioInput(transcription=InputAudioTranscription()))
    llm = OpenAIRealtimeLLMService(
        api_key=KEY,
        base_url=URL,
        settings=OpenAIRealtimeLLMService.Settings(
            system_instruction="You are a concierge on the telephone. Answer in a sentence or two.",
            session_properties=SessionProperties(audio=audio),
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
