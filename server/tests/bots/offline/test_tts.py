"""Every spoken word carries its exact place on its context's audio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import soxr
from pipecat.frames.frames import (
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from voxwire_server.bots.offline.tts import HibariTTSService, _Resampler
from voxwire_server.bots.offline.voice import SAMPLE_RATE

SENTENCES = ["Hello there, this is one.", "I am the second — it costs $25.", "And the third."]
TEXT = " ".join(SENTENCES)


@dataclass
class Speech:
    """A running voice, and what comes out of it."""

    worker: Any
    probe: Any
    tts: HibariTTSService

    async def say(self, text: str) -> None:
        tokens = [LLMTextFrame(token + " ") for token in text.split()]
        await self.worker.queue_frames(
            [LLMFullResponseStartFrame(), *tokens, LLMFullResponseEndFrame()]
        )

    async def until_stopped(self, count: int = 1) -> None:
        await self.probe.wait(lambda: len(self.probe.of(TTSStoppedFrame)) >= count)

    def words(self, context_id: str | None = None) -> list[dict[str, Any]]:
        frames = self.probe.of(TTSTextFrame)
        return [f.metadata["word"] for f in frames if context_id in (None, f.context_id)]

    def samples(self, context_id: str | None = None) -> np.ndarray:
        frames = self.probe.of(TTSAudioRawFrame)
        pcm = b"".join(f.audio for f in frames if context_id in (None, f.context_id))
        return np.frombuffer(pcm, np.int16)


@pytest.fixture(params=[16000, 24000, 22050, 48000])
async def speech(request, bot_voice, run_pipeline, make_probe) -> AsyncIterator[Speech]:
    probe = make_probe(audio=True)
    tts = HibariTTSService()
    async with run_pipeline(tts, probe, probe=probe, out_rate=request.param) as worker:
        yield Speech(worker, probe, tts)


@pytest.fixture
async def voice(bot_voice, run_pipeline, make_probe) -> AsyncIterator[Speech]:
    probe, tts = make_probe(audio=True), HibariTTSService()
    async with run_pipeline(tts, probe, probe=probe) as worker:
        yield Speech(worker, probe, tts)


async def test_the_words_of_a_context_cover_its_text_and_lie_inside_its_audio(speech):
    await speech.say(TEXT)
    await speech.until_stopped()
    words = speech.words()
    assert [word["text"] for word in words] == TEXT.split()
    assert [TEXT[w["char_start"] : w["char_end"]] for w in words] == TEXT.split()
    at = 0
    for word in words:
        assert at <= word["start_ms"] <= word["end_ms"]
        at = word["end_ms"]
    rate = speech.probe.of(TTSAudioRawFrame)[0].sample_rate
    assert at <= len(speech.samples()) * 1000 / rate


async def test_words_of_later_sentences_are_where_their_sound_is(speech):
    await speech.say(TEXT)
    await speech.until_stopped()
    samples = np.abs(speech.samples().astype(np.int32))
    rate = speech.probe.of(TTSAudioRawFrame)[0].sample_rate
    words = speech.words()
    for text in ("I", "And"):  # the first words of the second and the third sentence
        index = next(i for i, word in enumerate(words) if word["text"] == text)
        gap_ms = words[index - 1]["end_ms"] + 50, words[index]["start_ms"] - 40
        gap = samples[gap_ms[0] * rate // 1000 : gap_ms[1] * rate // 1000]
        onset = words[index]["start_ms"] * rate // 1000
        assert gap.size > rate // 20
        assert gap.max() < 200
        assert samples[onset : onset + rate // 10].max() > 2000


async def test_a_second_context_starts_at_zero_and_its_pts_after_the_first(voice):
    await voice.say("Let me check.")
    await voice.say("It is sunny.")
    await voice.until_stopped(2)
    first, second = (frame.context_id for frame in voice.probe.of(TTSStartedFrame))
    assert voice.words(second)[0]["start_ms"] < 50
    assert voice.words(second)[0]["char_start"] == 0
    frames = voice.probe.of(TTSTextFrame)
    start = min(f.pts for f in frames if f.context_id == first)
    after = min(f.pts for f in frames if f.context_id == second)
    audio_ms = len(voice.samples(first)) / 24
    assert (after - start) / 1e6 >= audio_ms - 30


async def test_after_an_interruption_the_next_context_has_all_its_words_at_once(voice):
    await voice.say("This is a sentence that nobody will hear to its end, I fear. " * 3)
    await voice.probe.wait(lambda: voice.words())
    await voice.worker.queue_frame(InterruptionFrame())
    await voice.probe.wait(lambda: voice.probe.of(InterruptionFrame))
    now_ns = voice.tts.get_clock().get_time()
    cut = len(voice.probe.of(TTSTextFrame))
    await voice.say("Now this one.")
    await voice.probe.wait(lambda: "one." in [f.text for f in voice.probe.of(TTSTextFrame)[cut:]])
    frames = voice.probe.of(TTSTextFrame)[cut:]
    assert [f.text for f in frames] == ["Now", "this", "one."]
    assert [f.metadata["word"]["text"] for f in frames] == ["Now", "this", "one."]
    assert frames[0].metadata["word"]["start_ms"] < 50
    assert frames[0].pts - now_ns < 1e9


async def test_text_that_is_spoken_as_it_is_has_its_words_too(voice):
    await voice.worker.queue_frame(TTSSpeakFrame("One. Two, three."))
    await voice.until_stopped()
    assert [word["text"] for word in voice.words()] == ["One.", "Two,", "three."]


async def test_a_context_with_nothing_to_say_does_not_block_the_next(voice):
    await voice.say("...")
    await voice.say("Hello.")
    await voice.probe.wait(lambda: "Hello." in [word["text"] for word in voice.words()])


async def test_a_context_is_forgotten_when_it_is_over(bot_voice, run_pipeline, make_probe):
    probe, tts = make_probe(), HibariTTSService()
    async with run_pipeline(tts, probe, probe=probe) as worker:
        for text in ("One.", "Two."):
            await Speech(worker, probe, tts).say(text)
        await probe.wait(lambda: len(probe.of(LLMFullResponseEndFrame)) == 2)
        assert tts._contexts == {}


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 48000])
def test_resampling_in_chunks_neither_shifts_nor_loses_a_sample(rate):
    rng = np.random.default_rng(3)
    audio = np.convolve(rng.normal(0, 3000, SAMPLE_RATE), np.ones(20) / 20, "same")
    source = audio.astype(np.int16)
    resampler = _Resampler(rate)
    parts = [resampler.feed(source[at : at + 1323].tobytes()) for at in range(0, len(source), 1323)]
    got = np.frombuffer(b"".join(parts) + resampler.flush(), np.int16).astype(float)
    want = soxr.resample(source, SAMPLE_RATE, rate).astype(float)
    assert abs(len(got) - rate) <= 1
    size = min(len(got), len(want))
    assert np.abs(got[:size] - want[:size]).max() <= 2
