"""One service in a pipeline of its own, which can be given up at any moment."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from pipecat.frames.frames import CancelFrame, EndFrame, Frame, StartFrame
from pipecat.pipeline.pipeline import Pipeline, PipelineSink, PipelineSource
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.utils.asyncio.task_manager import TaskManager

from voxwire_server.pipeline.failover.candidates import Candidate

__all__ = ["Branch"]

_log = logging.getLogger("voxwire.failover")

Deliver = Callable[["Branch", Frame, FrameDirection], Awaitable[None]]


class Branch:
    """A service and what keeps it apart.

    Its tasks have a manager of their own: whatever it leaves behind ends with it.

    Args:
        candidate: Whose service it is.
        deliver: Is given each frame that leaves it, up or down, in order. It runs in a task of the
            branch: it must not close it.

    Attributes:
        given_up: Whether nothing counts any more that leaves it.
    """

    def __init__(self, candidate: Candidate, deliver: Deliver) -> None:
        self.candidate = candidate
        self.service: FrameProcessor = candidate.make()
        self.given_up = False
        self._deliver = deliver
        self._tasks = TaskManager(loop=asyncio.get_running_loop())
        self._started, self._ended = asyncio.Event(), asyncio.Event()
        self._pipeline = Pipeline(
            [self.service], source=PipelineSource(self._left), sink=PipelineSink(self._left)
        )

    async def start(self, setup: FrameProcessorSetup, frame: StartFrame) -> None:
        """Set it up and start it; until then it cannot be asked. The caller sets the deadline."""
        await self._pipeline.setup(replace(setup, task_manager=self._tasks))
        await self._pipeline.queue_frame(frame)
        await self._started.wait()

    async def put(self, frame: Frame, direction: FrameDirection) -> None:
        """Give it a frame; returns at once."""
        await self._pipeline.queue_frame(frame, direction)

    async def _left(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, StartFrame):
            self._started.set()
        elif isinstance(frame, EndFrame | CancelFrame):
            self._ended.set()
        else:
            await self._deliver(self, frame, direction)

    async def close(self, close_s: float, *, gently: bool = False) -> None:
        """End it; whatever it does, it is over after twice ``close_s``, and no task is left.

        Args:
            close_s: How long it may take to end, and to clean up, seconds.
            gently: It says first what it was given.
        """
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(close_s):
                    await self.put(
                        EndFrame() if gently else CancelFrame(), FrameDirection.DOWNSTREAM
                    )
                    if self._started.is_set():
                        await self._ended.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(close_s):
                    await self._pipeline.cleanup()
        except Exception:
            _log.exception("a service does not close", extra={"service": self.candidate.name})
        finally:
            left = [task for task in self._tasks.current_tasks() if not task.done()]
            for task in left:
                task.cancel()
            if left:
                _log.info(
                    "a service has left %d tasks behind",
                    len(left),
                    extra={"service": str(self.service)},
                )
                await asyncio.wait(left, timeout=close_s)
