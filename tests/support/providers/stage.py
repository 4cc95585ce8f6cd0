"""One of Pipecat's services in a pipeline of its own, and what came out on both sides of it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import ControlFrame, ErrorFrame, Frame, StartFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

__all__ = ["IN_RATE", "OUT_RATE", "Failure", "Marker", "Stage", "staged"]

IN_RATE, OUT_RATE = 16_000, 24_000
ENDS_S = 60.0
"""How long a pipeline may take to end before it is given up."""


@dataclass
class Marker(ControlFrame):
    """Stands behind a request: where it comes out, the service holds nothing up."""


@dataclass(frozen=True)
class Failure:
    """An error frame: when (s since the stage began), what, and whether the service is usable."""

    at_s: float
    error: str
    category: str
    usable: bool


class _Noted(FrameProcessor):
    """Keeps what passes, with its time."""

    def __init__(self, note: Callable[[Frame, FrameDirection], None]) -> None:
        super().__init__()
        self._note = note

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self._note(frame, direction)
        await self.push_frame(frame, direction)


class _Again:
    """Wakes all who wait, again and again."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def set(self) -> None:
        """Wake who waits now."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the next time."""
        await self._next.wait()


class Stage:
    """A service between two processors that keep what passes.

    Attributes:
        service: The service.
        below: What came out of it downstream, with the s since the stage began.
        failures: The error frames that it pushed, as they came out above it.
        told_s: When its event `on_error` came, which waits for no pipeline to start.
        started_s: When the pipeline had started; None = it has not.
        ended_s: How long the pipeline took to end; None = it was given up after `ENDS_S`.
    """

    def __init__(self, service: FrameProcessor) -> None:
        self.service = service
        self.below: list[tuple[float, Frame]] = []
        self.failures: list[Failure] = []
        self.told_s: list[float] = []
        service.add_event_handler("on_error", self._told)
        self.started_s: float | None = None
        self.ended_s: float | None = None
        self._began_s = asyncio.get_running_loop().time()
        self._more = _Again()
        pipeline = Pipeline([_Noted(self._above), service, _Noted(self._below)])
        self.worker = PipelineWorker(
            pipeline,
            params=PipelineParams(audio_in_sample_rate=IN_RATE, audio_out_sample_rate=OUT_RATE),
            enable_rtvi=False,
            idle_timeout_secs=None,
        )

    @property
    def now_s(self) -> float:
        """Since the stage began."""
        return asyncio.get_running_loop().time() - self._began_s

    async def _told(self, _: FrameProcessor, __: ErrorFrame) -> None:
        self.told_s.append(self.now_s)
        self._more.set()

    def _above(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, ErrorFrame) and direction is FrameDirection.UPSTREAM:
            category = frame.category.value if frame.category else "none"
            usable = frame.processor.is_usable if frame.processor else True
            self.failures.append(Failure(self.now_s, frame.error, category, usable))
            self._more.set()

    def _below(self, frame: Frame, direction: FrameDirection) -> None:
        if direction is FrameDirection.DOWNSTREAM:
            if isinstance(frame, StartFrame):
                self.started_s = self.now_s
            self.below.append((self.now_s, frame))
            self._more.set()

    def of(self, kind: type[Frame], since_s: float = 0.0) -> list[Any]:
        """The frames of a kind that came out below."""
        return [frame for at_s, frame in self.below if at_s >= since_s and isinstance(frame, kind)]

    async def send(self, frame: Frame) -> None:
        """Put a frame into the pipeline."""
        await self.worker.queue_frame(frame)

    async def until(self, holds: Callable[[], bool], wait_s: float = 60.0) -> bool:
        """Wait until something holds of what came out; False = it does not, after `wait_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not holds():
                    await self._more.wait()
        return holds()

    async def passes(self, wait_s: float) -> float | None:
        """Send a marker: the s until it comes out; None = not in time."""
        marker, sent_s = Marker(), self.now_s
        await self.send(marker)

        def out() -> list[float]:
            return [at_s for at_s, frame in self.below if frame is marker]

        await self.until(lambda: bool(out()), wait_s)
        return out()[0] - sent_s if out() else None


@contextlib.asynccontextmanager
async def staged(service: FrameProcessor) -> AsyncGenerator[Stage]:
    """Run a service until the block ends, which cancels the pipeline."""
    stage = Stage(service)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(stage.worker)
    running = asyncio.create_task(runner.run())
    try:
        yield stage
    finally:
        asked_s = stage.now_s
        await stage.worker.cancel()
        done, _ = await asyncio.wait({running}, timeout=ENDS_S)
        if done:
            stage.ended_s = stage.now_s - asked_s
        running.cancel()
        await asyncio.wait({running})
