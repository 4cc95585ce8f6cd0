"""A bot of Pipecat's own runner, as its users write them: ``python stock_bot.py -t webrtc``.

Nothing of it knows Voxwire: transport, turns, context, RTVI and runner are Pipecat's with their
defaults. Only the services behind its names are those of our offline bot, which are ordinary
Pipecat services, so that it needs no network and no keys.
"""

from typing import Any

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.dtmf_aggregator import DTMFAggregator
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frameworks.rtvi import (
    RTVIFunctionCallReportLevel,
    RTVIObserverParams,
)
from pipecat.processors.frameworks.rtvi.models import ClientMessage
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.llm_service import FunctionCallParams
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams
from pipecat.workers.runner import WorkerRunner

from voxwire_server.bots.offline.agent import ConciergeLLMService
from voxwire_server.bots.offline.stt import SphinxSTTService
from voxwire_server.bots.offline.tools import get_joke, get_weather
from voxwire_server.bots.offline.tts import HibariTTSService

SHOW_ON_MAP = FunctionSchema(
    name="show_on_map",
    description="Show a place on the map in front of the user.",
    properties={"place": {"type": "string"}},
    required=["place"],
)


async def leave_to_client(params: FunctionCallParams) -> None:
    """The client sends the result: ``llm-function-call-result``."""


async def run_bot(transport: BaseTransport, runner_args: RunnerArguments) -> None:
    """Hold one session."""
    stt = SphinxSTTService()
    llm = ConciergeLLMService(take_rejected=stt.take_rejected)
    tts = HibariTTSService()
    llm.register_direct_function(get_weather)
    llm.register_direct_function(get_joke)
    llm.register_function("show_on_map", leave_to_client)
    context = LLMContext(tools=ToolsSchema(standard_tools=[get_weather, get_joke, SHOW_ON_MAP]))
    user, assistant = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    pipeline = Pipeline(
        [transport.input(), stt, DTMFAggregator(), user, llm, tts, transport.output(), assistant]
    )
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
        rtvi_observer_params=RTVIObserverParams(
            function_call_report_level={"*": RTVIFunctionCallReportLevel.FULL}
        ),
    )
    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)

    @worker.rtvi.event_handler("on_client_ready")
    async def on_client_ready(rtvi: Any) -> None:
        await worker.queue_frames([LLMRunFrame()])

    @worker.rtvi.event_handler("on_client_message")
    async def on_client_message(rtvi: Any, message: ClientMessage) -> None:
        if message.type == "fail":
            await rtvi.send_error_response(message, "it failed, as asked")
        elif message.type == "announce":
            await rtvi.send_server_message(message.data)
        elif message.type == "context":
            await rtvi.send_server_response(message, context.get_messages())
        else:
            body = {"asked": message.data, "body": runner_args.body}
            await rtvi.send_server_response(message, body)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport: Any, client: Any) -> None:
        await runner.cancel()

    await runner.run()


async def bot(runner_args: RunnerArguments) -> None:
    """What the runner calls for every client."""
    transport = await create_transport(
        runner_args,
        {
            "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True),
            "websocket": lambda: FastAPIWebsocketParams(
                audio_in_enabled=True,
                audio_out_enabled=True,
                serializer=ProtobufFrameSerializer(),
            ),
        },
    )
    await run_bot(transport, runner_args)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
