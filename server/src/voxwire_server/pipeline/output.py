"""The pipeline's output: places the bot's voice, and lets go of what was heard.

A Pipecat ``BaseOutputTransport`` without its media sender: audio is placed on the media clock the
moment it arrives and the session's path paces it, so nothing here waits for the network; every
frame behind the audio leaves when the listener has heard so far. Interruptions follow the recipe
of :mod:`cutting`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    OutputTransportReadyFrame,
    StartFrame,
    SystemFrame,
    TextFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    VolumeFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from voxwire_protocol import wire
from voxwire_server.pipeline.alarm import Alarm
from voxwire_server.pipeline.contexts import is_live
from voxwire_server.pipeline.cutting import Cutting
from voxwire_server.pipeline.drops import Drops
from voxwire_server.pipeline.following import UserAudio
from voxwire_server.pipeline.output_frames import (
    BotStarts,
    CutTurn,
    FirstSound,
    is_heard_behind,
    source_of,
)
from voxwire_server.pipeline.releasing import OnItsWay, Releasing
from voxwire_server.pipeline.speech_models.model_output import LiveOutput
from voxwire_server.pipeline.speech_models.model_turns import AllSaid
from voxwire_server.pipeline.speech_models.model_words import LiveWord
from voxwire_server.pipeline.spoken_words import SpokenWords
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.voice_places import VoicePlaces
from voxwire_server.pipeline.wires import Wires

__all__ = ["SessionOutput"]

_NO_STOP_MS: Final = 3000
"""How long a synthesiser may be silent before what it said is taken for its whole utterance."""
_LOOK_AGAIN_MS: Final = 500
_KEPT_CUTS: Final = 32
_DOWN = FrameDirection.DOWNSTREAM


class SessionOutput(BaseOutputTransport):
    """Output of :class:`SessionTransport`.

    Args:
        wires: Of the pipeline to its session.
        params: Pipecat's transport parameters; a mixer is not supported.
        drops: Tells of frames that could not be used.
        utterances: What the bot says, as the client is told.
        began: Rung when an utterance has begun, and when an interruption has ended some.
        on_its_way: Follows the words that were let go.
        cut_turn: Told of each turn of a speech-to-speech model that was cut, first of all.
        writing: Asked whether more is to be said before a silent voice is taken to be done.
        tell: Sends a message of the pipeline's own to the client's application.
    """

    def __init__(
        self,
        wires: Wires,
        params: TransportParams,
        *,
        drops: Drops,
        utterances: Utterances,
        began: Alarm,
        on_its_way: OnItsWay,
        cut_turn: Callable[[CutTurn], Awaitable[None]],
        writing: Callable[[], bool],
        tell: Callable[[Any], None],
        **kwargs: Any,
    ) -> None:
        if params.audio_out_mixer is not None:
            raise ValueError("audio_out_mixer is not supported by Voxwire's transport")
        super().__init__(params, **kwargs)
        self._wires = wires
        self._voice = wires.voice
        self._playout = wires.voice.playout
        self._drops = drops
        self._utterances = utterances
        self._on_its_way = on_its_way
        self._writing = writing
        self._tell = tell
        self._releasing = Releasing[Frame | BotStarts | FirstSound](
            wires.voice,
            wires.port.clock,
            leave=self._leave,
            paused=lambda: self._cutting,
            late_ms=self._end_unstopped,
            drops=drops,
        )
        self._queue = self._releasing.queue
        self._task: asyncio.Task[None] | None = None
        self._speaking = False
        self._cutting = False
        self._passes_audio = True
        self._last_word_ms = 0.0
        cut_contexts: deque[str] = deque(maxlen=_KEPT_CUTS)
        self._model = LiveOutput(
            utterances,
            sample_rate=self._playout.sample_rate,
            hold=self._hold_word,
            drop=self._queue.remove,
            heard_ms=self._voice.heard_ms,
            cut_contexts=cut_contexts,
            dropped=drops.tell,
        )
        self._model.on_cut = cut_turn
        self._words = SpokenWords(
            utterances,
            hold=self._hold_word,
            end_ms=lambda: self._playout.end_ms,
            cut_contexts=cut_contexts,
        )
        self._places = VoicePlaces(
            wires,
            drops=drops,
            utterances=utterances,
            words=self._words,
            model=self._model,
            hold=self._releasing.hold,
            cut_contexts=cut_contexts,
            began=began,
            volume=params.audio_out_volume,
        )
        self._began = began
        self._cut = Cutting(
            wires,
            utterances=utterances,
            words=self._words,
            model=self._model,
            releasing=self._releasing,
            contexts=self._places.contexts,
            cut_contexts=cut_contexts,
            on_its_way=on_its_way,
            push=self.push_frame,
        )

    # life

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Pipecat's set-up; the session's rate is the output's rate."""
        await super().setup(setup)
        self._sample_rate = self._playout.sample_rate

    async def start(self, frame: StartFrame) -> None:
        """The pipeline started."""
        await super().start(frame)
        self._passes_audio = is_heard_behind(self)
        if self._task is None:
            self._task = self._wires.port.spawn(self._releasing.run())
        await self.push_frame(OutputTransportReadyFrame(), FrameDirection.UPSTREAM)

    async def cleanup(self) -> None:
        """Pipecat's tear-down."""
        self._utterances.close()
        self._model.close()
        self._places.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        await super().cleanup()

    def heard_changed(self) -> None:
        """The listener's position moved."""
        self._releasing.ring()
        self._places.ring()

    # frames

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Place, hold or pass on a frame."""
        if isinstance(frame, InterruptionFrame) and direction == _DOWN:
            await self._interrupt(frame)
            return
        await FrameProcessor.process_frame(self, frame, direction)
        if isinstance(frame, TTSStoppedFrame | EndFrame) and direction == _DOWN:
            finish = self._drops.guarded(self._places.finish, frame)
            finish(getattr(frame, "context_id", None))
        if direction != _DOWN:
            await self.push_frame(frame, direction)
        elif isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            await self.start(frame)
        elif isinstance(frame, EndFrame):
            await self._drain()
            await self.push_frame(frame, direction)
        else:
            try:
                await self._take(frame)
            except Exception as error:
                self._drops.tell(frame, error)

    async def _take(self, frame: Frame) -> None:
        """Place, hold or pass on what comes down between start and end."""
        if isinstance(frame, OutputAudioRawFrame):
            await self._audio(frame)
        elif isinstance(frame, OutputTransportMessageUrgentFrame):
            self._tell(frame.message)
        elif isinstance(frame, SystemFrame):
            if isinstance(frame, UserAudio):
                frame.passed()
            await self.push_frame(frame, _DOWN)
        elif (self._cutting and frame.interruptible) or (
            isinstance(frame, TextFrame | AllSaid | TTSStoppedFrame) and self._model.take(frame)
        ):
            return
        else:
            if isinstance(frame, TTSStoppedFrame):
                self._stopped(frame.context_id or "")
            if not self._words.take(frame):
                await self._hold(frame)

    def _stopped(self, context: str) -> None:
        """All sound of a context is placed: nothing that it says stands behind its end."""
        self._words.stops(context)
        end_ms = float(self._playout.end_ms)
        self._queue.pull_in(
            lambda item: isinstance(item, TTSTextFrame) and item.context_id == context, end_ms
        )
        self._last_word_ms = min(self._last_word_ms, end_ms)

    async def _hold(self, frame: Frame) -> None:
        """Keep a frame behind the audio (or the words) that came before it."""
        if isinstance(frame, VolumeFrame):
            self._places.set_volume(frame.volume)
        if frame.pts and not isinstance(frame, TTSStoppedFrame):
            position = self._last_word_ms
        else:
            position = float(self._playout.end_ms)
        if not len(self._queue) and position <= self._voice.heard_ms():
            await self._let_go(frame)
            return
        self._releasing.hold(frame, position)

    # audio

    async def _audio(self, frame: OutputAudioRawFrame) -> None:
        if (self._cutting and frame.interruptible) or not self._params.audio_out_enabled:
            return
        if await self._places.take(frame) and self._passes_audio:
            self._releasing.hold(frame, float(self._playout.end_ms))

    # words

    def _hold_word(self, frame: Frame, position: float) -> None:
        self._last_word_ms = max(self._last_word_ms, position)
        self._releasing.hold(frame, position)

    # release

    def _end_unstopped(self) -> float | None:
        """End what was heard whole though its synthesiser never said that it stopped.

        Returns:
            When to look again, ms; None = when something comes.
        """
        now, waits = self._wires.port.clock.now_ms(), list[float]()
        for utterance in self._utterances.open:
            if is_live(utterance.context_id):
                continue  # such a turn may have a pause of any length
            unheard_ms = self._voice.eta_ms(utterance.end_ms)
            left_ms = max(unheard_ms, self._places.sounded_ms + _NO_STOP_MS - now)
            if left_ms > 0:
                waits.append(left_ms)
            elif self._writing():  # whoever writes may be slow; the answer's deadline sees to it
                waits.append(_LOOK_AGAIN_MS)
            else:
                self._stopped(utterance.context_id)
                stop = TTSStoppedFrame(context_id=utterance.context_id)
                self._releasing.hold(stop, float(self._playout.end_ms))
        return min((ms for ms in waits if ms != float("inf")), default=None)

    async def _leave(self, item: Frame | BotStarts | FirstSound, source: wire.HeardSource) -> None:
        if isinstance(item, BotStarts):
            await self._bot_started()
        elif isinstance(item, FirstSound):
            self._first_sound(source)
        else:
            await self._let_go(item)

    async def _let_go(self, frame: Frame) -> None:
        if isinstance(frame, LiveWord):
            self._model.words.released(frame.context_id or "", frame.index)
        elif isinstance(frame, TTSStoppedFrame):
            await self._utterance_heard(frame.context_id or "")
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._wires.emit_state(self._wires.state.response_ended())
        elif isinstance(frame, OutputTransportMessageFrame):
            self._tell(frame.message)
            return
        elif isinstance(frame, OutputAudioRawFrame) and self._speaking:
            await self.push_frame(BotSpeakingFrame(), FrameDirection.UPSTREAM)
        self._on_its_way.left(frame)
        await self.push_frame(frame, _DOWN)
        if isinstance(frame, TTSTextFrame):  # a word was heard
            self._wires.changed()

    async def _utterance_heard(self, context: str) -> None:
        goes_on = self._utterances.get(context) is not None and not self._words.is_over(context)
        if goes_on and not is_live(context):
            return  # more of it came behind its stop: it has another end
        heard, source = self._voice.heard_at()
        completed = wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        self._utterances.end(context, completed, heard, source)
        self._places.contexts.discard(context)
        self._model.words.forget(context)
        if is_live(context):  # such a model has said all when it has spoken all
            self._wires.state.response_ended()
        if not self._utterances.open:
            await self._bot_stopped()

    async def _bot_started(self) -> None:
        if not self._speaking:
            self._speaking = True
            await self.broadcast_frame(BotStartedSpeakingFrame)

    def _first_sound(self, source: wire.HeardSource) -> None:
        """A listener who reports says itself when it heard the first sound."""
        if source == wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK:
            metrics = self._wires.turns.reached(self._wires.port.clock.now_ms())
            if metrics is not None:
                self._wires.port.emit(turn_metrics=metrics)

    async def _bot_stopped(self) -> None:
        self._wires.emit_state(self._wires.state.bot_stopped())
        if self._speaking:
            self._speaking = False
            await self.broadcast_frame(BotStoppedSpeakingFrame)

    # interruption and end

    async def _interrupt(self, frame: InterruptionFrame) -> None:
        self._cutting = self._model.cutting = True
        self._places.cut()
        self._wires.turns.cut()
        try:
            try:
                await self._cut.cut(source_of(frame))
            except Exception as error:
                self._drops.tell("a part of an interruption", error)
                self._drops.guarded(self._cut.end_all, "the end of what was cut")()
                self._utterances.forget()
            self._utterances.num_cuts += 1
            self._began.ring()
            await self._bot_stopped()
            self._last_word_ms = 0.0
            await FrameProcessor.process_frame(self, frame, _DOWN)
            await self.push_frame(frame, _DOWN)
        finally:
            self._cutting = self._model.cutting = False
            self._places.ring()

    async def _drain(self) -> None:
        """Wait until what was said is heard; words that were not heard by then are not let go."""
        left = await self._releasing.drain()
        heard = self._voice.heard_ms()
        for held in left:
            item = held.item
            unheard = isinstance(item, TTSTextFrame) and held.media_ms > heard
            if isinstance(item, Frame) and not unheard:
                await self._let_go(item)
