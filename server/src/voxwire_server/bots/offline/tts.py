"""Speech synthesis for the offline bot: hibari-tts with the times of its own words."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import numpy as np
import soxr
from pipecat.frames.frames import Frame, InterruptionFrame, TTSAudioRawFrame, TTSTextFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from voxwire_server.bots.offline.context_words import ContextWords, PlacedWord
from voxwire_server.bots.offline.voice import SAMPLE_RATE, PcmPiece, VoiceClient, shared_voice
from voxwire_server.bots.offline.voice_model import has_durations

__all__ = ["HibariTTSService"]

_NS_PER_S = 1_000_000_000
# Sentences end in silence, so every one is resampled on its own and flushed: no state crosses
# sentences, contexts or interruptions, and no sample is late.
_QUALITY = "HQ"


class HibariTTSService(TTSService):
    """Speaks with hibari-tts, about 70 times faster than real time, in a helper process.

    Every word frame carries ``metadata["word"]`` (see ``PlacedWord``): times from the first
    sample of its context's audio and a span of the context's text. They are the model's own
    (typically within 20 ms of the sound). ``pts`` is right as well, also for a context
    that queues behind a playing one, which stock Pipecat 1.14 places half a second early. A
    hibari-tts that does not show its durations gives no times; the pipeline estimates them then.
    """

    def __init__(
        self,
        *,
        speed: float = 1.0,
        gap_ms: int = 150,
        client: VoiceClient | None = None,
        **kwargs: Any,
    ) -> None:
        """Make a voice.

        Args:
            speed: 0.5 to 2; 1 is the voice's own.
            gap_ms: Silence after every sentence; the voice itself ends 40 ms after its sound.
            client: The helper's client; the event loop's shared one by default.
            **kwargs: Passed to ``TTSService``.
        """
        super().__init__(
            push_text_frames=not has_durations(),
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model="hibari-tts", voice="heart", language=None),
            **kwargs,
        )
        self._speed = speed
        self._gap_ms = gap_ms
        self._client = client
        self._contexts: dict[str, ContextWords] = {}
        self._playout_end_ns = 0

    def can_generate_metrics(self) -> bool:
        """Report time to first byte and the like.

        Returns:
            Always True.
        """
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak one sentence.

        Args:
            text: The sentence.
            context_id: The context whose audio it continues.

        Yields:
            Audio frames: int16 mono PCM at the pipeline's output rate.
        """
        await self.start_tts_usage_metrics(text)
        context = self._contexts.get(context_id)
        if context is None:
            context = self._contexts[context_id] = ContextWords(self.sample_rate)
        context.begin_sentence(text)
        client = self._client or shared_voice()
        resampler = _Resampler(self.sample_rate)
        spoken = 0
        due_ms = max(0.0, (self._playout_end_ns - self.get_clock().get_time()) / 1e6)
        said = client.synthesize(text, speed=self._speed, due_ms=due_ms)
        async with aclosing(said) as pieces:
            async for piece in pieces:
                if not isinstance(piece, PcmPiece):
                    await self._announce(context.place(piece, SAMPLE_RATE), context_id)
                elif audio := resampler.feed(piece.pcm):
                    spoken += len(audio) // 2
                    yield self._audio(audio, context_id)
        rest = resampler.flush() + bytes(self.sample_rate * self._gap_ms // 1000 * 2)
        spoken += len(rest) // 2
        if rest:
            yield self._audio(rest, context_id)
        context.add_audio(spoken)

    def _audio(self, pcm: bytes, context_id: str) -> TTSAudioRawFrame:
        return TTSAudioRawFrame(pcm, self.sample_rate, 1, context_id=context_id)

    async def _announce(self, word: PlacedWord, context_id: str) -> None:
        await self.add_word_timestamps([(word["text"], word["start_ms"] / 1000)], context_id)

    async def start_word_timestamps(self) -> None:
        """Place the words of the context whose audio starts now after everything before it.

        The base class starts a context at the later of now and the last word's *start*. With
        speech made faster than it plays, audio of an earlier context may still be playing then,
        so its end is what counts. (Reaches into Pipecat 1.14's tracker; a test guards it.)
        """
        tracker = self._word_timestamp_tracker
        if not tracker.started:
            tracker.last_pts = max(tracker.last_pts, self._playout_end_ns)
        await super().start_word_timestamps()

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame; word frames get their span, audio moves the end of playout.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        if isinstance(frame, TTSTextFrame) and frame.context_id in self._contexts:
            word = self._contexts[frame.context_id].take(frame.text)
            if word is not None:
                frame.metadata["word"] = word
        elif isinstance(frame, TTSAudioRawFrame):
            duration_ns = frame.num_frames * _NS_PER_S // frame.sample_rate
            self._playout_end_ns = (
                max(self._playout_end_ns, self.get_clock().get_time()) + duration_ns
            )
        await super().push_frame(frame, direction)

    async def _handle_interruption(
        self, frame: InterruptionFrame, direction: FrameDirection
    ) -> None:
        await super()._handle_interruption(frame, direction)
        # Not in ``on_audio_context_interrupted``: a fast voice's context has usually completed by
        # now, the hook is not called, and the next utterance would be placed after audio that never
        # played. Speech that may not be interrupted keeps playing and keeps its end.
        if not self.get_audio_contexts():
            self._contexts.clear()
            self._playout_end_ns = 0

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Forget a context when its last frame is out.

        Args:
            context_id: The context.
        """
        await super().on_audio_context_completed(context_id)
        self._contexts.pop(context_id, None)


class _Resampler:
    """The voice's rate to the pipeline's rate for one sentence, sample 0 staying sample 0."""

    def __init__(self, sample_rate: int) -> None:
        same = sample_rate == SAMPLE_RATE
        self._stream: Any = (
            None
            if same
            else soxr.ResampleStream(SAMPLE_RATE, sample_rate, 1, dtype="int16", quality=_QUALITY)
        )

    def feed(self, pcm: bytes) -> bytes:
        if self._stream is None:
            return pcm
        return self._stream.resample_chunk(np.frombuffer(pcm, np.int16)).tobytes()

    def flush(self) -> bytes:
        if self._stream is None:
            return b""
        return self._stream.resample_chunk(np.empty(0, np.int16), last=True).tobytes()
