"""Free wording in three voices is understood; noise is not taken for speech."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator

import numpy as np
import pytest
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from tests.support.espeak import render_pcm
from tests.support.free_speech import HELD, NOISES, noise
from voxwire_server.bots.offline import ears as ears_module
from voxwire_server.bots.offline.decoders import SAMPLE_RATE
from voxwire_server.bots.offline.ears import EarsClient, have_ears, shared_ears
from voxwire_server.bots.offline.intents import UNKNOWN_TEXT, parse
from voxwire_server.bots.offline.log_mel import log_mel
from voxwire_server.bots.offline.phrases import speak_pcm
from voxwire_server.bots.offline.stt import SphinxSTTService
from voxwire_server.bots.offline.whisper_tokens import without_repeats

pytestmark = pytest.mark.skipif(not have_ears(), reason="the extra offline-ears is not installed")
START, STOP = VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame


@pytest.fixture
async def ears() -> AsyncIterator[EarsClient]:
    client = shared_ears()
    yield client
    await client.aclose()


class Prompt(SphinxSTTService):
    """Takes no more sound in before what it has is decoded, as in a call: when the ears are asked,
    and of how much, is then no matter of the machine's load.
    """

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None]:
        async for each in super().run_stt(audio):
            yield each
        while self._utterance is not None and self._utterance.is_behind:
            await asyncio.sleep(0)
        await asyncio.sleep(0)


class Ear:
    """A running recogniser; voice activity is given by hand."""

    def __init__(self, worker, probe) -> None:
        self._worker = worker
        self._probe = probe

    async def hear(self, pcm: bytes) -> str:
        count = len(self._probe.of(TranscriptionFrame))
        audio = silence(400) + pcm + silence(200)
        frames = [
            InputAudioRawFrame(audio[at : at + 640], SAMPLE_RATE, 1)
            for at in range(0, len(audio), 640)
        ]
        await self._worker.queue_frames([START(), *frames, STOP()])
        finals = lambda: self._probe.of(TranscriptionFrame)  # noqa: E731
        await self._probe.wait(lambda: len(finals()) > count)
        return finals()[count].text


@pytest.fixture
async def ear(ears, decoders, run_pipeline, make_probe) -> AsyncIterator[Ear]:
    await ears.start()
    probe, stt = make_probe(), Prompt(pool=decoders, resume_ms=100)
    async with run_pipeline(stt, probe, probe=probe) as worker:
        yield Ear(worker, probe)


def silence(ms: int) -> bytes:
    floor = np.random.default_rng(1).normal(0, 8, SAMPLE_RATE * ms // 1000)
    return floor.astype(np.int16).tobytes()


async def spoken(text: str, voice: str) -> bytes:
    if voice == "hibari":
        return await speak_pcm(text)
    pcm, _ = await render_pcm(text, voice=voice)
    return pcm


@pytest.mark.parametrize(("voice", "least"), [("hibari", 19), ("en-us+f3", 16), ("en-us+m3", 16)])
async def test_free_wording_is_understood(ear, bot_voice, espeak, voice, least):
    """85 of 100 in all: a recogniser takes a fifth of espeak-ng's words for others."""
    wrong: list[str] = []
    for text, intent, slots in HELD:
        understood = parse(await ear.hear(await spoken(text, voice)))
        if (understood.intent, dict(understood.slots)) != (intent, slots):
            wrong.append(f"{text}: {understood}")
    print(f"{voice}: {len(HELD) - len(wrong)} of {len(HELD)} understood")
    assert len(HELD) - len(wrong) >= least, "\n".join(wrong)


@pytest.mark.parametrize("kind", NOISES)
async def test_noise_is_not_taken_for_speech(ear, kind):
    for seed in (101, 102):
        assert await ear.hear(noise(kind, seed).tobytes()) == UNKNOWN_TEXT


async def test_a_phrase_of_the_grammar_is_said_as_the_grammar_has_it(ear, espeak):
    pcm = await spoken("what is the weather in paris tomorrow", "en-us")
    assert await ear.hear(pcm) == "what is the weather in paris tomorrow"


async def test_ears_that_die_are_replaced(ears, bot_voice):
    pcm = silence(300) + await speak_pcm("could you find me some sushi in tokyo")
    await ears.start()
    old = ears.pid
    os.kill(old, signal.SIGKILL)
    guess = await ears.hear(pcm)
    assert "tokyo" in guess.text.lower() and guess.score > -0.5
    assert ears.pid not in (None, old)


async def test_without_the_extra_the_grammar_hears_alone(
    decoders, espeak, run_pipeline, make_probe, monkeypatch
):
    monkeypatch.setattr(ears_module, "has", lambda *_: False)
    monkeypatch.setattr("voxwire_server.bots.offline.stt.have_ears", lambda: False)
    probe, stt = make_probe(), SphinxSTTService(pool=decoders, resume_ms=100)
    async with run_pipeline(stt, probe, probe=probe) as worker:
        ear = Ear(worker, probe)
        assert await ear.hear(await spoken("what time is it", "en-us")) == "what time is it"
        assert await ear.hear(await spoken("who won the match", "en-us")) == UNKNOWN_TEXT
        assert shared_ears().pid is None


def test_features_are_whispers():
    """A tone is loudest in its band; silence is the floor, 8 decades below at most."""
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    bands = log_mel(np.sin(2 * np.pi * 1000 * t).astype(np.float32), 200)
    assert bands.shape == (80, 200)
    assert 23 <= int(bands[:, 50].argmax()) <= 28
    assert bands.max() - bands.min() <= 2.0 + 1e-6
    assert np.allclose(bands[:, 150], bands.min())


def test_what_a_short_window_repeats_is_cut_off():
    assert without_repeats("Stop. Stop. Stop. Stop.") == "Stop."
    assert without_repeats("Tell me a joke. Tell me a joke.") == "Tell me a joke."
    assert without_repeats("It is very very cold.") == "It is very very cold."
