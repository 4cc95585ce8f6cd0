"""What the recogniser hears of synthetic speech, and what it does with everything else."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    STTMuteFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from tests.support.espeak import render_pcm
from voxwire_server.bots.offline.decoders import MIN_SCORE, SAMPLE_RATE, SLICE_BYTES, DecoderPool
from voxwire_server.bots.offline.intents import UNKNOWN_TEXT, parse
from voxwire_server.bots.offline.phrases import random_phrases
from voxwire_server.bots.offline.stt import SphinxSTTService

SEED = 20
OUTSIDE = [
    "purple elephants dance under seventeen umbrellas",
    "the stock market closed lower on thursday",
    "could somebody feed the cat please",
    "my grandmother used to play the violin",
    "eleven green bottles standing on the wall",
    "never trust a pirate with your parrot",
]


def silence(ms: int) -> bytes:
    noise = np.random.default_rng(1).normal(0, 8, SAMPLE_RATE * ms // 1000)
    return noise.astype(np.int16).tobytes()


@pytest.mark.parametrize("voice", ["en-us", "en-us+m3", "en-us+f3"])
async def test_phrases_of_the_grammar_are_understood(espeak, decoders, voice):
    right, phrases = 0, random_phrases(SEED, 40)
    async with decoders.lend() as decoder:
        for phrase in phrases:
            pcm, _ = await render_pcm(phrase.text, voice=voice)
            heard = await decode(decoder, pcm)
            understood = parse(heard.text)
            right += heard.score >= MIN_SCORE and (understood.intent, dict(understood.slots)) == (
                phrase.intent,
                phrase.slots,
            )
    assert right >= 38, f"{right} of {len(phrases)}, seed {SEED}"


async def test_most_speech_outside_the_grammar_is_rejected(espeak, decoders):
    rejected = 0
    async with decoders.lend() as decoder:
        for text in OUTSIDE:
            for voice in ("en-us", "en-us+f3"):
                pcm, _ = await render_pcm(text, voice=voice)
                heard = await decode(decoder, pcm)
                rejected += heard.score < MIN_SCORE
    assert rejected >= 9, f"{rejected} of {2 * len(OUTSIDE)}"


async def decode(decoder: Any, pcm: bytes) -> Any:
    decoder.start()
    audio = silence(400) + pcm + silence(200)
    for at in range(0, len(audio), SLICE_BYTES):
        decoder.feed(audio[at : at + SLICE_BYTES])
        await asyncio.sleep(0)
    return decoder.finish()


@dataclass
class Ear:
    """A running recogniser; voice activity is given by hand."""

    stt: SphinxSTTService
    worker: Any
    probe: Any

    async def hear(self, *parts: bytes | type) -> None:
        frames: list[Any] = []
        for part in parts:
            if isinstance(part, bytes):
                frames += [
                    InputAudioRawFrame(part[at : at + 640], SAMPLE_RATE, 1)
                    for at in range(0, len(part), 640)
                ]
            else:
                frames.append(part())
        await self.worker.queue_frames(frames)

    def finals(self) -> list[str]:
        return [frame.text for frame in self.probe.of(TranscriptionFrame)]

    async def final(self, count: int = 1) -> str:
        await self.probe.wait(lambda: len(self.finals()) >= count)
        return self.finals()[count - 1]


START, STOP = VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame


@pytest.fixture
async def ear(espeak, decoders, run_pipeline, make_probe) -> AsyncIterator[Ear]:
    probe, stt = make_probe(), SphinxSTTService(ears=False, pool=decoders, resume_ms=100)
    async with run_pipeline(stt, probe, probe=probe) as worker:
        yield Ear(stt, worker, probe)
    assert decoders.num_lent == 0


def halves(pcm: bytes, ms: int) -> tuple[bytes, bytes]:
    at = SAMPLE_RATE * ms // 1000 * 2
    return pcm[:at], pcm[at:]


@pytest.mark.parametrize("voice", ["en-us", "en-us+f2"])
async def test_an_utterance_gives_interims_and_one_final(ear, voice):
    pcm, _ = await render_pcm("what is the weather in paris tomorrow", voice=voice)
    unnoticed, rest = halves(pcm, 300)  # voice activity fires this late
    await ear.hear(silence(800), unnoticed, START, rest, silence(200), STOP)
    assert await ear.final() == "what is the weather in paris tomorrow"
    (frame,) = ear.probe.of(TranscriptionFrame)
    assert frame.finalized
    interims = [frame.text for frame in ear.probe.of(InterimTranscriptionFrame)]
    assert 2 <= len(interims) <= len(pcm) // 32 // 200 + 4
    assert all(before != after for before, after in itertools.pairwise(interims))
    assert all(frame.text for frame in ear.probe.of(InterimTranscriptionFrame))


async def test_speech_that_fits_no_phrase_is_one_unknown_final(ear):
    pcm, _ = await render_pcm(OUTSIDE[0])
    await ear.hear(silence(600), START, pcm, silence(200), STOP)
    assert await ear.final() == UNKNOWN_TEXT
    (frame,) = ear.probe.of(TranscriptionFrame)
    assert frame.finalized
    assert re.fullmatch(r"\(not understood; nearest: .+ / .+ / .+\)", frame.result.shown)


async def test_an_unfinished_phrase_waits_and_is_joined_with_the_rest(
    espeak, decoders, run_pipeline, make_probe
):
    first, _ = await render_pcm("find a japanese restaurant")
    rest, _ = await render_pcm("in london")
    probe, stt = make_probe(), SphinxSTTService(ears=False, pool=decoders, resume_ms=10_000)
    async with run_pipeline(stt, probe, probe=probe) as worker:
        ear = Ear(stt, worker, probe)
        await ear.hear(silence(600), START, first, silence(200), STOP)
        await probe.wait(lambda: probe.of(STOP))
        await ear.hear(silence(300), START, rest, silence(200), STOP)
        assert await ear.final() == "find a japanese restaurant in london"
        assert len(ear.finals()) == 1


async def test_an_unfinished_phrase_without_a_rest_becomes_unknown(ear):
    pcm, _ = await render_pcm("what is the weather")
    await ear.hear(silence(600), START, pcm, silence(200), STOP)
    assert await ear.final() == UNKNOWN_TEXT
    pcm, _ = await render_pcm("what time is it")
    await ear.hear(silence(600), START, pcm, silence(200), STOP)
    assert await ear.final(2) == "what time is it"


async def test_noise_without_a_word_becomes_unknown(ear):
    noise = np.random.default_rng(2).normal(0, 4000, SAMPLE_RATE).astype(np.int16).tobytes()
    await ear.hear(silence(600), START, noise, silence(200), STOP)
    assert await ear.final() == UNKNOWN_TEXT


async def test_a_muted_user_is_not_heard(ear):
    pcm, _ = await render_pcm("what time is it")
    await ear.hear(lambda: STTMuteFrame(mute=True), START, pcm, STOP)
    await ear.hear(lambda: STTMuteFrame(mute=False), silence(600), START, pcm, silence(200), STOP)
    assert await ear.final() == "what time is it"
    assert len(ear.finals()) == 1


async def test_other_input_rates_are_understood(espeak, decoders, run_pipeline, make_probe):
    pcm, _ = await render_pcm("tell me a joke", sample_rate=48000)
    probe, stt = make_probe(), SphinxSTTService(ears=False, pool=decoders, sample_rate=48000)
    async with run_pipeline(stt, probe, probe=probe) as worker:
        ear = Ear(stt, worker, probe)
        await ear.hear(bytes(57600), START, pcm, bytes(19200), STOP)
        assert await ear.final() == "tell me a joke"


async def test_ending_in_the_middle_of_speech_returns_the_decoder(
    espeak, decoders, run_pipeline, make_probe
):
    pcm, _ = await render_pcm("what time is it")
    probe, stt = make_probe(), SphinxSTTService(ears=False, pool=decoders)
    async with run_pipeline(stt, probe, probe=probe) as worker:
        await Ear(stt, worker, probe).hear(START, pcm)
        await probe.wait(lambda: decoders.num_lent == 1 or probe.of(InterimTranscriptionFrame))
    assert decoders.num_lent == 0


async def test_the_pool_lends_no_more_than_its_limit_and_keeps_what_comes_back():
    pool = DecoderPool(limit=1)
    await pool.warm()
    assert pool.num_idle == 1
    async with pool.lend() as first:
        assert (pool.num_lent, pool.num_idle) == (1, 0)
        waiting = asyncio.create_task(anext(aiter(_lend(pool))))
        await asyncio.sleep(0)
        assert not waiting.done()
    async with asyncio.timeout(60):
        assert await waiting is first
    await asyncio.sleep(0)


async def _lend(pool: DecoderPool) -> AsyncIterator[Any]:
    async with pool.lend() as decoder:
        yield decoder


async def test_a_cancelled_speaker_gives_the_decoder_back(decoders):
    entered = asyncio.Event()

    async def hold() -> None:
        async with decoders.lend() as decoder:
            decoder.start()
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await entered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert decoders.num_lent == 0
    async with decoders.lend() as decoder:
        decoder.start()
        assert decoder.finish().text == ""
