"""What a bot and a page say to each other: tools that are reported, messages, requests, errors."""

from typing import Any

from pipecat.frames.frames import LLMContextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection
from pipecat.processors.frameworks.rtvi import (
    RTVIFunctionCallReportLevel,
    RTVIObserverParams,
    RTVIServerMessageFrame,
)
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.services.llm_service import FunctionCallFromLLM, FunctionCallParams
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from tests.support.clicks import ClickTTS, ScriptedLLM

HEARD: list[Any] = []


class _LLM(ScriptedLLM):
    """A model that calls a tool when it is asked for one."""

    async def process_frame(self, frame: Any, direction: FrameDirection) -> None:
        if isinstance(frame, LLMContextFrame):
            said = frame.context.get_messages()[-1]
            name = str(said.get("content"))
            if said.get("role") == "user" and name in ("get_weather", "get_secret"):
                call = FunctionCallFromLLM(
                    context=frame.context,
                    tool_call_id=f"call-{name}",
                    function_name=name,
                    arguments={"city": "Paris"},
                )
                await self.run_function_calls([call])
                return
        await super().process_frame(frame, direction)


async def get_weather(params: FunctionCallParams) -> None:
    await params.result_callback({"conditions": "sunny"})


async def bot(runner_args: RunnerArguments):
    transport = await create_transport(
        runner_args,
        {"webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True)},
    )
    llm = _LLM()
    llm.register_function("get_weather", get_weather)
    llm.register_function("get_secret", get_weather)
    user_aggregator, assistant_aggregator = LLMContextAggregatorPair(LLMContext())
    worker = PipelineWorker(
        Pipeline(
            [
                transport.input(),
                user_aggregator,
                llm,
                ClickTTS(),
                transport.output(),
                assistant_aggregator,
            ]
        ),
        params=PipelineParams(enable_metrics=True),
        rtvi_observer_params=RTVIObserverParams(
            function_call_report_level={"get_weather": RTVIFunctionCallReportLevel.FULL}
        ),
    )
    rtvi = worker.rtvi

    @rtvi.event_handler("on_client_message")
    async def on_client_message(rtvi, message):
        HEARD.append((message.type, message.data))
        match message.type:
            case "add":
                await rtvi.send_server_response(message, sum(message.data))
            case "refuse":
                await rtvi.send_error_response(message, "not today")
            case "tell":
                await worker.queue_frame(RTVIServerMessageFrame({"shown": message.data}))
                await rtvi.send_server_message({"t": "named", "d": message.data})
            case "fail":
                await llm.push_error(error_msg="the model is tired")
                await rtvi.send_error("and so is the bot")

    @rtvi.event_handler("on_ui_message")
    async def on_ui_message(rtvi, message):
        HEARD.append((message.data.event, message.data.payload))

    @transport.event_handler("on_app_message")
    async def on_app_message(transport, message, sender):
        HEARD.append((message["type"], sender == runner_args.session_id))

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)
    await runner.run()
