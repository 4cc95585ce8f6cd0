"""What all relays have in common: one branch at a time, begun and given up."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.errors import ErrorCategory

from voxwire_server.pipeline.failover.branch import Branch
from voxwire_server.pipeline.failover.candidates import Candidate, Roster
from voxwire_server.pipeline.failover.deadlines import Deadlines

__all__ = ["FailedError", "Relay"]

_log = logging.getLogger("voxwire.failover")

DOWN: Final = FrameDirection.DOWNSTREAM
UP: Final = FrameDirection.UPSTREAM


class FailedError(Exception):
    """A service did not do what it was asked.

    Attributes:
        for_good: Whether asking it again is no use.
    """

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good


class Relay(FrameProcessor):
    """Stands where a service would, and hands what that is asked to one service after the other.

    Events: ``on_service(relay, service)`` before a service starts, ``on_failed(relay, name,
    reason)`` when one was given up.

    Args:
        candidates: Who is asked, in this order.
        deadlines: How long each may be silent.
    """

    part = "service"
    """What messages call it."""

    def __init__(self, candidates: Sequence[Candidate], deadlines: Deadlines) -> None:
        super().__init__()
        self._roster = Roster(candidates)
        self._deadlines = deadlines
        self._branch: Branch | None = None
        self._opening: asyncio.Future[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._begun: StartFrame | None = None
        self._bot_speaks = False
        self._over = False
        self._register_event_handler("on_service", sync=True)
        self._register_event_handler("on_failed", sync=True)

    # frames

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pipecat's door."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._begun = frame
            await self.push_frame(frame, direction)
            await self.begin()
        elif isinstance(frame, EndFrame):
            await self.finish(frame)
            await self.push_frame(frame, direction)
        elif isinstance(frame, CancelFrame):
            self._stop()
            await self.push_frame(frame, direction)
        else:
            if isinstance(frame, BotStartedSpeakingFrame | BotStoppedSpeakingFrame):
                self._bot_speaks = isinstance(frame, BotStartedSpeakingFrame)
            await self.take(frame, direction)

    async def begin(self) -> None:
        """The pipeline has started: whoever is asked first connects meanwhile."""
        candidate = self._roster.next(self._now())
        assert candidate is not None
        self.spawn(self._prepare(candidate))

    async def finish(self, frame: EndFrame) -> None:
        """The pipeline ends, when all was said: what leaves the service until then counts."""
        branch = self._branch
        if branch is not None:
            await branch.close(self._deadlines.end_s, gently=True)
        self._over, self._branch = True, None
        self.doubt_no_more()

    async def take(self, frame: Frame, direction: FrameDirection) -> None:
        """A frame came."""
        raise NotImplementedError

    def doubt_no_more(self) -> None:
        """Nothing is due any more; no timer is left."""

    async def came(self, branch: Branch, frame: Frame, direction: FrameDirection) -> None:
        """A frame left the branch that counts; none of one that was given up does."""
        raise NotImplementedError

    async def trouble(self, branch: Branch, frame: ErrorFrame) -> None:
        """The branch that counts reports an error that is the provider's."""
        raise NotImplementedError

    async def cleanup(self) -> None:
        """Pipecat's end."""
        self._stop()
        while self._closing:
            await asyncio.wait(set(self._closing))
        await super().cleanup()

    def _stop(self) -> None:
        self._over = True
        self.doubt_no_more()
        self._leave()

    # branches

    async def _prepare(self, candidate: Candidate) -> None:
        try:
            await self.ready(candidate)
        except FailedError as error:
            await self.give_up(candidate, error)

    async def ready(self, candidate: Candidate) -> Branch:
        """The branch of a candidate, once it can be asked. Cancel-safe.

        Raises:
            FailedError: It does not start.
        """
        if self._branch is None or self._branch.candidate is not candidate:
            self._leave()
            try:
                branch = Branch(candidate, self._deliver)
            except Exception as error:
                raise FailedError(f"it cannot be made: {error}", for_good=True) from error
            self._branch = branch
            await self._call_event_handler("on_service", branch.service)
            self._opening = asyncio.ensure_future(self._open(branch))
            self._opening.add_done_callback(_noted)
        branch, opening = self._branch, self._opening
        assert opening is not None
        await asyncio.shield(opening)
        return branch

    async def _open(self, branch: Branch) -> None:
        assert self._begun is not None
        try:
            async with asyncio.timeout(self._deadlines.start_s):
                await branch.start(self.processor_setup, self._begun)
        except TimeoutError:
            raise FailedError("it does not start") from None
        except FailedError:
            raise
        except Exception as error:
            raise FailedError(f"it does not start: {error}") from error
        if not branch.service.is_usable:
            raise FailedError("it does not start, and says why in the log", for_good=True)

    async def give_up(self, candidate: Candidate, error: FailedError) -> None:
        """Whoever was asked has failed: he rests."""
        self._roster.failed(candidate, self._now(), for_good=error.for_good)
        if self._branch is not None and self._branch.candidate is candidate:
            self._leave()
        _log.warning(
            "%s: %s has failed: %s",
            self.part,
            candidate.name,
            error,
            extra={"service": candidate.name},
        )
        await self._call_event_handler("on_failed", candidate.name, str(error))

    def _leave(self) -> None:
        """End the branch that counts, in the background."""
        branch, self._branch = self._branch, None
        opening, self._opening = self._opening, None
        if branch is None:
            return
        self.spawn(self._close(branch, opening))

    async def _close(self, branch: Branch, opening: "asyncio.Future[None] | None") -> None:
        if opening is not None and not opening.done():
            opening.cancel()
            await asyncio.wait({opening})
        await branch.close(self._deadlines.close_s)

    async def _deliver(self, branch: Branch, frame: Frame, direction: FrameDirection) -> None:
        if branch is not self._branch or branch.given_up:
            await self.late(branch, frame, direction)
        elif isinstance(frame, ErrorFrame) and frame.processor is branch.service:
            if frame.category is ErrorCategory.APPLICATION:
                await self.push_frame(frame, direction)
            else:
                await self.trouble(branch, frame)
        else:
            await self.came(branch, frame, direction)

    async def late(self, branch: Branch, frame: Frame, direction: FrameDirection) -> None:
        """A frame left a branch that was given up: nobody hears of it."""

    # for those who are relays

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in a task that the end waits for.

        Whoever gives a branch up has to: its frames come in its own tasks, which end with it.
        """
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        """Give a frame to the service that counts, which passes on what it does not want."""
        if self._branch is None or not self.is_open or isinstance(frame, InputAudioRawFrame):
            await self.push_frame(frame, direction)
        else:
            await self._branch.put(frame, direction)

    @property
    def is_open(self) -> bool:
        """Whether the service that counts can be asked."""
        opening = self._opening
        if opening is None or not opening.done() or opening.cancelled():
            return False
        return opening.exception() is None

    async def nobody(self, what: str) -> None:
        """All have failed: the client is told."""
        await self.push_error(f"{self.part}: {what}", category=ErrorCategory.SERVER)

    @staticmethod
    def reason_of(frame: ErrorFrame) -> FailedError:
        """What an error is about."""
        for_good = bool(frame.category and frame.category.is_permanent)
        return FailedError(frame.error, for_good=for_good)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _noted(opening: "asyncio.Future[Any]") -> None:
    """An error that nobody waits for any more is none that asyncio has to report."""
    if not opening.cancelled():
        opening.exception()
