"""A bot whose transport is to speak nothing and to hear nothing: it writes."""

from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from tests.support.clicks import ClickTTS, ScriptedLLM


async def bot(runner_args: RunnerArguments):
    transport = await create_transport(runner_args, {"webrtc": lambda: TransportParams()})
    user, assistant = LLMContextAggregatorPair(LLMContext())
    worker = PipelineWorker(
        Pipeline(
            [transport.input(), user, ScriptedLLM(), ClickTTS(), transport.output(), assistant]
        )
    )

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
