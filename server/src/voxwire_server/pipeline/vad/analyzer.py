"""Silero VAD for every session of the process: one model, run over a batch of streams.

A stock `SileroVADAnalyzer` loads its own copy of the model (60 ms on the event loop and 10 MB for
every session) and hops to its own thread for every block. Here the process holds one onnxruntime
session; what streams have waiting in one tick of the loop is scored in one call, on the loop.
Decisions are those of pipecat 1.14: the same windows, states, resets, volume and thresholds.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from importlib import resources
from itertools import islice
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
from loguru import logger
from numpy.typing import NDArray
from pipecat.audio.utils import calculate_audio_volume, exp_smoothing
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState
from pipecat.audio.volume import VOLUME_WINDOW_SECS

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["BatchedSileroVADAnalyzer", "SharedSileroVAD", "preload", "shared_silero"]

# Window and context of the model in samples, by sample rate (Silero VAD v5).
_WINDOW_SAMPLES = {8000: 256, 16000: 512}
_CONTEXT_SAMPLES = {8000: 32, 16000: 64}

# Streams in one call of the model. The cost of a stream stops falling at about 16 (58 us at 16 kHz
# on the reference machine), so a larger batch would only hold the loop for longer.
_MAX_BATCH = 16

# When the state of the model is reset: pipecat 1.14, `pipecat.audio.vad.silero`.
_RESET_INTERVAL_MS = 2000
_RESET_MAX_CONFIDENCE = 0.1
_RESET_LOW_WINDOWS = 5


class _Stream:
    """What the model remembers of one audio stream."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.window_samples = _WINDOW_SAMPLES[sample_rate]
        self.context_samples = _CONTEXT_SAMPLES[sample_rate]
        # One row of the model's input: the end of the last window, then the window. float32, ±1.
        self.row: NDArray[np.float32] = np.zeros(
            (1, self.context_samples + self.window_samples), dtype=np.float32
        )
        self.state: NDArray[np.float32] = np.zeros((2, 1, 128), dtype=np.float32)
        self._windows_since_reset = 0
        self._low_windows = 0

    def load(self, window: bytes) -> None:
        """Puts the next window (int16 little-endian mono PCM) into `row`, behind its context."""
        row, context = self.row[0], self.context_samples
        row[:context] = row[-context:]
        np.multiply(np.frombuffer(window, "<i2"), np.float32(1 / 32768), out=row[context:])

    def scored(self, confidence: float, *, quiet: bool) -> None:
        """Counts a scored window and resets when that is due, as pipecat 1.14 does.

        Args:
            confidence: Of the window just scored.
            quiet: Whether the VAD was quiet before that window.
        """
        self._windows_since_reset += 1
        self._low_windows = self._low_windows + 1 if confidence < _RESET_MAX_CONFIDENCE else 0
        audio_ms = self._windows_since_reset * self.window_samples * 1000 / self.sample_rate
        if audio_ms >= _RESET_INTERVAL_MS and quiet and self._low_windows >= _RESET_LOW_WINDOWS:
            self.row[:] = 0
            self.state = np.zeros_like(self.state)
            self._windows_since_reset = 0


class _SmoothedVolume:
    """Whether pipecat's smoothed volume reaches a threshold, measuring no more than that takes.

    Pipecat measures the loudness of the last 400 ms at every window (63 us at 16 kHz, as much as
    the model's share in a batch), though a volume matters only where the model hears speech. Here
    windows are kept unmeasured; a question measures the newest first and stops when the rest cannot
    change the answer. The answer is the stock one; windows older than `_KEPT` weigh under 1e-9.
    """

    _FACTOR = 0.2
    _KEPT = 96
    _MARGIN = 1e-9

    def __init__(self) -> None:
        self._sample_rate = 0
        self._window_frames = 0
        self._window_bytes = 0
        self._frames: deque[bytes] = deque()
        # Volumes of the newest windows (None: unmeasured), and the smoothed volume before them.
        self._volumes: deque[float | None] = deque()
        self._before = 0.0
        # Bounds of the smoothed volume after the last window.
        self._low = 0.0
        self._high = 0.0

    def push(self, frame: bytes, sample_rate: int) -> None:
        """Adds a window of audio; all windows of one sample rate have the same length."""
        if sample_rate != self._sample_rate:
            self._start(frame, sample_rate)
        self._frames.append(frame)
        if len(self._frames) > self._KEPT + self._window_frames - 1:
            self._frames.popleft()
        # Pipecat's volume reads 0 until 400 ms have been heard.
        unmeasured = len(self._frames) >= self._window_frames
        self._volumes.append(None if unmeasured else 0.0)
        self._low = exp_smoothing(0.0, self._low, self._FACTOR)
        self._high = exp_smoothing(1.0 if unmeasured else 0.0, self._high, self._FACTOR)
        while self._volumes and (self._volumes[0] is not None or len(self._volumes) > self._KEPT):
            self._before = exp_smoothing(self._volumes.popleft() or 0.0, self._before, self._FACTOR)

    def at_least(self, threshold: float) -> bool:
        """Whether the smoothed volume, 0 to 1, is `threshold` or more after the last window."""
        if threshold <= 0:
            return True
        weight = self._FACTOR
        for index in range(len(self._volumes) - 1, -1, -1):
            if self._low >= threshold + self._MARGIN:
                return True
            if self._high < threshold - self._MARGIN:
                return False
            if self._volumes[index] is None:
                volume = self._measure(index)
                self._volumes[index] = volume
                self._low += weight * volume
                self._high -= weight * (1 - volume)
            weight *= 1 - self._FACTOR
        exact = self._before
        for volume in self._volumes:
            exact = exp_smoothing(volume or 0.0, exact, self._FACTOR)
        return exact >= threshold

    def _start(self, frame: bytes, sample_rate: int) -> None:
        """Begins a stream of another sample rate; what was smoothed so far stays, as in pipecat."""
        for index, volume in enumerate(self._volumes):
            if volume is None:
                self._volumes[index] = self._measure(index)
        for volume in self._volumes:
            self._before = exp_smoothing(volume or 0.0, self._before, self._FACTOR)
        self._volumes.clear()
        self._frames.clear()
        self._low = self._high = self._before
        self._sample_rate = sample_rate
        self._window_bytes = math.ceil(VOLUME_WINDOW_SECS * sample_rate) * 2
        self._window_frames = math.ceil(self._window_bytes / len(frame))

    def _measure(self, index: int) -> float:
        """Loudness of the 400 ms that end with window `index` of `_volumes`, 0 to 1."""
        end = len(self._frames) - (len(self._volumes) - 1 - index)
        audio = b"".join(islice(self._frames, end - self._window_frames, end))
        return float(calculate_audio_volume(audio[-self._window_bytes :], self._sample_rate))


class SharedSileroVAD:
    """One Silero model for many streams.

    A server uses `shared_silero()`. Loading happens once, on a thread; scoring happens on the event
    loop of the stream (a call for one stream takes 0.2 to 0.3 ms, less than a hop to a thread and
    back costs a busy loop). Loops of different threads share the model, not their batches.

    Args:
        gather_ms: How long windows wait for those of other streams. 0: until the next tick of the
            loop, which adds no delay; on a busy loop batches form by themselves. A throughput
            profile may trade delay for fuller batches.
    """

    def __init__(self, *, gather_ms: int = 0) -> None:
        self._gather_ms = gather_ms
        self._session: onnxruntime.InferenceSession | None = None
        self._loading: Future[None] | None = None
        self._lock = threading.Lock()
        self._batches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Batch] = WeakKeyDictionary()
        self._attached: WeakSet[BatchedSileroVADAnalyzer] = WeakSet()

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._session is not None

    @property
    def stream_count(self) -> int:
        """Streams that have sent audio and have not been cleaned up."""
        return len(self._attached)

    async def preload(self) -> None:
        """Loads the model on a thread; at once if it is loaded. Cancel-safe, callable often."""
        if self._session is None:
            await asyncio.shield(asyncio.wrap_future(self._load()))

    def score(self, streams: list[_Stream]) -> list[float]:
        """Scores the loaded window of each stream and moves the streams' states on.

        Args:
            streams: Streams of one sample rate.

        Returns:
            The confidence that each window holds speech, 0 to 1, in order.
        """
        if self._session is None:
            self._load().result()
        assert self._session is not None
        single = len(streams) == 1
        rows = streams[0].row if single else np.concatenate([s.row for s in streams])
        state = streams[0].state if single else np.concatenate([s.state for s in streams], axis=1)
        rate = np.array(streams[0].sample_rate, dtype=np.int64)
        inputs: dict[str, Any] = {"input": rows, "state": state, "sr": rate}
        confidences, states = cast("list[NDArray[np.float32]]", self._session.run(None, inputs))
        for index, stream in enumerate(streams):
            stream.state = states[:, index : index + 1]
        return [float(confidence) for confidence in confidences[:, 0]]

    def submit(self, analyzer: BatchedSileroVADAnalyzer) -> None:
        """Has the waiting windows of an analyzer scored in the next batch of the running loop."""
        loop = asyncio.get_running_loop()
        batch = self._batches.get(loop)
        if batch is None:
            batch = self._batches[loop] = _Batch(self, self._gather_ms)
        self._attached.add(analyzer)
        batch.add(analyzer, loop)

    def detach(self, analyzer: BatchedSileroVADAnalyzer) -> None:
        """Forgets an analyzer. Windows that it has waiting are not scored."""
        self._attached.discard(analyzer)

    def _load(self) -> Future[None]:
        with self._lock:
            if self._loading is None or (self._loading.done() and not self.loaded):
                executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="silero-load")
                self._loading = executor.submit(self._read_model)
                executor.shutdown(wait=False)
            return self._loading

    def _read_model(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        model = resources.files("pipecat.audio.vad.data").joinpath("silero_vad.onnx").read_bytes()
        self._session = onnxruntime.InferenceSession(
            model, sess_options=options, providers=["CPUExecutionProvider"]
        )


class _Batch:
    """The analyzers of one event loop that have windows waiting, first come first."""

    def __init__(self, model: SharedSileroVAD, gather_ms: int) -> None:
        self._model = model
        self._gather_ms = gather_ms
        self._waiting: deque[BatchedSileroVADAnalyzer] = deque()
        self._failing = False

    def add(self, analyzer: BatchedSileroVADAnalyzer, loop: asyncio.AbstractEventLoop) -> None:
        if not self._waiting:
            if self._gather_ms:
                loop.call_later(self._gather_ms / 1000, self._run, loop)
            else:
                loop.call_soon(self._run, loop)
        self._waiting.append(analyzer)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Scores at most `_MAX_BATCH` windows, then lets the rest of the loop have a tick."""
        budget = _MAX_BATCH
        while budget > 0 and (batch := self._take(budget)):
            self._score(batch)
            budget -= len(batch)
        if self._waiting:
            loop.call_soon(self._run, loop)

    def _take(self, limit: int) -> list[BatchedSileroVADAnalyzer]:
        """Takes analyzers of one sample rate; those that lost their windows just finish."""
        taken: list[BatchedSileroVADAnalyzer] = []
        other_rate: list[BatchedSileroVADAnalyzer] = []
        while self._waiting and len(taken) < limit:
            analyzer = self._waiting.popleft()
            if not analyzer.has_window:
                analyzer.finish()
            elif taken and analyzer.sample_rate != taken[0].sample_rate:
                other_rate.append(analyzer)
            else:
                taken.append(analyzer)
        self._waiting.extendleft(reversed(other_rate))
        return taken

    def _score(self, batch: list[BatchedSileroVADAnalyzer]) -> None:
        confidences: list[float] | list[None]
        try:
            confidences = self._model.score([analyzer.load_window() for analyzer in batch])
            self._failing = False
        except Exception as error:  # A failing model must not end sessions: it hears no speech.
            if not self._failing:
                logger.error(f"Silero VAD scores nothing until this is over: {error!r}")
            self._failing = True
            confidences = [None] * len(batch)
        for analyzer, confidence in zip(batch, confidences, strict=True):
            analyzer.scored(confidence)
            if analyzer.has_window:
                self._waiting.append(analyzer)
            else:
                analyzer.finish()


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
        self._stream: _Stream | None = None
        self._volume = _SmoothedVolume()
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
        if rate not in _WINDOW_SAMPLES:
            raise ValueError(f"Silero VAD takes audio at 8000 or 16000 Hz, not {rate}")
        super().set_sample_rate(sample_rate)
        if self._stream is None or self._stream.sample_rate != rate:
            self._stream = _Stream(rate)
            self._windows.clear()

    def num_frames_required(self) -> int:
        """Samples in a window of the model: 512 at 16 kHz, 256 at 8 kHz."""
        return _WINDOW_SAMPLES[self.sample_rate]

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

    def load_window(self) -> _Stream:
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

    def _load(self, window: bytes) -> _Stream:
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


@cache
def shared_silero() -> SharedSileroVAD:
    """The model that every analyzer of the process shares unless it is given another."""
    return SharedSileroVAD()


async def preload() -> None:
    """Loads the model of the process without holding the event loop; for the server's start."""
    await shared_silero().preload()
