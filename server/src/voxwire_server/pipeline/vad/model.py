"""The Silero model of the process: loaded once, run over a batch of streams.

What streams have waiting in one tick of the loop is scored in one call, on the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol, cast
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
from loguru import logger
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["WINDOW_SAMPLES", "SharedSileroVAD", "Stream", "Windows", "preload", "shared_silero"]

# Window and context of the model in samples, by sample rate (Silero VAD v5).
WINDOW_SAMPLES = {8000: 256, 16000: 512}
_CONTEXT_SAMPLES = {8000: 32, 16000: 64}

# Streams in one call of the model. The cost of a stream stops falling at about 16 (58 us at 16 kHz
# on the reference machine), so a larger batch would only hold the loop for longer.
_MAX_BATCH = 16

# When the state of the model is reset: pipecat 1.14, `pipecat.audio.vad.silero`.
_RESET_INTERVAL_MS = 2000
_RESET_MAX_CONFIDENCE = 0.1
_RESET_LOW_WINDOWS = 5


class Stream:
    """What the model remembers of one audio stream."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.window_samples = WINDOW_SAMPLES[sample_rate]
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


class Windows(Protocol):
    """Whose windows the model scores: the analyzer of one stream."""

    @property
    def sample_rate(self) -> int:
        """Of its audio, Hz."""
        ...

    @property
    def has_window(self) -> bool:
        """Whether a window waits to be scored."""
        ...

    def load_window(self) -> Stream:
        """Takes the oldest waiting window and makes it the input of the stream."""
        ...

    def scored(self, confidence: float | None) -> None:
        """Counts the window just scored, None for one that could not be scored."""
        ...

    def finish(self) -> None:
        """Ends a block: all its windows are scored."""
        ...


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
        self._attached: WeakSet[Windows] = WeakSet()

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

    def score(self, streams: list[Stream]) -> list[float]:
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

    def submit(self, analyzer: Windows) -> None:
        """Has the waiting windows of an analyzer scored in the next batch of the running loop."""
        loop = asyncio.get_running_loop()
        batch = self._batches.get(loop)
        if batch is None:
            batch = self._batches[loop] = _Batch(self, self._gather_ms)
        self._attached.add(analyzer)
        batch.add(analyzer, loop)

    def detach(self, analyzer: Windows) -> None:
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
        self._waiting: deque[Windows] = deque()
        self._failing = False

    def add(self, analyzer: Windows, loop: asyncio.AbstractEventLoop) -> None:
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

    def _take(self, limit: int) -> list[Windows]:
        """Takes analyzers of one sample rate; those that lost their windows just finish."""
        taken: list[Windows] = []
        other_rate: list[Windows] = []
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

    def _score(self, batch: list[Windows]) -> None:
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


@cache
def shared_silero() -> SharedSileroVAD:
    """The model that every analyzer of the process shares unless it is given another."""
    return SharedSileroVAD()


async def preload() -> None:
    """Loads the model of the process without holding the event loop; for the server's start."""
    await shared_silero().preload()
