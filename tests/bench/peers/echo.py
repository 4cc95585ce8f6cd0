"""What both stock peers run: a pipeline that says back what it hears; uvicorn on a free port."""

import socket

import uvicorn
from fastapi import FastAPI
from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

SAMPLE_RATE = 16000


class Echo(FrameProcessor):
    """Turns audio that came in into audio that goes out."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self.push_frame(
                OutputAudioRawFrame(
                    audio=frame.audio,
                    sample_rate=frame.sample_rate,
                    num_channels=frame.num_channels,
                )
            )
        else:
            await self.push_frame(frame, direction)


async def run_echo(transport: BaseTransport) -> None:
    """Runs one session as Pipecat's own examples do, until its client leaves."""
    worker = PipelineWorker(
        Pipeline([transport.input(), Echo(), transport.output()]),
        params=PipelineParams(
            audio_in_sample_rate=SAMPLE_RATE,
            audio_out_sample_rate=SAMPLE_RATE,
        ),
    )

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport: BaseTransport, client: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


class AnnouncingServer(uvicorn.Server):
    """Prints its port as `PORT n` once it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            print(f"PORT {listener.getsockname()[1]}", flush=True)


def serve(app: FastAPI) -> None:
    """Serves on a port from the operating system until told to stop."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    AnnouncingServer(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
