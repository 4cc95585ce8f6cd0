"""A bot whose voice can be read from its samples: a 5 ms click at every word's declared start.

The model answers ``say N`` with N numbered words, ``twice N`` with two responses of which the
second queues behind the first, ``plain N`` through a synthesiser that gives no word times.
"""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, TTSSettings
from pipecat.services.tts_service import TTSService

from voxwire_server import BotSession

CLICK_MS = 5
HUM = 600
RATE = 24000


def word_ms(index: int) -> int:
    """Length of the n-th word, milliseconds: irregular, so that a wrong offset shows."""
    return 220 + (index * 37) % 140


def click_pcm(count: int, first: int = 0) -> bytes:
    """Audio of ``count`` words: a click, then a hum far below it, so that silence is a cut."""
    parts = []
    for index in range(first, first + count):
        t = np.arange(RATE * word_ms(index) // 1000)
        samples = (np.sin(2 * np.pi * 200 * t / RATE) * HUM).astype(np.int16)
        samples[: RATE * CLICK_MS // 1000] = 20000
        parts.append(samples)
    return np.concatenate(parts).tobytes() if parts else b""


class ClickTTS(TTSService):
    """Clicks at word starts, with Pipecat's word timestamps."""

    TELLS_FIRST = False
    """Whether word times come ahead of their sound, or behind it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            push_text_frames=False,
            push_start_frame=True,
            push_stop_frames=True,
            sample_rate=RATE,
            settings=TTSSettings(model="clicks", voice="clicks", language=None),
            **kwargs,
        )
        self._offsets: dict[str, float] = {}
        self._spoken = 0

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        words = text.split()
        offset = self._offsets.get(context_id, 0.0)
        pcm = click_pcm(len(words), self._spoken)
        times = []
        for index, word in enumerate(words, self._spoken):
            times.append((word, offset))
            offset += word_ms(index) / 1000
        self._spoken += len(words)
        self._offsets[context_id] = offset
        if self.TELLS_FIRST:
            await self.add_word_timestamps(times, context_id)
        block = RATE // 10 * 2
        for start in range(0, len(pcm), block):
            yield TTSAudioRawFrame(pcm[start : start + block], RATE, 1, context_id=context_id)
        if not self.TELLS_FIRST:
            await self.add_word_timestamps(times, context_id)


class ForetoldClickTTS(ClickTTS):
    """However slow the machine, what is heard is known by name: its words come ahead of it."""

    TELLS_FIRST = True


class PlainTTS(TTSService):
    """Tone bursts for words, without word times: its words are estimated."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            push_text_frames=True,
            push_start_frame=True,
            push_stop_frames=True,
            sample_rate=RATE,
            settings=TTSSettings(model="plain", voice="plain", language=None),
            **kwargs,
        )

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        seconds = 0.06 * len(text)
        t = np.arange(int(RATE * seconds)) / RATE
        tone = (np.sin(2 * np.pi * 300 * t) * 8000).astype(np.int16)
        yield TTSAudioRawFrame(tone.tobytes(), RATE, 1, context_id=context_id)


class ScriptedLLM(LLMService):
    """Answers ``say N``, ``twice N`` and anything else with one word."""

    def __init__(self, **kwargs: Any) -> None:
        fields: dict[str, Any] = {
            f.name: None for f in dataclasses.fields(LLMSettings) if f.name != "extra"
        }
        super().__init__(settings=LLMSettings(**fields), **kwargs)
        self._said = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._answer(frame.context)
        else:
            await self.push_frame(frame, direction)

    async def _answer(self, context: LLMContext) -> None:
        said = [m for m in context.get_messages() if m.get("role") == "user"]
        verb, _, count = str(said[-1]["content"] if said else "say 1").partition(" ")
        number = int(count) if count.isdigit() else 1
        for part in range(2 if verb == "twice" else 1):
            await self.push_frame(LLMFullResponseStartFrame())
            words = [f"w{self._said + i}" for i in range(number)]
            self._said += number
            for word in words[:-1]:
                await self.push_frame(LLMTextFrame(word + " "))
            await self.push_frame(LLMTextFrame(words[-1] + ". "))
            await self.push_frame(LLMFullResponseEndFrame())
            if part == 0 and verb == "twice":
                await asyncio.sleep(0.02)  # real time: slow


def make_bot(contexts: list[LLMContext] | None = None, *, tts: type[TTSService] = ClickTTS) -> Any:
    """The bot; every session's context is appended to ``contexts``."""

    async def bot(session: BotSession) -> None:
        context = LLMContext()
        if contexts is not None:
            contexts.append(context)
        user, assistant = session.aggregators(context, vad_analyzer=None)
        await session.run(
            [session.input(), user, ScriptedLLM(), tts(), session.output(), assistant]
        )

    return bot
