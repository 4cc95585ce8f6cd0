"""The part that speaks: where one voice breaks off, the next goes on behind the last whole word."""

import asyncio
from collections.abc import Sequence
from typing import Final

from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    SystemFrame,
    TextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.tts_service import TTSService

from voxwire_protocol import wire
from voxwire_server.pipeline.failover.branch import Branch
from voxwire_server.pipeline.failover.candidates import Candidate
from voxwire_server.pipeline.failover.deadlines import VOICE, Deadlines
from voxwire_server.pipeline.failover.relay import DOWN, FailedError, Relay
from voxwire_server.pipeline.failover.script import Script
from voxwire_server.pipeline.patience import wait_for_sound
from voxwire_server.pipeline.unspoken import UNSPOKEN_KEY, UnspokenText
from voxwire_server.pipeline.words import OFFSET_KEY, note_word_offsets

__all__ = ["VoiceRelay"]

_WORD_MS: Final = 80.0
"""So much of a word has to have its sound before it counts as spoken."""
_SPEECH: Final = (TTSStartedFrame, TTSAudioRawFrame, TTSTextFrame, TTSStoppedFrame)


class VoiceRelay(Relay):
    """Stands where a TTS service would.

    Words go on when they have their sound; those of a voice that broke off before that are said by
    the next one.

    Args:
        candidates: TTS services, in this order.
        deadlines: How long each may be silent.
    """

    part = "voice"

    def __init__(self, candidates: Sequence[Candidate], deadlines: Deadlines = VOICE) -> None:
        super().__init__(candidates, deadlines)
        self.source = wire.TimingSource.TIMING_SOURCE_UNSPECIFIED
        self._script = Script()
        self._words: list[TTSTextFrame] = []  # have no sound yet
        self._sound_ms = 0.0  # of the context
        self._context: str | None = None  # is open, for those behind
        self._in_response = False  # for those behind
        self._unspeakable = False  # the answer that is being given
        self._tried: list[str] = []
        self._due_s: float | None = None
        self._owed_since_s: float | None = None
        self._owed_sound_ms = 0.0  # that came since
        self._watching: asyncio.Task[None] | None = None
        self._order = asyncio.Lock()
        self._register_event_handler("on_tts_request")
        self.add_event_handler("on_service", self._equip)

    def _equip(self, _: Relay, service: TTSService) -> None:
        self.source = note_word_offsets(service)
        wait_for_sound(service, UnspokenText(service).owes, secs=self._deadlines.first_s)
        service.add_event_handler("on_tts_request", self._requested)

    # what is to be said

    async def take(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InterruptionFrame):
            self._cut()
            await self.pass_on(frame, direction)
        elif isinstance(frame, SystemFrame) or direction is not DOWN:
            await self.pass_on(frame, direction)
        else:
            async with self._order:
                speech = isinstance(frame, TextFrame | TTSSpeakFrame)
                left_out = self._leaves_out(frame)
                if not speech and (left_out or self._branch is None):
                    await self._push_once(frame)
                elif not left_out:
                    self._script.given(frame)
                    if not await self._give([frame]):
                        await self._silent()

    def _leaves_out(self, frame: Frame) -> bool:
        """Whether it is of an answer that nobody can speak: that is found out once, not for each
        of its sentences.
        """
        if isinstance(frame, LLMFullResponseStartFrame):
            self._unspeakable = False
        unspeakable = self._unspeakable and not isinstance(frame, TTSSpeakFrame)
        if isinstance(frame, LLMFullResponseEndFrame):
            self._unspeakable = False
        return unspeakable

    async def finish(self, frame: EndFrame) -> None:
        async with self._order:
            await super().finish(frame)

    def _cut(self) -> None:
        self._script.clear()
        self._words.clear()
        self._tried.clear()
        self._context, self._in_response, self._unspeakable = None, False, False
        self.doubt_no_more()

    async def _give(self, frames: list[Frame]) -> bool:
        """Give frames to whoever can take them; False = nobody can."""
        while (candidate := self._current()) is not None:
            if self._branch is None and self._in_response:  # it is in the middle of an answer
                frames = [LLMFullResponseStartFrame(), *frames]
            try:
                branch = await self.ready(candidate)
            except FailedError as error:
                self._tried.append(candidate.name)
                await self.give_up(candidate, error)
                frames = self._script.rest()
                continue
            for frame in frames:
                await branch.put(frame, DOWN)
            return True
        return False

    def _current(self) -> Candidate | None:
        if self._branch is not None and self._branch.candidate.name not in self._tried:
            return self._branch.candidate
        return self._roster.next(self._now(), self._tried)

    async def _silent(self) -> None:
        """Nobody speaks: what is no text goes on, so that nothing hangs behind it."""
        frames = self._script.frames()
        self._unspeakable = not any(isinstance(it, LLMFullResponseEndFrame) for it in frames)
        self._script.clear()
        self._tried.clear()
        await self.nobody("all have failed")
        await self._close_context()
        for frame in frames:
            await self._push_once(frame)

    # one is late, or fails

    async def _requested(self, service: TTSService, context: str, text: str) -> None:
        if self._branch is not None and service is self._branch.service:
            self._script.asked(text)
            self._expect(self._patience_s)
        await self._call_event_handler("on_tts_request", context, text)

    def _expect(self, wait_s: float) -> None:
        """Something is due soon, and its sound as fast as it is heard."""
        now_s = self._now()
        if not self._script.owes:
            self._due_s = self._owed_since_s = None
        elif self._owed_since_s is None:
            self._owed_since_s, self._owed_sound_ms = now_s, 0.0
            self._due_s = now_s + self._patience_s
        else:
            heard_s = self._owed_since_s + self._owed_sound_ms / 1000
            self._due_s = min(now_s + wait_s, heard_s + self._patience_s)
        if self._due_s is not None and (self._watching is None or self._watching.done()):
            self._watching = asyncio.create_task(self._watch())

    @property
    def _patience_s(self) -> float:
        return self._deadlines.wait_s(again=bool(self._tried))

    async def _watch(self) -> None:
        while self._due_s is not None:
            left_s = self._due_s - self._now()
            if left_s <= 0:
                self._due_s = None
                await self._follow(self._branch, FailedError("it was silent for too long"))
            else:
                await asyncio.sleep(left_s)

    def doubt_no_more(self) -> None:
        self._due_s = self._owed_since_s = None
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def trouble(self, branch: Branch, frame: ErrorFrame) -> None:
        self.spawn(self._follow(branch, self.reason_of(frame)))

    async def _follow(self, branch: Branch | None, error: FailedError) -> None:
        async with self._order:
            if branch is None or branch is not self._branch or self._over:
                return
            self._tried.append(branch.candidate.name)
            self._due_s = self._owed_since_s = None
            await self.give_up(branch.candidate, error)
            self._words.clear()
            await self._close_context()
            rest = self._script.rest()
            if rest and not await self._give(rest):
                await self._silent()

    # what comes of it

    async def came(self, branch: Branch, frame: Frame, direction: FrameDirection) -> None:
        if direction is not DOWN or isinstance(frame, SystemFrame):
            await self.push_frame(frame, direction)
        elif self._takes_for_said(frame):
            branch.given_up = True
            silent = FailedError("it has said nothing, and takes it for said")
            self.spawn(self._follow(branch, silent))
        elif isinstance(frame, _SPEECH):
            await self._speech(branch, frame)
            if self._branch is branch:
                self._expect(self._deadlines.next_s)
        else:
            await self._push_once(frame)

    def _takes_for_said(self, frame: Frame) -> bool:
        """Whether a voice is over with words that have no sound; a dash needs none."""
        if isinstance(frame, TTSTextFrame):
            return UNSPOKEN_KEY in frame.metadata and _is_said(frame)
        over = isinstance(frame, TTSStoppedFrame | LLMFullResponseEndFrame)
        return over and not self._sound_ms and any(map(_is_said, self._words))

    async def _speech(self, branch: Branch, frame: Frame) -> None:
        if isinstance(frame, TTSStartedFrame):
            self._context, self._sound_ms = frame.context_id, 0.0
            await self.push_frame(frame)
        elif isinstance(frame, TTSAudioRawFrame):
            await self._sound(frame)
        elif isinstance(frame, TTSTextFrame):
            self._words.append(frame)
            await self._let_words_go(self._sound_ms)
        elif isinstance(frame, TTSStoppedFrame):
            await self._let_words_go(None)
            self._script.stopped()
            self._context = None
            self._worked(branch)
            await self.push_frame(frame)

    async def _sound(self, frame: TTSAudioRawFrame) -> None:
        if frame.context_id != self._context:
            self._context, self._sound_ms = frame.context_id, 0.0
        bytes_per_ms = frame.sample_rate * frame.num_channels * 2 / 1000
        self._sound_ms += len(frame.audio) / bytes_per_ms
        self._owed_sound_ms += len(frame.audio) / bytes_per_ms
        await self.push_frame(frame)
        await self._let_words_go(self._sound_ms)

    async def _let_words_go(self, sound_ms: float | None) -> None:
        while self._words:
            word = self._words[0]
            if sound_ms is not None and word.context_id == self._context:
                begins_ms = float(word.metadata.get(OFFSET_KEY, 0.0))
                if begins_ms + _WORD_MS > sound_ms:
                    return
            self._words.pop(0)
            self._script.spoken(word)
            await self.push_frame(word)

    async def _push_once(self, frame: Frame) -> None:
        """A frame that was given comes out; the begin of a response does so once."""
        self._script.out(frame)
        if isinstance(frame, LLMFullResponseStartFrame):
            if self._in_response:
                return
            self._in_response = True
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._in_response = False
        if not isinstance(frame, TTSSpeakFrame):
            await self.push_frame(frame)

    async def _close_context(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            await self.push_frame(TTSStoppedFrame(context_id=context))

    def _worked(self, branch: Branch) -> None:
        self._tried.clear()
        self._roster.worked(branch.candidate)


def _is_said(word: TTSTextFrame) -> bool:
    return any(map(str.isalnum, word.text))
