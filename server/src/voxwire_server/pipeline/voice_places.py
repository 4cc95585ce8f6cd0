"""Where the bot's audio gets its place on the media clock, and what is told and timed by it."""

import math
from collections.abc import Callable, Container

from pipecat.frames.frames import OutputAudioRawFrame, TTSAudioRawFrame

from voxwire_protocol import wire
from voxwire_server.pipeline.alarm import Alarm
from voxwire_server.pipeline.drops import Drops
from voxwire_server.pipeline.output_frames import BotStarts, FirstSound
from voxwire_server.pipeline.speech_models.model_output import LiveOutput
from voxwire_server.pipeline.spoken_words import SpokenWords
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.voice_format import VoiceFormat
from voxwire_server.pipeline.voice_source import VoiceSource
from voxwire_server.pipeline.wires import Wires
from voxwire_server.playout.placed import MAX_BACKLOG_MS

__all__ = ["VoicePlaces"]


class VoicePlaces:
    """Places the bot's audio frames, as soon as there is room.

    Args:
        wires: Of the pipeline to its session.
        drops: Tells of audio that could not be placed.
        utterances: What the bot says.
        words: Its words, which wait for their sound.
        model: The words of a model that speaks by itself.
        hold: Keeps a mark until its position, ms, is heard.
        cut_contexts: Contexts of which nothing is wanted any more.
        began: Rung when an utterance has begun.
        volume: Of all audio, 1 = as it is.
    """

    def __init__(
        self,
        wires: Wires,
        *,
        drops: Drops,
        utterances: Utterances,
        words: SpokenWords,
        model: LiveOutput,
        hold: Callable[[BotStarts | FirstSound, float], None],
        cut_contexts: Container[str | None],
        began: Alarm,
        volume: float,
    ) -> None:
        self._wires = wires
        self._voice = wires.voice
        self._playout = wires.voice.playout
        self._utterances = utterances
        self._words = words
        self._model = model
        self._hold = hold
        self._cut_contexts = cut_contexts
        self._began = began
        self._room = Alarm()
        self._cuts = 0
        self._source = VoiceSource(
            VoiceFormat(sample_rate=self._playout.sample_rate, volume=volume),
            place=self._place,
            refuse=self._refuse,
            guarded=lambda work: drops.guarded(work, "the end of the bot's voice"),
        )
        self.contexts: set[str] = set()
        """Contexts that have sounded and not ended."""
        self.sounded_ms = 0.0
        """When the last of their audio was placed."""

    def set_volume(self, volume: float) -> None:
        """Play what comes from here on at another volume."""
        self._source.format.volume = volume

    def finish(self, context: str | None) -> None:
        """No more audio of a context comes: place the last of it."""
        self._source.finish(context)

    def cut(self) -> None:
        """The bot is cut off: what waits for room is void, and what a resampler holds back."""
        self._cuts += 1
        self._source.cut()

    def ring(self) -> None:
        """The listener's position moved, or an interruption is over: there may be room."""
        self._room.ring()

    def close(self) -> None:
        """The pipeline is torn down."""
        self._source.cut()

    async def take(self, frame: OutputAudioRawFrame) -> bool:
        """Place a frame, or as much of it as is whole.

        Returns:
            Whether any audio was placed.
        """
        cuts = self._cuts
        self._source.wait()
        context = frame.context_id if isinstance(frame, TTSAudioRawFrame) else None
        if not await self._has_room(live=context is None):
            return False
        if cuts != self._cuts and frame.interruptible:
            return False  # it waited while what it belongs to was cut
        if context in self._cut_contexts:
            return False  # its synthesiser went on although it was interrupted
        return self._source.take(frame, context, spoken=isinstance(frame, TTSAudioRawFrame))

    async def _has_room(self, *, live: bool) -> bool:
        """Wait while too much is unheard.

        Sound that comes as it happens does not wait for a listener who cannot play.

        Returns:
            False when there is no room for such sound.
        """
        while self._voice.backlog_ms() > MAX_BACKLOG_MS:
            if live and self._playout.heard.suspended:
                return self._playout.make_room()
            self._room.silence()
            room_ms = self._voice.eta_ms(self._playout.end_ms - MAX_BACKLOG_MS)
            await self._room.wait(None if math.isinf(room_ms) else max(1.0, room_ms) / 1000)
        return True

    def _place(self, context: str | None, pcm: bytes, *, spoken: bool) -> None:
        known = context is None or context in self.contexts

        def announce(start: int) -> None:
            start_ms = self._playout.to_ms(start)
            if context is not None:
                self._sounds(context, start_ms, pcm)
                self._model.audio(context, start_ms, pcm)
            if spoken:
                self._time_answer(context or "", start_ms, pcm, begins=not known)

        self._voice.place(pcm, new_stretch=not known, live=context is None, announce=announce)

    def _refuse(self, reason: str) -> None:
        self._wires.port.emit_error(wire.ErrorCode.ERROR_CODE_UNSUPPORTED_FORMAT, reason)

    def _sounds(self, context: str, start_ms: int, pcm: bytes) -> None:
        self.sounded_ms = self._now()
        timed = self._words.timed(context)
        first = self._utterances.audio(context, start_ms, self._playout.end_ms, pcm, timed=timed)
        if first or self._words.is_over(context):
            self._words.sounds(context)
        if first:
            self.contexts.add(context)
            self._hold(BotStarts(), float(start_ms))
            self._wires.emit_state(self._wires.state.bot_started(start_ms))
            self._began.ring()

    def _time_answer(self, context: str, start_ms: int, pcm: bytes, *, begins: bool) -> None:
        turns = self._wires.turns
        if begins or not context:
            turns.bot_placed(context, start_ms, self._now(), self._utterances.turn_id)
        audible_ms = turns.sound(pcm, start_ms, self._playout.sample_rate)
        if audible_ms is not None:
            self._hold(FirstSound(), audible_ms)

    def _now(self) -> float:
        return self._wires.port.clock.now_ms()
