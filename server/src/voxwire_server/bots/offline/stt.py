"""Speech recognition for the offline bot, gated by the pipeline's voice activity.

A grammar comes first; free English second, where it is installed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import numpy as np
import soxr
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601

from voxwire_server.bots.offline.decoders import (
    MIN_SCORE,
    SAMPLE_RATE,
    SLICE_BYTES,
    Decoder,
    DecoderPool,
    Heard,
    shared_decoders,
)
from voxwire_server.bots.offline.ears import EarsClient, Guess, have_ears, shared_ears
from voxwire_server.bots.offline.extras import MissingExtraError
from voxwire_server.bots.offline.hearing import Speaker, is_unfinished, settled
from voxwire_server.bots.offline.helper import HelperError
from voxwire_server.bots.offline.intents import UNKNOWN_TEXT, unknown_shown
from voxwire_server.bots.offline.pauses import Pause

__all__ = ["SphinxSTTService"]

_BYTES_PER_MS = SAMPLE_RATE // 1000 * 2
_SLICE_MS = SLICE_BYTES // _BYTES_PER_MS
_MAX_UTTERANCE_S = 30.0
# End of speech to final transcript, voice activity's own 200 ms included.
_TTFS_P99_S = 0.35
_EARS_S = 3.0
_FIRST_EARS_S = 8.0
"""Who speaks first waits for the ears to start, too."""
_SILENT_MS = 160
"""What was silence for certain when voice activity stopped; what lay before it was heard."""
_NOTHING = Heard("", float("-inf"))


class _Utterance:
    """The audio of one stretch of speech, cut into slices as it arrives."""

    def __init__(self, before: bytes) -> None:
        self._slices: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._rest = b""
        self.audio = bytearray()
        self.pause = Pause()
        self.guess: asyncio.Task[Guess] | None = None
        self.feed(before)

    def feed(self, pcm: bytes) -> None:
        """Add audio: int16 mono PCM at the decoder's rate."""
        self.audio += pcm
        pcm = self._rest + pcm
        whole = len(pcm) // SLICE_BYTES * SLICE_BYTES
        for at in range(0, whole, SLICE_BYTES):
            self._slices.put_nowait(pcm[at : at + SLICE_BYTES])
        self._rest = pcm[whole:]

    def end(self) -> None:
        """Say that no audio follows."""
        if self._rest:
            self._slices.put_nowait(self._rest)
            self._rest = b""
        self._slices.put_nowait(None)

    @property
    def is_behind(self) -> bool:
        """Whether slices wait: it is what the user said a while ago."""
        return not self._slices.empty()

    def forget_guess(self) -> None:
        """End what the ears do for it, if they do."""
        guess, self.guess = self.guess, None
        if guess is not None and not guess.cancel() and not guess.cancelled():
            guess.exception()  # taken note of

    async def slices(self) -> AsyncGenerator[bytes]:
        """Yield slices until the end; lets other tasks run between two of them."""
        while (piece := await self._slices.get()) is not None:
            yield piece
            await asyncio.sleep(0)


class SphinxSTTService(STTService):
    """Recognises the phrases of ``intents`` with pocketsphinx, other English with whisper tiny.en.

    Expects voice-activity frames from an analyzer further down the pipeline (the user aggregator).
    Emits interim transcripts while the user speaks, then exactly one final one an utterance:
    the phrase; what the ears heard, if the speech fits no phrase well enough; or ``UNKNOWN_TEXT``
    when they do not understand it either, or are not installed: people are shown the nearest
    phrases then, the context holds the mark alone. Speech that stops
    in the middle of a phrase is kept for ``resume_ms``: if the user goes on, it is one utterance.
    """

    def __init__(
        self,
        *,
        pool: DecoderPool | None = None,
        min_score: float = MIN_SCORE,
        preroll_ms: int = 800,
        resume_ms: int = 1200,
        interim_ms: int = 200,
        ears: EarsClient | bool = True,
        **kwargs: Any,
    ) -> None:
        """Make a recogniser; it borrows a decoder only while its user speaks.

        Args:
            pool: Where decoders come from; the event loop's shared pool by default.
            min_score: Reject what scores lower (log-likelihood per 10 ms frame).
            preroll_ms: Audio kept from before voice activity fires, which is about 300 ms after
                speech begins; below 400 ms words are lost.
            resume_ms: How long an unfinished phrase waits for the rest.
            interim_ms: The least audio between two interim transcripts.
            ears: What is asked when the grammar does not understand; True is the event loop's
                shared ones if their extra is installed, False is nobody.
            **kwargs: Passed to ``STTService``.
        """
        kwargs.setdefault("ttfs_p99_latency", _TTFS_P99_S)
        kwargs.setdefault("settings", STTSettings(model="pocketsphinx", language=Language.EN_US))
        super().__init__(**kwargs)
        self._pool = pool
        self._min_score = min_score
        self._preroll_bytes = preroll_ms * _BYTES_PER_MS
        self._resume_ms = resume_ms
        self._interim_slices = max(1, interim_ms // _SLICE_MS)
        self._recent = bytearray()
        self._utterance: _Utterance | None = None
        self._unfinished: bytearray | None = None
        self._resume_task: asyncio.Task[None] | None = None
        self._listeners: set[asyncio.Task[None]] = set()
        self._speaker: str | None = None
        self._resampler: Any = None
        self._nearest = ""
        self._ears: EarsClient | None = None if isinstance(ears, bool) else ears
        self._has_ears = bool(ears) and (self._ears is not None or have_ears())
        self._pricked: asyncio.Task[None] | None = None
        self._how = Speaker()

    def take_rejected(self) -> str:
        """Return the phrase nearest to the speech rejected last, once; "" when there is none."""
        nearest, self._nearest = self._nearest, ""
        return nearest

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Take audio in; transcripts are pushed by the utterance's own task.

        Args:
            audio: int16 little-endian PCM, mono, at the pipeline's input rate.

        Yields:
            Nothing of interest.
        """
        pcm = self._to_decoder_rate(audio)
        self._recent += pcm
        del self._recent[: max(0, len(self._recent) - self._preroll_bytes)]
        if self._utterance is not None:
            self._utterance.feed(pcm)
        elif self._unfinished is not None:
            self._unfinished += pcm
        yield None

    def _to_decoder_rate(self, audio: bytes) -> bytes:
        if self.sample_rate == SAMPLE_RATE:
            return audio
        if self._resampler is None:
            self._resampler = soxr.ResampleStream(self.sample_rate, SAMPLE_RATE, 1, dtype="int16")
        return self._resampler.resample_chunk(np.frombuffer(audio, np.int16)).tobytes()

    async def _handle_vad_user_started_speaking(self, frame: VADUserStartedSpeakingFrame) -> None:
        await super()._handle_vad_user_started_speaking(frame)
        if self.is_muted or self._utterance is not None:
            return
        before = bytes(self._recent)
        if self._unfinished is not None:
            before, self._unfinished = bytes(self._unfinished), None
            await self._stop_waiting()
        self._utterance = _Utterance(before)
        listener = self.create_task(self._listen(self._utterance), "listen")
        self._listeners.add(listener)
        listener.add_done_callback(self._listeners.discard)
        if self._has_ears and self._pricked is None:  # they are ready when the user has spoken
            self._pricked = self.create_task(self._prick_ears(), "prick_ears")

    async def _prick_ears(self) -> None:
        ears = self._ears = self._ears or shared_ears()
        try:
            await ears.start()
        except (HelperError, MissingExtraError) as error:
            self._has_ears = False
            await self.push_error(f"the grammar hears alone: {error}")

    async def _handle_vad_user_stopped_speaking(self, frame: VADUserStoppedSpeakingFrame) -> None:
        await super()._handle_vad_user_stopped_speaking(frame)
        del self._recent[: max(0, len(self._recent) - _SILENT_MS * _BYTES_PER_MS)]
        if self._utterance is not None:
            utterance, self._utterance = self._utterance, None
            # What arrives while the decoder finishes belongs to an utterance that goes on.
            self._unfinished = utterance.audio
            utterance.end()

    async def _listen(self, utterance: _Utterance) -> None:
        """Decode one utterance as it is spoken, then say what it was."""
        heard, gave_up = _NOTHING, False
        pool = self._pool or shared_decoders()
        try:
            async with asyncio.timeout(_MAX_UTTERANCE_S), pool.lend() as decoder:
                heard = await self._decode(decoder, utterance)
        except TimeoutError:
            await self.push_error("speech went on for too long, or no decoder came free")
            gave_up = True
        else:
            if self._how.is_sure(heard):
                self._how.said(heard)
            elif self._has_ears:
                heard = await self._second_opinion(utterance, heard)
        finally:
            utterance.forget_guess()
        await self._finish(utterance, heard, gave_up=gave_up)

    async def _second_opinion(self, utterance: _Utterance, heard: Heard) -> Heard:
        """What was said, if the ears know; the grammar's own opinion if they fail."""
        ears = self._ears = self._ears or shared_ears()
        try:
            async with asyncio.timeout(_FIRST_EARS_S if ears.pid is None else _EARS_S):
                early = utterance.guess
                guess = await (early or ears.hear(bytes(utterance.audio)))
        except (HelperError, MissingExtraError, TimeoutError) as error:
            await self.push_error(f"the ears did not answer: {error or 'too late'}")
            return heard
        return settled(heard, guess, self._min_score)

    async def _decode(self, decoder: Decoder, utterance: _Utterance) -> Heard:
        decoder.start(self._speaker)
        count, shown = 0, ""
        async for piece in utterance.slices():
            decoder.feed(piece)
            self._listen_ahead(decoder, utterance, piece)
            count += 1
            if count % self._interim_slices == 0 and (text := decoder.partial()) not in ("", shown):
                shown = text
                await self._push_interim(text)
        heard = decoder.finish()
        if heard.score >= self._min_score:
            self._speaker = decoder.speaker
        return heard

    def _listen_ahead(self, decoder: Decoder, utterance: _Utterance, piece: bytes) -> None:
        """Ask the ears as soon as the user pauses, while voice activity waits for more to come.

        What they heard is forgotten when the user goes on.
        """
        pause, ears = utterance.pause, self._ears
        pause.feed(piece)
        if not pause.goes_on:
            utterance.forget_guess()
        elif (
            pause.begins
            and not utterance.is_behind
            and self._has_ears
            and ears is not None
            and ears.pid is not None
            and not self._how.is_sure(decoder.so_far())
        ):
            utterance.guess = asyncio.create_task(ears.hear(bytes(utterance.audio)))

    async def _finish(self, utterance: _Utterance, heard: Heard, *, gave_up: bool) -> None:
        if self._unfinished is utterance.audio:
            unfinished = not heard.text or (heard.free and is_unfinished(heard.text))
            if unfinished and not gave_up:
                self._resume_task = self.create_task(self._wait_for_rest(heard), "wait_for_rest")
                return
            self._unfinished = None
        elif not gave_up:  # the user went on already: the next utterance carries this audio too
            return
        if self._utterance is utterance:
            self._utterance = None
        await self._push_final(heard)

    async def _wait_for_rest(self, heard: Heard) -> None:
        await asyncio.sleep(self._resume_ms / 1000)
        self._resume_task = None
        self._unfinished = None
        await self._push_final(heard)

    async def _stop_waiting(self) -> None:
        task, self._resume_task = self._resume_task, None
        if task is not None:
            await self.cancel_task(task)

    async def _push_interim(self, text: str) -> None:
        await self.push_frame(
            InterimTranscriptionFrame(text, self._user_id, time_now_iso8601(), Language.EN_US)
        )

    async def _push_final(self, heard: Heard) -> None:
        accepted = bool(heard.text) and heard.score >= self._min_score
        self._nearest = "" if accepted else heard.text
        if not accepted:
            heard = replace(heard, shown=unknown_shown(heard.text))
        frame = TranscriptionFrame(
            heard.text if accepted else UNKNOWN_TEXT,
            self._user_id,
            time_now_iso8601(),
            Language.EN_US,
            result=heard,
            finalized=True,
        )
        await self.push_frame(frame)

    async def stop(self, frame: EndFrame) -> None:
        """End with the pipeline.

        Args:
            frame: The end frame.
        """
        await super().stop(frame)
        await self._stop_listening()

    async def cancel(self, frame: CancelFrame) -> None:
        """End at once with the pipeline.

        Args:
            frame: The cancel frame.
        """
        await super().cancel(frame)
        await self._stop_listening()

    async def cleanup(self) -> None:
        """Leave no task behind."""
        await super().cleanup()
        await self._stop_listening()

    async def _stop_listening(self) -> None:
        self._utterance = self._unfinished = None
        await self._stop_waiting()
        pricked, self._pricked = self._pricked, None
        if pricked is not None:
            await self.cancel_task(pricked)
        for listener in list(self._listeners):
            await self.cancel_task(listener)
