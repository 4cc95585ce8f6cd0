"""The part that hears: what one recogniser leaves unsaid, the next one is given again."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    StartFrame,
    STTMuteFrame,
    STTUpdateSettingsFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from voxwire_server.pipeline.failover.branch import Branch
from voxwire_server.pipeline.failover.candidates import Candidate
from voxwire_server.pipeline.failover.deadlines import HEARING, Deadlines
from voxwire_server.pipeline.failover.relay import FailedError, Relay

__all__ = ["HearingRelay"]

APOLOGY: Final = "I am sorry, I did not hear you. Please say it again."
_BEFORE_S: Final = 0.6
"""What stands ahead of an utterance that is given again: the detector is late."""
_LONGEST_S: Final = 30.0
_LONGER_S: Final = 0.5
"""So much longer may one take who has written down the beginning."""
_TAIL_S: Final = 1.0
"""Behind a transcript in the middle of an utterance, less than this may have no words in it: the
end of the last word, and the silence by which it was known to be the last."""
_ROUNDING_S: Final = 0.001
_SPEECH_S: Final = 0.3
"""Less than this is a cough, perhaps: nobody apologises that its words were not understood."""
_WANTED: Final = (
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
    UserStoppedSpeakingFrame,
    STTMuteFrame,
    STTUpdateSettingsFrame,
    InterruptionFrame,
)
"""What a recogniser listens to; it is passed on here, whatever becomes of him."""


class _Utterance:
    """What the user has said and nobody has written down yet."""

    def __init__(self) -> None:
        self._audio: deque[tuple[InputAudioRawFrame, FrameDirection]] = deque()
        self._secs = 0.0
        self._some_written = False
        self.speaks = False
        self.began_s = 0.0
        self.said_s = 0.0
        self.stopped: VADUserStoppedSpeakingFrame | None = None

    def add(self, frame: InputAudioRawFrame, direction: FrameDirection) -> None:
        self._audio.append((frame, direction))
        self._secs += _secs(frame)
        longest = _LONGEST_S if self.speaks or self.stopped else _BEFORE_S
        while self._secs > longest + _ROUNDING_S:
            self._secs -= _secs(self._audio.popleft()[0])

    def begin(self, now_s: float) -> None:
        """The user begins to speak."""
        self.speaks, self.stopped, self.began_s = True, None, now_s
        self._some_written = False

    def end(self, now_s: float, frame: VADUserStoppedSpeakingFrame) -> bool:
        """The user has stopped; whether there are words that nobody has written down."""
        self.speaks, self.said_s = False, now_s - self.began_s
        owed = not self._some_written or self._secs >= _TAIL_S
        self.stopped = frame if owed else None
        return owed

    def written(self) -> None:
        """All of it so far is in a transcript."""
        self._audio.clear()
        self._secs = 0.0
        self.stopped = None
        self._some_written = True

    @property
    def audio(self) -> list[tuple[Frame, FrameDirection]]:
        return list(self._audio)


def _secs(frame: InputAudioRawFrame) -> float:
    return len(frame.audio) / (2 * frame.num_channels * frame.sample_rate)


class HearingRelay(Relay):
    """Stands where an STT service would.

    Args:
        candidates: STT services, in this order.
        deadlines: How long each may take for what was said; from the end of the speech.
        apology: Said when nobody has understood a word of what was longer than a cough; empty =
            nothing is.
    """

    part = "hearing"

    def __init__(
        self,
        candidates: Sequence[Candidate],
        deadlines: Deadlines = HEARING,
        *,
        apology: str = APOLOGY,
    ) -> None:
        super().__init__(candidates, deadlines)
        self._apology = apology
        self._utterance = _Utterance()
        self._tried: list[str] = []
        self._silent: list[Candidate] = []  # said nothing of this utterance
        self._late: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._order = asyncio.Lock()

    async def take(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InputAudioRawFrame):
            self._utterance.add(frame, direction)
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self._utterance.begin(self._now())
            self._expect(None)
            if self._branch is None and not self._order.locked():
                self.spawn(self._ask_next())  # all had failed
        elif isinstance(frame, VADUserStoppedSpeakingFrame) and (
            self._utterance.end(self._now(), frame)
        ):
            self._give_time(self._deadlines.first_s)
        await self.push_frame(frame, direction)
        if isinstance(frame, _WANTED) and self._listens:
            assert self._branch is not None
            await self._branch.put(frame, direction)

    @property
    def _listens(self) -> bool:
        return self.is_open and not self._order.locked()

    async def begin(self) -> None:
        self.spawn(self._ask_next())

    def doubt_no_more(self) -> None:
        self._expect(None)

    # one is late, or fails

    def _give_time(self, wait_s: float) -> None:
        self._due_s = self._now() + wait_s
        self._expect(wait_s)

    def _expect(self, wait_s: float | None) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if wait_s is not None:
            loop = asyncio.get_running_loop()
            self._late = loop.call_later(wait_s, lambda: self.spawn(self._nothing_came()))

    async def _nothing_came(self) -> None:
        """Nobody has written down what was said: it was no speech, or he does not work."""
        self._late = None
        stopped, branch = self._utterance.stopped, self._branch
        if stopped is None or branch is None:
            return
        self._silent.append(branch.candidate)
        self._tried.append(branch.candidate.name)
        if self._roster.next(self._now(), self._tried) is None:
            await self._not_understood()
            return
        self._leave()
        await self._ask_next()

    async def _not_understood(self) -> None:
        """All were silent: the fault is not one provider's."""
        speech = self._utterance.said_s >= _SPEECH_S
        self._silent.clear()
        self._tried.clear()
        self._utterance.written()
        if self._apology and speech:
            await self.push_frame(TTSSpeakFrame(self._apology))

    async def trouble(self, branch: Branch, frame: ErrorFrame) -> None:
        self.spawn(self._failed(branch, self.reason_of(frame)))

    async def _failed(self, branch: Branch, error: FailedError) -> None:
        if branch is not self._branch or self._over:
            return
        if self._opening is not None and not self._opening.done():
            return  # whoever waits for it is told
        self._tried.append(branch.candidate.name)
        await self.give_up(branch.candidate, error)
        await self._ask_next()

    async def _ask_next(self) -> None:
        """Have the next one listen, from the beginning of what nobody has written down."""
        async with self._order:
            if self._over:
                return
            while (candidate := self._roster.next(self._now(), self._tried)) is not None:
                try:
                    branch = await self.ready(candidate)
                except FailedError as error:
                    self._tried.append(candidate.name)
                    await self.give_up(candidate, error)
                    continue
                await self._tell(branch)
                return
        await self._deaf()

    async def _tell(self, branch: Branch) -> None:
        utterance = self._utterance
        if utterance.speaks or utterance.stopped is not None:
            await branch.put(VADUserStartedSpeakingFrame(), FrameDirection.UPSTREAM)
        for frame, direction in utterance.audio:
            await branch.put(frame, direction)
        if utterance.stopped is not None:
            await branch.put(utterance.stopped, FrameDirection.UPSTREAM)
            self._give_time(self._deadlines.again_s)

    async def _deaf(self) -> None:
        """Nobody can be asked: the client is told, and it is tried again with the next words."""
        self._tried.clear()
        await self.nobody("all have failed")
        if self._utterance.stopped is not None:
            await self._not_understood()

    # what they have heard

    async def came(self, branch: Branch, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, (*_WANTED, StartFrame)):
            return  # it went on when it came
        if isinstance(frame, TranscriptionFrame):
            self._understood(branch)
        elif isinstance(frame, InterimTranscriptionFrame) and self._late is not None:
            self._expect(max(0.0, self._due_s + _LONGER_S - self._now()))
        await self.push_frame(frame, direction)

    def _understood(self, branch: Branch) -> None:
        self._expect(None)
        for candidate in self._silent:
            if candidate is not branch.candidate:
                self._roster.failed(candidate, self._now())
        self._silent.clear()
        self._tried.clear()
        self._utterance.written()
        self._roster.worked(branch.candidate)
