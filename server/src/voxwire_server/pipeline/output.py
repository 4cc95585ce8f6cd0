"""The pipeline's output: places the bot's voice, and lets go of what was heard.

A Pipecat ``BaseOutputTransport`` without its media sender: audio is placed on the media clock the
moment it arrives and the session's path paces it, so nothing here waits for the network; every
frame behind the audio leaves when the listener has heard so far. Interruptions follow the recipe
that keeps the context exact: silence first, then the client's last report, then the heard words
as system frames, then the interruption.
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
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    VolumeFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from voxwire_protocol import wire
from voxwire_server.pipeline.alarm import Alarm
from voxwire_server.pipeline.drops import Drops
from voxwire_server.pipeline.output_frames import (
    BotStarts,
    CutTurn,
    FirstSound,
    HeardWord,
    app_message,
    copy_word,
    is_heard_behind,
)
from voxwire_server.pipeline.releasing import Releasing
from voxwire_server.pipeline.speech_models.model_output import LiveOutput
from voxwire_server.pipeline.speech_models.model_turns import AllSaid, is_live
from voxwire_server.pipeline.speech_models.model_words import LiveWord
from voxwire_server.pipeline.spoken_words import SpokenWords
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.voice_format import VoiceFormat
from voxwire_server.pipeline.voice_source import VoiceSource
from voxwire_server.playout.placed import MAX_BACKLOG_MS
from voxwire_server.session.session import Session

__all__ = ["SessionOutput"]

_NO_STOP_MS: Final = 3000
"""How long a synthesiser may be silent before what it said is taken for its whole utterance."""
_LOOK_AGAIN_MS: Final = 500
_ROOM_SECS: Final = 0.1
_KEPT_CUTS: Final = 32
_DOWN = FrameDirection.DOWNSTREAM


class SessionOutput(BaseOutputTransport):
    """Output of :class:`SessionTransport`.

    Args:
        session: The session whose listener hears this.
        params: Pipecat's transport parameters; a mixer is not supported.
    """

    def __init__(self, session: Session, params: TransportParams, **kwargs: Any) -> None:
        if params.audio_out_mixer is not None:
            raise ValueError("audio_out_mixer is not supported by Voxwire's transport")
        super().__init__(params, **kwargs)
        self._session = session
        self._playout = session.playout
        self._turns = session.turns
        self._drops = Drops(session)
        self.utterances = Utterances(
            session.emit, sample_rate=session.playout.sample_rate, dropped=self._drops.tell
        )
        self._releasing = Releasing[Frame | BotStarts | FirstSound](
            session,
            leave=self._leave,
            paused=lambda: self._cutting,
            late_ms=self._end_unstopped,
            drops=self._drops,
        )
        self._queue = self._releasing.queue
        self._sounded_ms = 0.0
        self._room = Alarm()
        self._task: asyncio.Task[None] | None = None
        rate, volume = session.playout.sample_rate, params.audio_out_volume
        self._voiced = VoiceSource(
            VoiceFormat(sample_rate=rate, volume=volume),
            place=self._place,
            refuse=self._refuse,
            guarded=lambda work: self._drops.guarded(work, "the end of the bot's voice"),
        )
        self._speaking = False
        self._cutting = False
        self._cuts = 0
        self._passes_audio = True
        self._last_word_ms = 0.0
        self._contexts: set[str] = set()
        self._cut_contexts: deque[str] = deque(maxlen=_KEPT_CUTS)
        self._writing: Callable[[], bool] = bool
        self._live = LiveOutput(
            self.utterances,
            sample_rate=session.playout.sample_rate,
            hold=self._hold_word,
            drop=self._queue.remove,
            heard_ms=lambda: self._playout.heard_ms(self._now()),
            cut_contexts=self._cut_contexts,
            dropped=self._drops.tell,
        )
        self._words = SpokenWords(
            self.utterances,
            hold=self._hold_word,
            end_ms=lambda: self._playout.end_ms,
            cut_contexts=self._cut_contexts,
        )

    def on_cut(self, told: Callable[[CutTurn], Awaitable[None]]) -> None:
        """Tell ``told`` of each turn of a speech-to-speech model that was cut, first of all."""
        self._live.on_cut = told

    def on_silence(self, writing: Callable[[], bool]) -> None:
        """Ask ``writing`` whether more is to be said before a silent voice is taken to be done."""
        self._writing = writing

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
            self._task = self._session.spawn(self._releasing.run())
        await self.push_frame(OutputTransportReadyFrame(), FrameDirection.UPSTREAM)

    async def cleanup(self) -> None:
        """Pipecat's tear-down."""
        self.utterances.close()
        self._live.close()
        self._voiced.cut()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        await super().cleanup()

    def heard_changed(self) -> None:
        """The listener's position moved."""
        self._releasing.ring()
        self._room.ring()

    def _now(self) -> float:
        return self._session.now_ms()

    # frames

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Place, hold or pass on a frame."""
        if isinstance(frame, InterruptionFrame) and direction == _DOWN:
            await self._interrupt(frame)
            return
        await FrameProcessor.process_frame(self, frame, direction)
        if isinstance(frame, TTSStoppedFrame | EndFrame) and direction == _DOWN:
            finish = self._drops.guarded(self._voiced.finish, frame)
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
            self._session.emit(app_message=app_message(frame.message))
        elif isinstance(frame, SystemFrame):
            await self.push_frame(frame, _DOWN)
        elif (self._cutting and frame.interruptible) or (
            isinstance(frame, TextFrame | AllSaid | TTSStoppedFrame) and self._live.take(frame)
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
            self._voiced.format.volume = frame.volume
        if frame.pts and not isinstance(frame, TTSStoppedFrame):
            position = self._last_word_ms
        else:
            position = float(self._playout.end_ms)
        if not len(self._queue) and position <= self._playout.heard_ms(self._now()):
            await self._let_go(frame)
            return
        self._releasing.hold(frame, position)

    # audio

    async def _audio(self, frame: OutputAudioRawFrame) -> None:
        if self._cutting and frame.interruptible:
            return
        cuts = self._cuts
        self._voiced.wait()
        context = frame.context_id if isinstance(frame, TTSAudioRawFrame) else None
        if not await self._has_room(live=context is None):
            return
        if cuts != self._cuts and frame.interruptible:
            return  # it waited while what it belongs to was cut
        if context in self._cut_contexts:
            return  # its synthesiser went on although it was interrupted
        placed = self._voiced.take(frame, context, spoken=isinstance(frame, TTSAudioRawFrame))
        if placed and self._passes_audio:
            self._releasing.hold(frame, float(self._playout.end_ms))

    def _place(self, context: str | None, pcm: bytes, *, spoken: bool) -> None:
        known = context is None or context in self._contexts
        start = self._playout.place(pcm, self._now(), new_stretch=not known, live=context is None)
        if context is not None:
            self._voice(context, start, pcm)
            self._live.audio(context, self._playout.to_ms(start), pcm)
        if spoken:
            self._time_answer(context or "", self._playout.to_ms(start), pcm, begins=not known)
        if self._session.path is not None:
            self._session.path.wake()

    def _refuse(self, reason: str) -> None:
        self._session.emit_error(wire.ErrorCode.ERROR_CODE_UNSUPPORTED_FORMAT, reason)

    async def _has_room(self, *, live: bool) -> bool:
        """Wait while too much is unheard; without reports only the clock tells that it is not.

        Sound that comes as it happens does not wait for a listener who cannot play.

        Returns:
            False when there is no room for such sound.
        """
        while self._playout.backlog_ms(self._now()) > MAX_BACKLOG_MS:
            if live and self._playout.heard.suspended:
                return self._playout.make_room()
            self._room.silence()
            await self._room.wait(_ROOM_SECS)
        return True

    def _voice(self, context: str, start: int, pcm: bytes) -> None:
        self._sounded_ms = self._now()
        start_ms, end_ms = self._playout.to_ms(start), self._playout.end_ms
        timed = self._words.timed(context)
        first = self.utterances.audio(context, start_ms, end_ms, pcm, timed=timed)
        if first or self._words.is_over(context):
            self._words.sounds(context)
        if first:
            self._contexts.add(context)
            self._releasing.hold(BotStarts(), float(start_ms))
            self._session.emit_state(self._session.state.bot_started(start_ms))

    def _time_answer(self, context: str, start_ms: int, pcm: bytes, *, begins: bool) -> None:
        if begins or not context:
            self._turns.bot_placed(context, start_ms, self._now(), self.utterances.turn_id)
        audible_ms = self._turns.sound(pcm, start_ms, self._playout.sample_rate)
        if audible_ms is not None:
            self._releasing.hold(FirstSound(), audible_ms)

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
        now, waits = self._now(), list[float]()
        for utterance in self.utterances.open:
            if is_live(utterance.context_id):
                continue  # such a turn may have a pause of any length
            unheard_ms = self._playout.heard.eta_ms(utterance.end_ms, now)
            left_ms = max(unheard_ms, self._sounded_ms + _NO_STOP_MS - now)
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
            self._live.words.released(frame.context_id or "", frame.index)
        elif isinstance(frame, TTSStoppedFrame):
            await self._utterance_heard(frame.context_id or "")
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._session.emit_state(self._session.state.response_ended())
        elif isinstance(frame, OutputTransportMessageFrame):
            self._session.emit(app_message=app_message(frame.message))
            return
        elif isinstance(frame, OutputAudioRawFrame) and self._speaking:
            await self.push_frame(BotSpeakingFrame(), FrameDirection.UPSTREAM)
        await self.push_frame(frame, _DOWN)

    async def _utterance_heard(self, context: str) -> None:
        goes_on = self.utterances.get(context) is not None and not self._words.is_over(context)
        if goes_on and not is_live(context):
            return  # more of it came behind its stop: it has another end
        heard, source = self._playout.heard.at(self._now())
        completed = wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        self.utterances.end(context, completed, heard, source)
        self._contexts.discard(context)
        self._live.words.forget(context)
        if is_live(context):  # such a model has said all when it has spoken all
            self._session.state.response_ended()
        if not self.utterances.open:
            await self._bot_stopped()

    async def _bot_started(self) -> None:
        if not self._speaking:
            self._speaking = True
            await self.broadcast_frame(BotStartedSpeakingFrame)

    def _first_sound(self, source: wire.HeardSource) -> None:
        """A listener who reports says itself when it heard the first sound."""
        if source == wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK:
            metrics = self._turns.reached(self._now())
            if metrics is not None:
                self._session.emit(turn_metrics=metrics)

    async def _bot_stopped(self) -> None:
        self._session.emit_state(self._session.state.bot_stopped())
        if self._speaking:
            self._speaking = False
            await self.broadcast_frame(BotStoppedSpeakingFrame)

    # interruption and end

    async def _interrupt(self, frame: InterruptionFrame) -> None:
        self._cutting = self._live.cutting = True
        self._cuts += 1
        self._voiced.cut()
        self._turns.cut()
        try:
            try:
                await self._cut()
            except Exception as error:
                self._drops.tell("a part of an interruption", error)
                self.utterances.forget()
            await self._bot_stopped()
            self._last_word_ms = 0.0
            await FrameProcessor.process_frame(self, frame, _DOWN)
            await self.push_frame(frame, _DOWN)
        finally:
            self._cutting = self._live.cutting = False
            self._room.ring()

    async def _cut(self) -> None:
        """Silence, then what was heard: told to the client, pushed to the context."""
        speaking = self.utterances.open
        current = speaking[0].utterance_id if speaking else ""
        result = await self._session.flushes.flush(current)
        if result is None:
            result = self._playout.heard.at(self._now())
        heard, source = result
        if speaking:  # what the context has already is not taken back
            heard = max(heard, self._queue.released_ms + 1)
        void = self._contexts.union(self._live.words.contexts, self._words.contexts)
        self._words.cut()
        await self._release_heard(heard)
        interrupted = wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
        for utterance in speaking:
            self.utterances.end(utterance.context_id, interrupted, heard, source)
        self._cut_contexts.extend(void)
        self._contexts.clear()
        self._live.words.clear()
        for utterance in speaking:
            await self._live.tell_cut(utterance, heard)
        self._tell_interrupted(current)

    async def _release_heard(self, heard_ms: float) -> None:
        """Push the heard words ahead of the interruption; keep what must not be dropped."""
        for held in self._queue.take_all():
            item = held.item
            if isinstance(item, BotStarts | FirstSound):
                continue
            if isinstance(item, TTSTextFrame) and item.context_id:
                if held.media_ms < heard_ms:
                    await self.push_frame(copy_word(item, None, HeardWord), _DOWN)
            elif not item.interruptible:
                await self.push_frame(item, _DOWN)

    def _tell_interrupted(self, utterance_id: str) -> None:
        session = self._session
        if utterance_id:
            session.emit(
                interrupted=wire.Interrupted(
                    source=session.interruption_source, utterance_id=utterance_id
                )
            )
        session.interruption_source = wire.InterruptionSource.INTERRUPTION_SOURCE_USER

    async def _drain(self) -> None:
        """Wait until what was said is heard; words that were not heard by then are not let go."""
        left = await self._releasing.drain()
        heard = self._playout.heard_ms(self._now())
        for held in left:
            item = held.item
            unheard = isinstance(item, TTSTextFrame) and held.media_ms > heard
            if isinstance(item, Frame) and not unheard:
                await self._let_go(item)
