"""A bot that speaks quickly, in any order of words and sound, and pushes whatever it is given."""

import dataclasses
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, TTSSettings
from pipecat.services.tts_service import TTSService

from voxwire_server import BotSession

RATE = 24000
Order = Literal["before", "after", "none"]


@dataclass
class Script:
    """What the bot does.

    Attributes:
        answers: What the model says to each text of the user; "Still here." to all others.
        order: Whether word times come before or after the first sound, or not at all.
        piece_ms: How long each piece of speech is.
        split: Makes the pieces of a sentence.
        own_spaces: Whether the pieces bring their own spaces.
        mute: Sentences for which the voice gives word times and no sound.
        odd: Frames that are pushed once, behind the first sound of the first answer.
    """

    answers: dict[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    order: Order = "after"
    piece_ms: int = 20
    split: Callable[[str], list[str]] = str.split
    own_spaces: bool = False
    mute: set[str] = field(default_factory=set[str])
    odd: Callable[[], list[Frame]] = list[Frame]
    session: BotSession | None = None
    context: LLMContext = field(default_factory=LLMContext)

    def answers_kept(self) -> list[str]:
        """What the assistant said, as the model will read it."""
        messages: list[Any] = self.context.get_messages()
        return [str(m["content"]) for m in messages if m["role"] == "assistant"]


class _Model(LLMService):
    def __init__(self, script: Script) -> None:
        fields: dict[str, Any] = {
            f.name: None for f in dataclasses.fields(LLMSettings) if f.name != "extra"
        }
        super().__init__(settings=LLMSettings(**fields))
        self._script = script

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        asked: list[Any] = [m for m in frame.context.get_messages() if m["role"] == "user"]
        await self.push_frame(LLMFullResponseStartFrame())
        for token in self._script.answers.get(str(asked[-1]["content"]), ["Still here."]):
            await self.push_frame(LLMTextFrame(token))
        await self.push_frame(LLMFullResponseEndFrame())


class _Voice(TTSService):
    def __init__(self, script: Script) -> None:
        super().__init__(
            push_text_frames=script.order == "none",
            push_start_frame=True,
            push_stop_frames=True,
            sample_rate=RATE,
            settings=TTSSettings(model="quick", voice="quick", language=None),
        )
        self._script = script

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        script, length = self._script, RATE * self._script.piece_ms // 1000
        pieces = script.split(text)
        times = [(piece, at * script.piece_ms / 1000) for at, piece in enumerate(pieces)]
        spaces = {"includes_inter_frame_spaces": True} if script.own_spaces else {}
        sound = (np.sin(np.arange(length * len(pieces)) / 9) * 8000).astype(np.int16).tobytes()
        if script.order == "before":
            await self.add_word_timestamps(times, context_id, **spaces)
        for at in range(0, 0 if text in script.mute else len(sound), length * 2):
            yield TTSAudioRawFrame(sound[at : at + length * 2], RATE, 1, context_id=context_id)
        if script.order == "after":
            await self.add_word_timestamps(times, context_id, **spaces)


class _Injector(FrameProcessor):
    """Stands before the output."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script: Script | None = script

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame) and self._script is not None:
            script, self._script = self._script, None
            for odd in script.odd():
                if isinstance(odd, TTSTextFrame):
                    odd.context_id = frame.context_id
                await self.push_frame(odd)


def odd_bot(script: Script) -> Any:
    """The bot of a script."""

    async def bot(session: BotSession) -> None:
        script.session = session
        user, assistant = session.aggregators(script.context, vad_analyzer=None)
        model, voice = _Model(script), _Voice(script)
        await session.run(
            [session.input(), user, model, voice, _Injector(script), session.output(), assistant]
        )

    return bot
