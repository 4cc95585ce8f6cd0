"""A bot written for Pipecat's runner: nothing in its pipeline or its runner is Voxwire's.

    python bot.py                  # Pipecat's own server
    voxwire-server run bot.py      # Voxwire's: the same page, the same file

Its services come from the offline bot, so that it needs no keys; any that Pipecat has will do.
"""

from dotenv import load_dotenv
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frameworks.rtvi import RTVIFunctionCallReportLevel, RTVIObserverParams
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.llm_service import FunctionCallParams
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams
from pipecat.workers.runner import WorkerRunner

from voxwire_server.bots.offline.bot import build_services

load_dotenv(override=True)

transport_params = {
    "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True),
    "websocket": lambda: FastAPIWebsocketParams(
        audio_in_enabled=True, audio_out_enabled=True, serializer=ProtobufFrameSerializer()
    ),
    "twilio": lambda: FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True),
}


async def get_weather(params: FunctionCallParams, city: str, day: str = "today") -> None:
    """Get the weather in a city."""
    weather = {"condition": "sunny", "high_c": 22, "low_c": 13}
    await params.result_callback({"city": city, "day": day, "found": True, **weather})


def tools_of_the_page(runner_args: RunnerArguments) -> list[FunctionSchema]:
    """On Voxwire's server the arguments have its session, too: what the page may bring."""
    session = getattr(runner_args, "session", None)
    return session.client_tools(["show_on_map"]) if session else []


async def run_bot(transport: BaseTransport, runner_args: RunnerArguments) -> None:
    """Hold one conversation; the bot speaks first."""
    stt, llm, tts = build_services()
    context = LLMContext(tools=[get_weather, *tools_of_the_page(runner_args)])
    user, assistant = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    worker = PipelineWorker(
        Pipeline([transport.input(), stt, user, llm, tts, transport.output(), assistant]),
        params=PipelineParams(enable_metrics=True),
        idle_timeout_secs=runner_args.pipeline_idle_timeout_secs,
        rtvi_observer_params=RTVIObserverParams(
            function_call_report_level={"*": RTVIFunctionCallReportLevel.FULL}
        ),
    )
    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)

    @worker.rtvi.event_handler("on_client_ready")
    async def on_client_ready(_rtvi) -> None:
        await worker.queue_frames([LLMRunFrame()])

    @worker.rtvi.event_handler("on_client_message")
    async def on_client_message(rtvi, message) -> None:
        if message.type == "name":
            await rtvi.send_server_response(message, "concierge")

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport, _client) -> None:
        await worker.cancel()

    await runner.run()


async def bot(runner_args: RunnerArguments) -> None:
    """What a runner calls for every client."""
    await run_bot(await create_transport(runner_args, transport_params), runner_args)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
