"""As Pipecat's examples had it before workers: a task, its runner, and RTVI put in by hand."""

from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frameworks.rtvi import RTVIObserver, RTVIProcessor
from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import TransportParams

from tests.support.clicks import ClickTTS, ScriptedLLM

CONTEXTS: list[LLMContext] = []

transport_params = {
    "daily": lambda: None,
    "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True),
}


async def bot(runner_args):
    transport = await create_transport(runner_args, transport_params)
    context = LLMContext()
    CONTEXTS.append(context)
    context_aggregator = LLMContextAggregatorPair(context)
    rtvi = RTVIProcessor()
    task = PipelineTask(
        Pipeline(
            [
                transport.input(),
                rtvi,
                context_aggregator.user(),
                ScriptedLLM(),
                ClickTTS(),
                transport.output(),
                context_aggregator.assistant(),
            ]
        ),
        params=PipelineParams(enable_metrics=True),
        observers=[RTVIObserver(rtvi)],
        idle_timeout_secs=runner_args.pipeline_idle_timeout_secs,
    )

    @rtvi.event_handler("on_client_ready")
    async def on_client_ready(rtvi):
        await rtvi.set_bot_ready()

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, client):
        await task.queue_frames([LLMRunFrame()])

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        await task.cancel()

    await PipelineRunner(handle_sigint=runner_args.handle_sigint).run(task)
