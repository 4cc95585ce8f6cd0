"""The part that thinks: whoever is asked first answers, or the next one does."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from typing import Final

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    LLMThoughtTextFrame,
    TTSSpeakFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection

from voxwire_server.pipeline.failover.branch import Branch
from voxwire_server.pipeline.failover.candidates import Candidate
from voxwire_server.pipeline.failover.deadlines import MIND, Deadlines
from voxwire_server.pipeline.failover.relay import DOWN, FailedError, Relay

__all__ = ["MindRelay"]

FILLER: Final = "One moment, please."
FILLER_S: Final = 2.0
APOLOGY: Final = "I am sorry, I cannot answer right now. Please ask me again in a moment."
GO_ON: Final = (
    "You were cut off. Go on exactly where you stopped, and repeat nothing of what you have said."
)
_DOUBT_S: Final = 0.1
_CONTENT: Final = (
    LLMTextFrame,
    LLMThoughtTextFrame,
    FunctionCallsStartedFrame,
    FunctionCallInProgressFrame,
)
_CALLS: Final = (FunctionCallInProgressFrame, FunctionCallResultFrame)


class _Attempt:
    """One answer of one service, as far as it has come."""

    def __init__(self) -> None:
        self.start: Frame | None = None  # is held back until the answer has something in it
        self.error: FailedError | None = None
        self.ended = False
        self.empty: Frame | None = None  # its end, where nothing was in it
        self._sign = asyncio.Event()

    def sign(self) -> None:
        """Something came."""
        self._sign.set()

    async def follow(self, first_s: float, next_s: float) -> None:
        """Until the answer has ended.

        Args:
            first_s: How long nothing may come at all.
            next_s: How long nothing more may come.

        Raises:
            FailedError: It has failed, or is late.
        """
        wait_s = first_s
        while not self.ended:
            try:
                async with asyncio.timeout(wait_s):
                    await self._sign.wait()
            except TimeoutError:
                raise FailedError(f"nothing came for {wait_s:g} s") from None
            self._sign.clear()
            wait_s = next_s
            if self.error is not None:
                raise self.error

    async def doubt(self) -> None:
        """Nothing was in the answer: an error may be on its way behind it.

        Raises:
            FailedError: It was.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_DOUBT_S):
                while self.error is None:
                    self._sign.clear()
                    await self._sign.wait()
        if self.error is not None:
            raise self.error


class MindRelay(Relay):
    """Stands where an LLM service would.

    An answer that has not begun is asked of the next one; one that has goes on with the next one,
    who is told what was said. When all have failed the bot says so.

    Args:
        candidates: LLM services, in this order.
        deadlines: How long each may be silent.
        filler: Said once when nothing was heard for 2 s; empty = nothing is.
        apology: Said when all have failed.
    """

    part = "mind"

    def __init__(
        self,
        candidates: Sequence[Candidate],
        deadlines: Deadlines = MIND,
        *,
        filler: str = FILLER,
        apology: str = APOLOGY,
    ) -> None:
        super().__init__(candidates, deadlines)
        self._filler, self._apology = filler, apology
        self._attempt: _Attempt | None = None
        self._said = ""
        self._answering = False  # the answer has begun, for those behind

    async def take(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, LLMContextFrame):  # from below when a tool has a result
            await self._answer(frame)
            return
        if isinstance(frame, InterruptionFrame):
            self._attempt, self._said, self._answering = None, "", False
        await self.pass_on(frame, direction)

    async def _answer(self, frame: LLMContextFrame) -> None:
        self._said, self._answering = "", False
        filler = asyncio.create_task(self._fill())
        tried: list[str] = []
        try:
            while (candidate := self._roster.next(self._now(), tried)) is not None:
                tried.append(candidate.name)
                try:
                    await self._ask(candidate, frame, again=len(tried) > 1)
                except FailedError as error:
                    await self.give_up(candidate, error)
                else:
                    self._roster.worked(candidate)
                    return
            await self._apologise()
        finally:
            self._attempt = None
            filler.cancel()

    async def _ask(self, candidate: Candidate, frame: LLMContextFrame, *, again: bool) -> None:
        branch = await self.ready(candidate)
        self._attempt = attempt = _Attempt()
        await branch.put(self._asked(frame), DOWN)
        await attempt.follow(self._deadlines.wait_s(again=again), self._deadlines.next_s)
        if attempt.empty is not None:
            await attempt.doubt()
            await self._end_answer(attempt, attempt.empty)

    def _asked(self, frame: LLMContextFrame) -> LLMContextFrame:
        """The context, or what of the answer is still to be said."""
        if not self._said:
            return frame
        context = LLMContext(
            messages=[
                *frame.context.get_messages(),
                {"role": "assistant", "content": self._said},
                {"role": "developer", "content": GO_ON},
            ],
            tools=frame.context.tools,
            tool_choice=frame.context.tool_choice,
        )
        asked = copy(frame)
        asked.context = context
        return asked

    async def _fill(self) -> None:
        await asyncio.sleep(FILLER_S)
        if self._filler and not self._answering and not self._bot_speaks:
            await self.push_frame(TTSSpeakFrame(self._filler, append_to_context=False))

    async def _apologise(self) -> None:
        await self.nobody("all have failed")
        if self._answering:
            await self.push_frame(LLMFullResponseEndFrame())
        await self.push_frame(TTSSpeakFrame(self._apology))

    # what services say

    async def came(self, branch: Branch, frame: Frame, direction: FrameDirection) -> None:
        attempt = self._attempt
        if attempt is None or direction is not DOWN:
            await self.push_frame(frame, direction)
        elif isinstance(frame, LLMFullResponseStartFrame):
            attempt.start = frame
        elif isinstance(frame, LLMFullResponseEndFrame):
            if attempt.error is None and attempt.start is not None:
                attempt.ended, attempt.empty = True, frame
            elif attempt.error is None:
                await self._end_answer(attempt, frame)
                attempt.ended = True
            attempt.sign()
        else:
            if isinstance(frame, _CONTENT):
                await self._begin_answer(attempt)
                attempt.sign()
            if isinstance(frame, LLMTextFrame):
                self._said += frame.text
            await self.push_frame(frame, direction)

    async def _begin_answer(self, attempt: _Attempt) -> None:
        start, attempt.start = attempt.start, None
        if start is not None and not self._answering:
            self._answering = True
            await self.push_frame(start)

    async def _end_answer(self, attempt: _Attempt, end: Frame) -> None:
        await self._begin_answer(attempt)
        self._answering = False
        await self.push_frame(end)

    async def trouble(self, branch: Branch, frame: ErrorFrame) -> None:
        attempt, error = self._attempt, self.reason_of(frame)
        if attempt is None:
            branch.given_up = True
            self.spawn(self.give_up(branch.candidate, error))
        else:
            attempt.error = error
            attempt.sign()

    async def late(self, branch: Branch, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, _CALLS):  # a tool that runs goes on, whoever called it
            await self.push_frame(frame, direction)
