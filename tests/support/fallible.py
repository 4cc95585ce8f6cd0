"""Services that fail as they are told: by themselves, without a provider."""

import asyncio
import dataclasses
import enum
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.utils.errors import ErrorCategory

from voxwire_server.pipeline.failover import Candidate

__all__ = ["RATE", "Ears", "Mind", "Provider", "Voice", "Way", "candidates"]

RATE = 24_000
WORD_S = 0.3


class Way(enum.Enum):
    """What a provider does that is asked."""

    WORKS = "works"
    SILENT = "silent"
    """Nothing comes, ever."""
    STALLS = "stalls"
    """Half of it comes, then nothing."""
    FAILS = "fails"
    """It says that it has failed."""
    FAILS_LATE = "fails late"
    """Half of it comes, then it says that it has failed."""
    REFUSES = "refuses"
    """It says that the key is wrong."""
    STARTS_NOT = "does not start"
    RAISES = "raises"


class Provider:
    """A provider, whoever makes a service of it.

    Attributes:
        way: What it does from now on.
        asked: What it was asked, by all services of it.
        made: How many services were made.
        early: After so many blocks ears write down what they have heard, and nothing at the end;
            0 = they do at the end.
    """

    def __init__(self, name: str, way: Way = Way.WORKS) -> None:
        self.name, self.way = name, way
        self.early = 0
        self.asked: list[Any] = []
        self.made = 0

    @property
    def half(self) -> bool:
        """Whether it breaks off in the middle."""
        return self.way in (Way.STALLS, Way.FAILS_LATE)

    async def begins(self, frame: Frame) -> None:
        """The service starts."""
        if isinstance(frame, StartFrame) and self.way is Way.STARTS_NOT:
            await asyncio.Event().wait()

    def ends(self) -> ErrorFrame | None:
        """What it says in the place of the rest; None = nothing."""
        if self.way is Way.RAISES:
            raise RuntimeError(f"{self.name} has a bug")
        if self.way in (Way.FAILS, Way.FAILS_LATE):
            return ErrorFrame(f"{self.name} fails", category=ErrorCategory.SERVER)
        if self.way is Way.REFUSES:
            return ErrorFrame("wrong key", category=ErrorCategory.AUTHENTICATION)
        return None


def _unset(kind: type[Any]) -> Any:
    return kind(**{f.name: None for f in dataclasses.fields(kind) if f.name != "extra"})


class Ears(STTService):
    """Writes down ``name: <number of blocks>`` when the user has stopped."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(settings=_unset(STTSettings))
        self._provider, self._blocks = provider, 0
        provider.made += 1

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await self._provider.begins(frame)
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            await self._write()

    async def _write(self) -> None:
        provider = self._provider
        provider.asked.append(self._blocks)
        blocks, self._blocks = self._blocks, 0
        if provider.early:
            return
        if provider.way is Way.WORKS:
            await self.push_frame(TranscriptionFrame(f"{provider.name}: {blocks}", "", ""))
        elif error := provider.ends():
            await self.push_error_frame(error)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        self._blocks += 1
        early = self._blocks == self._provider.early
        yield TranscriptionFrame(f"early: {self._blocks}", "", "") if early else None


class Mind(LLMService):
    """Answers with words that its provider was given, one every 0.1 s."""

    def __init__(self, provider: Provider, words: Sequence[str]) -> None:
        super().__init__(settings=_unset(LLMSettings))
        self._provider, self._words = provider, words
        provider.made += 1

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await self._provider.begins(frame)
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._answer(frame)
        else:
            await self.push_frame(frame, direction)

    async def _answer(self, frame: LLMContextFrame) -> None:
        provider = self._provider
        provider.asked.append(frame.context.get_messages())
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            whole = provider.way is Way.WORKS
            said = self._words if whole else self._words[: len(self._words) // 2 * provider.half]
            for word in said:
                await asyncio.sleep(0.1)  # real time: pace
                await self.push_frame(LLMTextFrame(word))
            if not whole:
                if error := provider.ends():
                    await self.push_error_frame(error)
                else:
                    await asyncio.Event().wait()
        finally:
            await self.push_frame(LLMFullResponseEndFrame())


class Voice(TTSService):
    """Speaks a word in 0.3 s of a level that is its provider's, with the words' times."""

    def __init__(self, provider: Provider, level: int) -> None:
        super().__init__(
            push_text_frames=False,
            push_start_frame=True,
            push_stop_frames=True,
            sample_rate=RATE,
            settings=TTSSettings(model="fallible", voice=provider.name, language=None),
        )
        self._provider, self._level = provider, level
        self._offsets: dict[str, float] = {}
        provider.made += 1

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await self._provider.begins(frame)
        await super().process_frame(frame, direction)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        provider, words = self._provider, text.split()
        provider.asked.append(text)
        whole = provider.way is Way.WORKS
        spoken = words if whole else words[: len(words) // 2 * provider.half]
        for word in spoken:
            await asyncio.sleep(0.02)  # real time: pace
            offset = self._offsets.get(context_id, 0.0)
            await self.add_word_timestamps([(word, offset)], context_id)
            self._offsets[context_id] = offset + WORD_S
            pcm = np.full(int(RATE * WORD_S), self._level, np.int16).tobytes()
            yield TTSAudioRawFrame(pcm, RATE, 1, context_id=context_id)
        if not whole:
            if error := provider.ends():
                yield error
            else:
                await asyncio.Event().wait()


def candidates(kind: type[Any], providers: Sequence[Provider], *more: Any) -> list[Candidate]:
    """Candidates that are these providers.

    Args:
        kind: ``Ears``, ``Mind`` or ``Voice``.
        providers: In this order.
        more: What else the services are made with; a voice's level is multiplied by its place.
    """

    def maker(number: int, provider: Provider) -> Any:
        given = [it * number if isinstance(it, int) else it for it in more]
        return lambda: kind(provider, *given)

    return [Candidate(it.name, maker(number, it)) for number, it in enumerate(providers, 1)]
