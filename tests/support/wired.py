"""A pipeline without a session: real parts on a port that notes what it is told, no socket."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from pipecat.frames.frames import (
    Frame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_server.capture.speech_end import VoiceTail
from voxwire_server.conversation.lane import Errand, Kind
from voxwire_server.conversation.states import ConversationState
from voxwire_server.conversation.turn_timer import TurnTimer
from voxwire_server.pipeline.bot import BotSession, run_bot
from voxwire_server.pipeline.wires import Wires
from voxwire_server.pipeline.words import OFFSET_KEY
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import Pipeline, SessionFacts

RATE = 16_000
"""Of audio both ways, Hz."""

Heard = tuple[float, wire.HeardSource]


def tone(duration_ms: int) -> bytes:
    """So much sound: int16 mono PCM."""
    t = np.arange(RATE * duration_ms // 1000)
    return (np.sin(2 * np.pi * 300 * t / RATE) * 8000).astype(np.int16).tobytes()


class FakeVoice:
    """The bot's voice with a listener who hears it in time, or not at all while there is no path.

    Attributes:
        path: What carries it; None = nothing.
        waits: Whether it waits for a listener who is away.
        flushed: The utterances that were cut.
        report: What the listener answers to a flush; None = an estimate, at once.
    """

    def __init__(self, port: FakePort) -> None:
        self.playout = Playout(sample_rate=RATE)
        self.path: object | None = None
        self.waits = self.suspended = False
        self.flushed: list[str] = []
        self.report: asyncio.Future[float] | None = None
        self._clock = port.clock
        self._changed = asyncio.Event()

    def attach(self) -> None:
        """A path carries the voice from here on."""
        self.path = object()
        self._changed.set()
        self.playout.attach(self._clock.now_ms(), reports=False)
        self._send()

    def detach(self) -> None:
        """Nothing carries it any more."""
        self.path = None
        self._changed.set()
        self.playout.detach(self._clock.now_ms())

    def _send(self) -> None:
        while self.path is not None and self.playout.take(RATE, self._clock.now_ms()) is not None:
            pass

    def place(
        self,
        pcm: bytes,
        *,
        new_stretch: bool,
        live: bool = False,
        announce: Callable[[int], object] | None = None,
    ) -> int:
        now_ms = self._clock.now_ms()
        start = self.playout.place(pcm, now_ms, new_stretch=new_stretch, live=live)
        if announce is not None:
            announce(start)
        self._send()
        return start

    async def flush(self, utterance_id: str) -> Heard | None:
        before = self.heard_at()
        cut = self.playout.flush(self._clock.now_ms())
        if cut is None:
            return None
        self.flushed.append(utterance_id)
        if self.report is not None:
            before = await self.report, wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
        self.playout.finish_flush(cut, self._clock.now_ms())
        return before

    def heard_at(self) -> Heard:
        return self.playout.heard.at(self._clock.now_ms())

    def heard_ms(self) -> float:
        return self.heard_at()[0]

    def eta_ms(self, media_ms: float) -> float:
        return self.playout.heard.eta_ms(media_ms, self._clock.now_ms())

    def backlog_ms(self) -> float:
        return self.playout.backlog_ms(self._clock.now_ms())

    def give_up(self) -> None:
        """It has waited for long enough."""
        self.waits = False
        self._changed.set()

    async def changed(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class FakeLane:
    """Does at once what is put into it."""

    def __init__(self, port: FakePort) -> None:
        self._port = port
        self.put_kinds: list[Kind] = []

    def put(self, kind: Kind, run: Callable[[Errand], Awaitable[None]]) -> None:
        self.put_kinds.append(kind)

        async def serve() -> None:
            await run(Errand(kind, run))

        self._port.spawn(serve())


class FakeTools:
    """Notes what the pipeline says of tool calls."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.calls = self.reports = self

    def called(self, call_id: str, name: str, *_: Any, response_id: str) -> None:
        self.told.append(("called", call_id, name, response_id))

    started = called

    def ended_elsewhere(self, call_id: str, *_: Any) -> None:
        self.told.append(("ended", call_id))

    ended = ended_elsewhere

    def interrupted(self) -> None:
        self.told.append(("interrupted",))

    def open_calls(self) -> list[Any]:
        return []

    snapshot = open_calls


@dataclass
class Wired:
    """A pipeline's wires, and what is at their other end."""

    port: FakePort = field(default_factory=FakePort)
    state: ConversationState = field(default_factory=ConversationState)
    tools: FakeTools = field(default_factory=FakeTools)
    answer_timeout_ms: int = 0
    started: "asyncio.Future[Pipeline]" = field(default_factory=asyncio.Future)
    audio_lost_ms: float = 0.0
    num_changes: int = 0

    def __post_init__(self) -> None:
        self.voice = FakeVoice(self.port)
        self.voice.attach()
        self.lane = FakeLane(self.port)
        self.wires = Wires(
            port=self.port,
            session_id="s",
            facts=SessionFacts(),
            audio_in_sample_rate=RATE,
            audio_out_sample_rate=RATE,
            answer_timeout_ms=self.answer_timeout_ms,
            voice=cast(Any, self.voice),
            speech_end=VoiceTail(sample_rate=RATE),
            state=self.state,
            emit_state=self._emit_state,
            turns=TurnTimer(),
            tools=cast(Any, self.tools),
            requests=cast(Any, SimpleNamespace()),
            lane=cast(Any, self.lane),
            over=lambda: self.port.over,
            attached=lambda: True,
            may_answer=lambda: True,
            audio_lost=self._audio_lost,
            started=self._started,
            changed=self._changed,
        )

    def _emit_state(self, change: wire.StateChanged | None) -> None:
        if change is not None:
            self.port.emit(state_changed=change)

    def _audio_lost(self, lost_ms: float) -> None:
        self.audio_lost_ms += lost_ms

    def _changed(self) -> None:
        self.num_changes += 1

    def _started(self, pipeline: Pipeline) -> None:
        self.started.set_result(pipeline)
        self._emit_state(self.state.ready())

    @contextlib.asynccontextmanager
    async def running(
        self, *processors: FrameProcessor, behind: Sequence[FrameProcessor] = ()
    ) -> AsyncGenerator[Pipeline]:
        """A pipeline runs until the block ends: before the output, and behind it."""

        async def bot(session: BotSession) -> None:
            self.session = session
            await session.run([session.input(), *processors, session.output(), *behind])

        running = asyncio.ensure_future(run_bot(bot, BotSession(self.wires)))
        try:
            yield await self.started
        finally:
            await self.started.result().end()
            await running


class Speaker(FrameProcessor):
    """A synthesiser that speaks what a test has it speak."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)

    async def begin(self, context: str, duration_ms: int) -> None:
        """Speak a context's first so many milliseconds."""
        await self.push_frame(TTSStartedFrame(context_id=context))
        await self.push_frame(TTSAudioRawFrame(tone(duration_ms), RATE, 1, context_id=context))

    async def words(self, context: str, *words: tuple[str, int]) -> None:
        """Words of a context, each with the time from its first sample, ms."""
        for word, start_ms in words:
            frame = TTSTextFrame(word, TextType.WORD)
            frame.context_id = context
            frame.metadata[OFFSET_KEY] = start_ms
            await self.push_frame(frame)

    async def end(self, context: str) -> None:
        """All of the context is said."""
        await self.push_frame(TTSStoppedFrame(context_id=context))


class Behind(FrameProcessor):
    """Notes what comes down to it, and when.

    Attributes:
        seen: Every frame, with its moment in ms from the first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, Frame]] = []
        self._since_ms: float | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        now_ms = asyncio.get_running_loop().time() * 1000
        self._since_ms = now_ms if self._since_ms is None else self._since_ms
        if direction is FrameDirection.DOWNSTREAM:
            self.seen.append((now_ms - self._since_ms, frame))
        await self.push_frame(frame, direction)

    def when(self, kind: type[Frame]) -> list[int]:
        """When frames of a kind came, ms."""
        return [round(at_ms) for at_ms, frame in self.seen if isinstance(frame, kind)]
