"""Silero VAD for every session of the process: one model, run over a batch of streams.

A stock `SileroVADAnalyzer` loads its own copy of the model (60 ms on the event loop and 10 MB for
every session) and hops to its own thread for every block. Here the process holds one onnxruntime
session (:mod:`model`). Decisions are those of pipecat 1.14: the same windows, states, resets,
volume and thresholds.
"""

from __future__ import annotations

import asyncio
from collections import deque

from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState

from voxwire_server.pipeline.vad.model import (
    WINDOW_SAMPLES,
    SharedSileroVAD,
    Stream,
    shared_silero,
)
from voxwire_server.pipeline.vad.volume import SmoothedVolume

__all__ = ["PHONE_PARAMS", "BatchedSileroVADAnalyzer"]

PHONE_PARAMS = VADParams(start_secs=0.1, min_volume=0.0)
"""For a telephone: what a word leaves of itself at 8 kHz is shorter, and lines differ in loudness.

A "stop" of 0.2 to 0.35 s fires with these; with pipecat's own it mostly does not.
"""


class BatchedSileroVADAnalyzer(VADAnalyzer):
    """The VAD of one stream, in place of `pipecat.audio.vad.silero.SileroVADAnalyzer`.

    Takes int16 little-endian mono PCM at 8 or 16 kHz in blocks of any length. It costs nothing to
    make, starts no thread, and is owned and cleaned up by the pipeline like the stock one.

    Args:
        sample_rate: In Hz; None takes that of the pipeline.
        params: Thresholds and times; pipecat's defaults if None.
        model: The model to share; that of the process if None.
    """

    def __init__(
        self,
        *,
        sample_rate: int | None = None,
        params: VADParams | None = None,
        model: SharedSileroVAD | None = None,
    ) -> None:
        super().__init__(sample_rate=sample_rate, params=params)
        self._model = model or shared_silero()
        self._stream: Stream | None = None
        self._volume = SmoothedVolume()
        self._windows: deque[bytes] = deque()
        self._window = b""
        self._waiters: list[asyncio.Future[VADState]] = []
        self._queued = False

    def set_sample_rate(self, sample_rate: int) -> None:
        """Sets the sample rate; windows cut at another rate and not yet scored are dropped.

        Raises:
            ValueError: The rate is neither 8000 nor 16000 Hz.
        """
        rate = self._init_sample_rate or sample_rate
        if rate not in WINDOW_SAMPLES:
            raise ValueError(f"Silero VAD takes audio at 8000 or 16000 Hz, not {rate}")
        super().set_sample_rate(sample_rate)
        if self._stream is None or self._stream.sample_rate != rate:
            self._stream = Stream(rate)
            self._windows.clear()

    def num_frames_required(self) -> int:
        """Samples in a window of the model: 512 at 16 kHz, 256 at 8 kHz."""
        return WINDOW_SAMPLES[self.sample_rate]

    async def analyze_audio(self, buffer: bytes) -> VADState:
        """Takes a block of audio and says whether someone speaks at its end.

        Cancel-safe: the block is scored and counted all the same, as with a stock analyzer.
        """
        self._vad_buffer += buffer
        size = self._vad_frames_num_bytes
        if len(self._vad_buffer) < size:
            return self._vad_state
        while len(self._vad_buffer) >= size:
            self._windows.append(self._vad_buffer[:size])
            self._vad_buffer = self._vad_buffer[size:]
        if not self._model.loaded:
            await self._model.preload()
            if not self._windows:  # Cleaned up meanwhile.
                return self._vad_state
        waiter: asyncio.Future[VADState] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        if not self._queued:
            self._queued = True
            self._model.submit(self)
        return await waiter

    def voice_confidence(self, buffer: bytes) -> float:
        """Scores one window on the spot, alone. `analyze_audio` does not come here."""
        stream = self._load(buffer)
        confidence = self._model.score([stream])[0]
        stream.scored(confidence, quiet=self._vad_state == VADState.QUIET)
        return confidence

    async def cleanup(self) -> None:
        """Leaves the shared model; who still waits gets the last state."""
        self._windows.clear()
        self._model.detach(self)
        self._resolve()
        await super().cleanup()

    # What the batch calls.

    @property
    def has_window(self) -> bool:
        """Whether a window waits to be scored."""
        return bool(self._windows)

    def load_window(self) -> Stream:
        """Takes the oldest waiting window and makes it the input of the stream."""
        self._window = self._windows.popleft()
        return self._load(self._window)

    def scored(self, confidence: float | None) -> None:
        """Counts the window just scored, None for one that could not be scored."""
        if confidence is not None and self._stream is not None:
            self._stream.scored(confidence, quiet=self._vad_state == VADState.QUIET)
        self._volume.push(self._window, self.sample_rate)
        heard = (confidence or 0.0) >= self._params.confidence
        self._count(speaking=heard and self._volume.at_least(self._params.min_volume))

    def finish(self) -> None:
        """Ends a block: confirms speech or silence that has lasted, and answers who waits."""
        self._queued = False
        state = self._vad_state
        if state == VADState.STARTING and self._vad_starting_count >= self._vad_start_frames:
            self._vad_state = VADState.SPEAKING
            self._vad_starting_count = 0
        elif state == VADState.STOPPING and self._vad_stopping_count >= self._vad_stop_frames:
            self._vad_state = VADState.QUIET
            self._vad_stopping_count = 0
        self._resolve()

    def _load(self, window: bytes) -> Stream:
        if self._stream is None:
            raise RuntimeError("Set the sample rate before audio: set_sample_rate()")
        self._stream.load(window)
        return self._stream

    def _count(self, *, speaking: bool) -> None:
        match self._vad_state, speaking:
            case VADState.QUIET, True:
                self._vad_state = VADState.STARTING
                self._vad_starting_count = 1
            case VADState.STARTING, True:
                self._vad_starting_count += 1
            case VADState.STOPPING, True:
                self._vad_state = VADState.SPEAKING
                self._vad_stopping_count = 0
            case VADState.STARTING, False:
                self._vad_state = VADState.QUIET
                self._vad_starting_count = 0
            case VADState.SPEAKING, False:
                self._vad_state = VADState.STOPPING
                self._vad_stopping_count = 1
            case VADState.STOPPING, False:
                self._vad_stopping_count += 1
            case _:
                pass

    def _resolve(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(self._vad_state)
        self._waiters.clear()
