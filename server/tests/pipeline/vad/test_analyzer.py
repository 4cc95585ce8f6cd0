"""The shared VAD decides, window by window, what stock pipecat decides."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
import time
import wave
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger
from numpy.typing import NDArray
from pipecat.audio.utils import exp_smoothing
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState

from voxwire_protocol.virtual_time import in_virtual_time
from voxwire_server.pipeline.vad import model as vad
from voxwire_server.pipeline.vad import volume
from voxwire_server.pipeline.vad.analyzer import BatchedSileroVADAnalyzer
from voxwire_server.pipeline.vad.model import SharedSileroVAD
from voxwire_server.pipeline.vad.volume import SmoothedVolume

STREAMS = 8


def spoken_word(sample_rate: int, *, speed: float = 1.0) -> NDArray[np.float32]:
    """A recorded word ("ready", 0.7 s, ships with pipecat), peak at 1."""
    clip = resources.files("pipecat.services.aws.nova_sonic").joinpath("ready.wav")
    with clip.open("rb") as file, wave.open(file) as reader:
        pcm = np.frombuffer(reader.readframes(reader.getnframes()), "<i2").astype(np.float32)
        rate = reader.getframerate()
    resampled = np.asarray(soxr.resample(pcm, rate * speed, sample_rate), dtype=np.float32)
    return resampled / np.abs(resampled).max()


def scene(seed: int, sample_rate: int = 16000) -> bytes:
    """About 20 s of speech at many levels, noise, tones and silence, some of it for over 2 s."""
    rng = np.random.default_rng(seed)

    def noise(seconds: float, level: float) -> NDArray[np.float64]:
        return rng.standard_normal(int(seconds * sample_rate)) * level

    def phrase(gain: float) -> NDArray[np.float64]:
        words = [spoken_word(sample_rate, speed=rng.uniform(0.8, 1.25)) for _ in range(3)]
        clean = np.concatenate(words) * gain
        return clean + rng.standard_normal(len(clean)) * 0.001

    def chord(seconds: float) -> NDArray[np.float64]:
        t = np.arange(int(seconds * sample_rate)) / sample_rate
        return sum((0.1 * np.sin(2 * np.pi * hz * t) for hz in (220, 277, 330)), np.zeros_like(t))

    gains = 10 ** rng.uniform(-2.2, -0.2, size=5)
    parts = [noise(rng.uniform(0.1, 2.6), 0.0005), np.zeros(sample_rate // 2)]
    for gain in gains:
        parts += [phrase(gain), noise(rng.uniform(0.1, 2.6), 10 ** rng.uniform(-5, -1.5))]
    parts.insert(int(rng.integers(len(parts))), chord(2.4))
    signal = np.clip(np.concatenate(parts), -1, 1)
    return (signal * 32767).astype("<i2").tobytes()


def blocks(audio: bytes, size: int) -> list[bytes]:
    return [audio[start : start + size] for start in range(0, len(audio), size)]


class Recorder:
    """An analyzer with what it said of every block and every window."""

    def __init__(self, analyzer: VADAnalyzer, sample_rate: int = 16000) -> None:
        self.analyzer = analyzer
        self.states: list[VADState] = []
        self.confidences: list[float] = []
        analyzer.set_sample_rate(sample_rate)
        if isinstance(analyzer, BatchedSileroVADAnalyzer):
            self._record_batched(analyzer)
        else:
            self._record_stock(analyzer)

    def _record_batched(self, analyzer: BatchedSileroVADAnalyzer) -> None:
        scored = analyzer.scored

        def recorded(confidence: float | None) -> None:
            self.confidences.append(math.nan if confidence is None else confidence)
            scored(confidence)

        analyzer.scored = recorded  # type: ignore[method-assign]

    def _record_stock(self, analyzer: VADAnalyzer) -> None:
        voice_confidence = analyzer.voice_confidence

        def recorded(buffer: bytes) -> float:
            confidence = voice_confidence(buffer)
            self.confidences.append(np.asarray(confidence).item())
            return confidence

        analyzer.voice_confidence = recorded  # type: ignore[method-assign]

    async def hear(self, audio: Sequence[bytes]) -> None:
        for block in audio:
            self.states.append(await self.analyzer.analyze_audio(block))


@pytest.fixture(scope="module")
def model() -> SharedSileroVAD:
    shared = SharedSileroVAD()
    asyncio.run(shared.preload())
    return shared


class CountingSession:
    """The session of a model, with the sizes of the batches that it was given."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.batch_sizes: list[int] = []
        self.failing = False

    def run(self, outputs: Any, inputs: dict[str, Any]) -> Any:
        if self.failing:
            raise RuntimeError("no memory")
        self.batch_sizes.append(len(inputs["input"]))
        return self.session.run(outputs, inputs)


@pytest.fixture
def counted(model: SharedSileroVAD) -> tuple[SharedSileroVAD, CountingSession]:
    shared = SharedSileroVAD()
    session = CountingSession(model._session)
    shared._session = session  # type: ignore[assignment]
    return shared, session


@pytest.mark.parametrize("sample_rate", [16000, 8000])
@pytest.mark.parametrize("block_ms", [20, 40, 37])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_window_and_block_is_decided_as_stock_decides(
    model: SharedSileroVAD, sample_rate: int, block_ms: int, seed: int
) -> None:
    audio = blocks(scene(seed, sample_rate), sample_rate * block_ms // 1000 * 2)
    stock = Recorder(SileroVADAnalyzer(), sample_rate)
    ours = Recorder(BatchedSileroVADAnalyzer(model=model), sample_rate)

    async def run() -> None:
        await stock.hear(audio)
        await ours.hear(audio)

    asyncio.run(run())
    assert ours.states == stock.states
    assert set(VADState) == set(stock.states), "the scene has something of everything"
    np.testing.assert_allclose(ours.confidences, stock.confidences, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "params",
    [
        VADParams(min_volume=0.0),
        VADParams(min_volume=0.8, confidence=0.3, start_secs=0.1, stop_secs=0.8),
        VADParams(min_volume=0.7, confidence=0.0, start_secs=0.0, stop_secs=0.0),
    ],
    ids=["no volume", "loud and patient", "volume alone"],
)
def test_other_parameters_are_decided_as_stock_decides(
    model: SharedSileroVAD, params: VADParams
) -> None:
    audio = blocks(scene(3), 1280)
    stock = Recorder(SileroVADAnalyzer(params=params))
    ours = Recorder(BatchedSileroVADAnalyzer(params=params, model=model))

    async def run() -> None:
        for recorder in (stock, ours):
            await recorder.hear(audio[: len(audio) // 2])
            recorder.analyzer.set_params(VADParams(stop_secs=0.4))
            await recorder.hear(audio[len(audio) // 2 :])

    asyncio.run(run())
    assert ours.states == stock.states


def test_streams_in_one_batch_get_what_each_gets_alone(
    counted: tuple[SharedSileroVAD, CountingSession],
) -> None:
    shared, session = counted
    audio = [blocks(scene(10 + index), 1280)[:300] for index in range(STREAMS)]
    alone = [Recorder(BatchedSileroVADAnalyzer(model=shared)) for _ in audio]
    together = [Recorder(BatchedSileroVADAnalyzer(model=shared)) for _ in audio]

    async def run() -> None:
        for recorder, heard in zip(alone, audio, strict=True):
            await recorder.hear(heard)
        assert set(session.batch_sizes) == {1}
        await asyncio.gather(*(r.hear(heard) for r, heard in zip(together, audio, strict=True)))

    asyncio.run(run())
    assert max(session.batch_sizes) == STREAMS
    for one, other in zip(alone, together, strict=True):
        assert other.states == one.states
        np.testing.assert_allclose(other.confidences, one.confidences, rtol=0, atol=1e-4)


def test_streams_of_two_sample_rates_share_the_model(model: SharedSileroVAD) -> None:
    rates = [16000, 8000, 16000, 8000]
    audio = [blocks(scene(4, rate), rate * 40 // 1000 * 2) for rate in rates]
    stock = [Recorder(SileroVADAnalyzer(), rate) for rate in rates]
    ours = [Recorder(BatchedSileroVADAnalyzer(model=model), rate) for rate in rates]

    async def run() -> None:
        for recorders in (stock, ours):
            await asyncio.gather(
                *(r.hear(heard) for r, heard in zip(recorders, audio, strict=True))
            )

    asyncio.run(run())
    assert [recorder.states for recorder in ours] == [recorder.states for recorder in stock]


def test_a_tick_scores_a_bounded_batch_and_then_lets_the_loop_breathe(
    counted: tuple[SharedSileroVAD, CountingSession],
) -> None:
    shared, session = counted
    recorders = [Recorder(BatchedSileroVADAnalyzer(model=shared)) for _ in range(40)]

    async def run() -> list[int]:
        scored_by_tick: list[int] = []
        tasks = [asyncio.create_task(recorder.hear([bytes(1024)])) for recorder in recorders]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            scored_by_tick.append(sum(session.batch_sizes))
        return scored_by_tick

    scored_by_tick = asyncio.run(run())
    assert session.batch_sizes == [16, 16, 8]
    assert {16, 32, 40} <= set(scored_by_tick)


@in_virtual_time
async def test_gathering_waits_for_streams_that_are_out_of_step(model: SharedSileroVAD) -> None:
    shared = SharedSileroVAD(gather_ms=50)
    session = CountingSession(model._session)
    shared._session = session  # type: ignore[assignment]
    recorders = [Recorder(BatchedSileroVADAnalyzer(model=shared)) for _ in range(4)]
    async with asyncio.TaskGroup() as streams:
        for recorder in recorders:
            streams.create_task(recorder.hear([bytes(1024)]))
            await asyncio.sleep(0.02)  # virtual: the fourth is too late for the first's batch
    assert session.batch_sizes == [3, 1]


def test_a_block_shorter_than_a_window_is_answered_at_once(model: SharedSileroVAD) -> None:
    analyzer = BatchedSileroVADAnalyzer(model=model)
    analyzer.set_sample_rate(16000)
    coroutine = analyzer.analyze_audio(bytes(1022))
    with pytest.raises(StopIteration) as answer:
        coroutine.send(None)
    assert answer.value.value == VADState.QUIET


def test_a_cancelled_wait_loses_no_audio(model: SharedSileroVAD) -> None:
    audio = blocks(scene(5), 1280)
    stock = Recorder(SileroVADAnalyzer())
    ours = Recorder(BatchedSileroVADAnalyzer(model=model))

    async def run() -> None:
        await stock.hear(audio)
        for index, block in enumerate(audio):
            task = asyncio.create_task(ours.analyzer.analyze_audio(block))
            if index % 7 == 3:
                await asyncio.sleep(0)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    np.testing.assert_allclose(ours.confidences, stock.confidences, rtol=0, atol=1e-4)


def test_cleanup_detaches_and_answers_who_waits(
    counted: tuple[SharedSileroVAD, CountingSession],
) -> None:
    shared, session = counted
    recorders = [Recorder(BatchedSileroVADAnalyzer(model=shared)) for _ in range(3)]

    async def run() -> None:
        tasks = [asyncio.create_task(recorder.hear([bytes(4096)])) for recorder in recorders]
        await asyncio.sleep(0)
        assert shared.stream_count == 3
        await recorders[0].analyzer.cleanup()
        await asyncio.gather(*tasks)
        assert shared.stream_count == 2
        for recorder in recorders[1:]:
            await recorder.analyzer.cleanup()
        assert shared.stream_count == 0

    asyncio.run(run())
    assert recorders[0].states == [VADState.QUIET]
    assert set(session.batch_sizes) == {2}


def test_a_model_that_fails_counts_as_no_speech_and_ends_nothing(
    counted: tuple[SharedSileroVAD, CountingSession],
) -> None:
    shared, session = counted
    audio = blocks(scene(6), 1280)
    recorder = Recorder(BatchedSileroVADAnalyzer(model=shared))

    errors: list[str] = []
    sink = logger.add(errors.append, level="ERROR", format="{message}")

    async def run() -> None:
        session.failing = True
        await recorder.hear(audio)
        assert set(recorder.states) == {VADState.QUIET}
        session.failing = False
        await recorder.hear(audio)

    asyncio.run(run())
    logger.remove(sink)
    assert VADState.SPEAKING in recorder.states
    assert len(errors) == 1, "a failure is said once, not at every window"


def test_blocks_that_come_before_the_last_one_is_answered_are_all_heard(
    model: SharedSileroVAD,
) -> None:
    recorder = Recorder(BatchedSileroVADAnalyzer(model=model))

    async def run() -> list[VADState]:
        pending = [recorder.analyzer.analyze_audio(bytes(1024)) for _ in range(3)]
        recorder.analyzer.set_sample_rate(16000)
        return await asyncio.gather(*pending)

    assert asyncio.run(run()) == [VADState.QUIET] * 3
    assert len(recorder.confidences) == 3


def test_the_model_loads_once_and_off_the_loop() -> None:
    shared = SharedSileroVAD()
    threads: list[str] = []
    read_model = shared._read_model

    def recorded() -> None:
        import threading

        threads.append(threading.current_thread().name)
        read_model()

    shared._read_model = recorded  # type: ignore[method-assign]
    joined = [Recorder(BatchedSileroVADAnalyzer(model=shared)) for _ in range(3)]

    async def run() -> None:
        first = asyncio.create_task(shared.preload())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(*(recorder.hear([bytes(1024)]) for recorder in joined))
        await shared.preload()

    asyncio.run(run())
    assert shared.loaded
    assert len(threads) == 1
    assert threads[0].startswith("silero-load")


def test_a_stream_that_leaves_while_the_model_loads_is_not_attached() -> None:
    shared = SharedSileroVAD()
    recorder = Recorder(BatchedSileroVADAnalyzer(model=shared))

    async def run() -> None:
        task = asyncio.create_task(recorder.hear([bytes(1024)]))
        await asyncio.sleep(0)
        await recorder.analyzer.cleanup()
        await task

    asyncio.run(run())
    assert recorder.states == [VADState.QUIET]
    assert recorder.confidences == []
    assert shared.stream_count == 0


def test_a_load_that_failed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedSileroVAD()
    read_model = shared._read_model

    def broken() -> None:
        raise OSError("disk")

    monkeypatch.setattr(shared, "_read_model", broken)
    with pytest.raises(OSError, match="disk"):
        asyncio.run(shared.preload())
    monkeypatch.setattr(shared, "_read_model", read_model)
    asyncio.run(shared.preload())
    assert shared.loaded


def test_one_window_can_be_scored_on_the_spot_loading_if_need_be() -> None:
    windows = [window for window in blocks(scene(7), 1024) if len(window) == 1024]
    stock, ours = SileroVADAnalyzer(), BatchedSileroVADAnalyzer(model=SharedSileroVAD())
    for analyzer in (stock, ours):
        analyzer.set_sample_rate(16000)
    expected = [np.asarray(stock.voice_confidence(window)).item() for window in windows]
    found = [ours.voice_confidence(window) for window in windows]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_a_rate_that_the_model_does_not_take_is_refused(model: SharedSileroVAD) -> None:
    with pytest.raises(ValueError, match="8000 or 16000 Hz, not 24000"):
        BatchedSileroVADAnalyzer(model=model).set_sample_rate(24000)
    with pytest.raises(RuntimeError, match="set_sample_rate"):
        BatchedSileroVADAnalyzer(model=model).voice_confidence(bytes(1024))


def test_the_models_runtime_tells_nobody_of_its_use(tmp_path: Path) -> None:
    """onnxruntime 1.32 makes a device id and a file of events to send unless it is told not to."""
    script = (
        "import asyncio\n"
        "from voxwire_server.pipeline.vad.model import shared_silero\n"
        "asyncio.run(shared_silero().preload())\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=120)
    assert not list(tmp_path.rglob("*onnxruntime*"))


def test_the_process_shares_one_model_and_pipecats_defaults() -> None:
    assert vad.shared_silero() is vad.shared_silero()
    asyncio.run(vad.preload())
    assert vad.shared_silero().loaded
    analyzer = BatchedSileroVADAnalyzer()
    analyzer.set_sample_rate(16000)
    assert analyzer.params == VADParams()
    assert analyzer.params.confidence == 0.7


def test_it_runs_on_uvloop(model: SharedSileroVAD) -> None:
    uvloop = pytest.importorskip("uvloop")
    recorder = Recorder(BatchedSileroVADAnalyzer(model=model))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(recorder.hear(blocks(scene(8), 1280)))
    assert VADState.SPEAKING in recorder.states


LEVELS = st.sampled_from([0.0, 0.4, 0.55, 0.6, 0.65, 0.8, 1.0]) | st.floats(0, 1)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(LEVELS, st.sampled_from([None, 0.3, 0.6, 0.7])), min_size=1, max_size=300
    )
)
def test_smoothed_volume_answers_as_if_every_window_were_measured(
    steps: list[tuple[float, float | None]],
) -> None:
    lazy = SmoothedVolume()
    number = {(index + 1).to_bytes(4, "little") * 256: index for index in range(len(steps))}

    def measured(audio: bytes, sample_rate: int) -> float:
        return steps[number[audio[-4:] * 256]][0]

    eager = 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(volume, "calculate_audio_volume", measured)
        for index, (frame, (level, threshold)) in enumerate(zip(number, steps, strict=True)):
            lazy.push(frame, 16000)
            eager = exp_smoothing(level if index >= 12 else 0.0, eager, 0.2)
            if threshold is not None and abs(eager - threshold) > 1e-8:
                assert lazy.at_least(threshold) == (eager >= threshold)


def test_a_change_of_sample_rate_keeps_the_smoothed_volume() -> None:
    lazy = SmoothedVolume()
    rng = np.random.default_rng(0)
    stock = BatchedSileroVADAnalyzer(model=SharedSileroVAD())
    for rate, samples in ((16000, 512), (8000, 256), (16000, 512)):
        stock._sample_rate = rate
        for _ in range(40):
            frame = (rng.standard_normal(samples) * 3000).astype("<i2").tobytes()
            stock._prev_volume = stock._get_smoothed_volume(frame)
            lazy.push(frame, rate)
        for threshold in (0.1, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9):
            assert lazy.at_least(threshold) == (stock._prev_volume >= threshold)


def cpu_per_stream(analyzers: list[VADAnalyzer], audio: list[list[bytes]]) -> float:
    """CPU time of the process per stream and second of audio, in percent of a core."""
    recorders = [Recorder(analyzer) for analyzer in analyzers]

    async def run() -> float:
        started = time.process_time()
        await asyncio.gather(*(r.hear(heard) for r, heard in zip(recorders, audio, strict=True)))
        return time.process_time() - started

    used = asyncio.run(run())
    seconds = sum(sum(map(len, heard)) for heard in audio) / 2 / 16000
    return 100 * used / seconds


@pytest.mark.parametrize("streams", [1, STREAMS])
def test_what_a_stream_costs_is_printed(model: SharedSileroVAD, streams: int) -> None:
    audio = [blocks(scene(20 + index), 1280)[:200] for index in range(streams)]
    stock = cpu_per_stream([SileroVADAnalyzer() for _ in audio], audio)
    ours = cpu_per_stream([BatchedSileroVADAnalyzer(model=model) for _ in audio], audio)
    print(f"\nVAD, {streams} streams in step, 40 ms blocks, percent of a core for each stream:")
    print(f"stock {stock:.2f} %, shared {ours:.2f} %, ratio {stock / ours:.1f}")
