"""Bots made of plain frame processors: the client sees what their frames say, once.

A processor need not be one of Pipecat's services to recognise, to think or to speak; Pipecat's own
processors for LangChain and Strands are none.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import pytest
from pipecat.frames.frames import (
    Frame,
    InputDTMFFrame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.parallel_pipeline import ParallelPipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

import voxwire
from tests.support.clicks import RATE, ClickTTS, ScriptedLLM, click_pcm
from voxwire_server import BotSession
from voxwire_server.pipeline import plain, responses
from voxwire_server.testing import running_server

SAID = ["All ", "is ", "well."]


class Plain(FrameProcessor):
    """Passes frames on, unless ``take`` does something else with them."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not await self.take(frame):
            await self.push_frame(frame, direction)

    async def take(self, frame: Frame) -> bool:
        """True when the frame goes no further."""
        return False


class PlainSTT(Plain):
    """Hears a sentence in each key that is pressed."""

    async def take(self, frame: Frame) -> bool:
        if isinstance(frame, InputDTMFFrame):
            await self.push_frame(InterimTranscriptionFrame("what", "", "now"))
            await self.push_frame(TranscriptionFrame("what is up", "", "now"))
        return False


class Corrects(Plain):
    """Writes transcripts anew, as a spelling corrector does."""

    async def take(self, frame: Frame) -> bool:
        if isinstance(frame, TranscriptionFrame):
            await self.push_frame(TranscriptionFrame(frame.text.upper(), "", "now"))
            return True
        return False


class PlainLLM(Plain):
    """Answers with the frames of a model."""

    async def take(self, frame: Frame) -> bool:
        if isinstance(frame, LLMContextFrame):
            await self.push_frame(LLMFullResponseStartFrame())
            for text in SAID:
                await self.push_frame(LLMTextFrame(text))
            await self.push_frame(LLMFullResponseEndFrame())
            return True
        return False


class EndlessLLM(Plain):
    """Answers with text alone: no start, no end."""

    async def take(self, frame: Frame) -> bool:
        if isinstance(frame, LLMContextFrame):
            for text in SAID:
                await self.push_frame(LLMTextFrame(text))
            return True
        return False


class TwiceLLM(ScriptedLLM):
    """A service that pushes every frame of its answer twice."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        await super().push_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            await super().push_frame(frame, FrameDirection.UPSTREAM)

    async def _answer(self, context: LLMContext) -> None:
        await PlainLLM.take(self, LLMContextFrame(context))  # type: ignore[arg-type]


class Rewrites(Plain):
    """Writes an answer anew, as a filter between model and voice does."""

    async def take(self, frame: Frame) -> bool:
        if isinstance(frame, LLMTextFrame):
            await self.push_frame(LLMTextFrame(frame.text.lower()))
            return True
        return False


class PlainTTS(Plain):
    """Speaks what the model has written when that is complete."""

    starts = True
    stops = True
    names = True

    def __init__(self) -> None:
        super().__init__()
        self._text = ""

    async def take(self, frame: Frame) -> bool:
        if isinstance(frame, LLMTextFrame):
            self._text += frame.text
            if self._text.endswith("."):
                await self._speak(self._text)
                self._text = ""
            return True
        return False

    async def _speak(self, text: str) -> None:
        if self.starts:
            await self.push_frame(TTSStartedFrame())
        await self.push_frame(TTSAudioRawFrame(click_pcm(len(text.split())), RATE, 1))
        if self.names:
            await self.push_frame(TTSTextFrame(text, text_type="sentence"))
        if self.stops:
            await self.push_frame(TTSStoppedFrame())


class BareTTS(PlainTTS):
    """Pushes audio and text, and says neither where they begin nor where they end."""

    starts = stops = False


class Volume(Plain):
    """Makes new audio of another voice's, and forgets whose it was."""

    async def take(self, frame: Frame) -> bool:
        if isinstance(frame, TTSAudioRawFrame):
            await self.push_frame(TTSAudioRawFrame(frame.audio, frame.sample_rate, 1))
            return True
        return False


class Jingle(Plain):
    """Answers with a sound that is no speech."""

    async def take(self, frame: Frame) -> bool:
        if isinstance(frame, LLMContextFrame):
            await self.push_frame(OutputAudioRawFrame(click_pcm(1), RATE, 1))
            return True
        return False


class Talk:
    """What a client saw of one conversation."""

    def __init__(self, session: voxwire.Session, context: LLMContext) -> None:
        self.session = session
        self.context = context
        self.events: list[voxwire.Event] = []

    async def until(self, done: Callable[[voxwire.Event], bool]) -> None:
        """Collect what comes until an event of this kind."""
        async for event in self.session:
            self.events.append(event)
            if done(event):
                return

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def texts(self, kind: Any) -> list[str]:
        return [event.text for event in self.of(kind)]

    def states(self) -> list[str]:
        return [str(event.bot) for event in self.of(voxwire.StateChanged)]

    def messages(self) -> list[tuple[str, str]]:
        messages: list[Any] = self.context.get_messages()
        return [(m["role"], m["content"]) for m in messages]


@asynccontextmanager
async def talk(
    stt: Sequence[FrameProcessor], rest: Sequence[FrameProcessor], **settings: Any
) -> AsyncIterator[Talk]:
    context = LLMContext()

    async def bot(session: BotSession) -> None:
        user, assistant = session.aggregators(context, vad_analyzer=None)
        await session.run([session.input(), *stt, user, *rest, session.output(), assistant])

    async with (
        asyncio.timeout(60),
        running_server(bot, **settings) as server,
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        yield Talk(session, context)


def idle(event: voxwire.Event) -> bool:
    return isinstance(event, voxwire.StateChanged) and event.bot == voxwire.BotState.IDLE


async def answered(*rest: FrameProcessor, **settings: Any) -> Talk:
    """A question was typed and answered, and the bot is idle again."""
    async with talk([], rest, **settings) as seen:
        await seen.session.send_text("how are things?")
        await seen.until(
            lambda event: isinstance(event, voxwire.StateChanged) and event.bot == "thinking"
        )
        await seen.until(idle)
        return seen


WHOLE = [("user", "how are things?"), ("assistant", "All is well.")]


@pytest.mark.parametrize("corrects", [False, True])
async def test_a_plain_recogniser_is_seen_once(corrects: bool) -> None:
    stt = [PlainSTT(), Corrects()] if corrects else [PlainSTT()]
    async with talk(stt, [PlainLLM(), ClickTTS()]) as seen:
        await seen.session.send_message("dtmf", {"digits": "1"})
        await seen.until(lambda event: isinstance(event, voxwire.UserTranscript) and event.final)
        await seen.session.send_message("dtmf", {"digits": "2"})
        await seen.until(lambda event: isinstance(event, voxwire.UserTranscript) and event.final)
    assert seen.texts(voxwire.UserTranscript) == ["what", "what is up"] * 2


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no end is over after a short while, so that nobody waits for it here."""
    monkeypatch.setattr(plain, "_QUIET_SECS", 0.2)
    monkeypatch.setattr(responses, "ENDLESS_MS", 200)


@pytest.mark.parametrize(
    ("model", "voice"),
    [
        (PlainLLM, ClickTTS),
        (PlainLLM, PlainTTS),
        (EndlessLLM, PlainTTS),
        (EndlessLLM, BareTTS),
        (TwiceLLM, BareTTS),
    ],
)
async def test_an_answer_is_seen_whoever_writes_and_speaks_it(
    model: type[FrameProcessor], voice: type[FrameProcessor]
) -> None:
    seen = await answered(model(), voice())
    assert seen.texts(voxwire.BotResponseText) == SAID
    assert len(seen.of(voxwire.BotResponseStarted)) == 1
    assert len(seen.of(voxwire.BotResponseEnded)) == 1
    assert seen.texts(voxwire.BotWord) == ["All", "is", "well."]
    [end] = seen.of(voxwire.UtteranceEnded)
    assert (end.end, end.heard_words) == ("completed", 3)
    assert "speaking" in seen.states()
    assert seen.states()[-1] == "idle"
    if model is not EndlessLLM:  # no end, no message: so it is in Pipecat
        assert seen.messages() == WHOLE


async def test_an_answer_that_is_written_anew_is_seen_once() -> None:
    seen = await answered(PlainLLM(), Rewrites(), ClickTTS())
    assert seen.texts(voxwire.BotResponseText) == SAID
    assert seen.texts(voxwire.BotWord) == ["all", "is", "well."]


async def test_processors_within_a_parallel_pipeline_are_seen_once() -> None:
    seen = await answered(ParallelPipeline([PlainLLM(), PlainTTS()], [Plain()]))
    assert seen.texts(voxwire.BotResponseText) == SAID
    assert seen.texts(voxwire.BotWord) == ["All", "is", "well."]


async def test_audio_that_is_made_anew_belongs_to_the_voice_that_it_was_made_of() -> None:
    seen = await answered(PlainLLM(), ClickTTS(), Volume())
    assert len(seen.of(voxwire.UtteranceStarted)) == 1
    assert seen.texts(voxwire.BotWord) == ["All", "is", "well."]
    assert seen.messages() == WHOLE


async def test_an_answer_that_is_no_speech_ends_thinking_and_is_no_failure() -> None:
    seen = await answered(Jingle(), answer_timeout_ms=300)
    assert seen.states() == ["idle", "thinking", "idle"]
    assert not seen.of(voxwire.UtteranceStarted)
    assert not seen.of(voxwire.ErrorEvent)


async def test_an_answer_without_an_end_is_owed_until_a_stuck_voice_is_told() -> None:
    """It was over after two seconds, and nobody was told that the voice says nothing."""

    class Writes(Plain):
        async def take(self, frame: Frame) -> bool:
            if isinstance(frame, LLMContextFrame):
                await self.push_frame(LLMTextFrame("All is well. And"))
                return True
            return False

    class Stuck(ClickTTS):
        async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
            await asyncio.Event().wait()
            yield None

    seen = await answered(Writes(), Stuck(), answer_timeout_ms=900)
    assert seen.states() == ["idle", "thinking", "idle"]
    [error] = seen.of(voxwire.ErrorEvent)
    assert (error.code, error.retryable) == (voxwire.ErrorCode.SERVICE_FAILED, True)
    assert error.subject_id.startswith("Stuck")


async def test_langchain_processors_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipecat's own processor; of LangChain, which is not installed, it needs two names."""
    for name, kind in (("messages", "AIMessageChunk"), ("runnables", "Runnable")):
        module = ModuleType(f"langchain_core.{name}")
        setattr(module, kind, type(kind, (), {}))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "langchain_core", ModuleType("langchain_core"))
    from pipecat.processors.frameworks.langchain import LangchainProcessor

    monkeypatch.delitem(sys.modules, LangchainProcessor.__module__)

    class Chain:
        async def astream(self, *_: Any, **__: Any) -> AsyncIterator[str]:
            for text in SAID:
                yield text

    seen = await answered(LangchainProcessor(Chain()), ClickTTS())
    assert seen.texts(voxwire.BotResponseText) == SAID
    assert seen.texts(voxwire.BotWord) == ["All", "is", "well."]
    assert seen.states() == ["idle", "thinking", "speaking", "idle"]
    assert seen.messages() == WHOLE


async def test_a_measure_is_told_once() -> None:
    """Three services pass on what the first one measured."""

    class Measured(ScriptedLLM):
        def can_generate_metrics(self) -> bool:
            return True

        async def _answer(self, context: LLMContext) -> None:
            await self.start_ttfb_metrics()
            await self.stop_ttfb_metrics()
            await super()._answer(context)

    seen = await answered(Measured(), ClickTTS())
    told = [m for e in seen.of(voxwire.ServiceMetrics) for m in e.metrics]
    assert [m.kind for m in told if "Measured" in m.processor] == ["ttfb"]
