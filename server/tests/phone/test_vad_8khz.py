"""Speech over the telephone: short words at 8 kHz fire the voice detector as they are."""

import numpy as np
import pytest
from pipecat.audio.vad.vad_analyzer import VADState

from tests.support.espeak import VOICES, render_pcm, shared_espeak
from voxwire_server.capture.resampled import Resampled
from voxwire_server.phone.g711 import ALAW, MULAW, Encoding
from voxwire_server.phone.tones import KEYS, tones
from voxwire_server.pipeline.vad.analyzer import PHONE_PARAMS, BatchedSileroVADAnalyzer

RATE, BLOCK = 8000, 160


async def states_of(pcm: bytes, encoding: Encoding) -> list[VADState]:
    """What the detector says, block by block, of sound that came by a telephone."""
    analyzer = BatchedSileroVADAnalyzer(sample_rate=16_000, params=PHONE_PARAMS)
    analyzer.set_sample_rate(16_000)
    up, found = Resampled(RATE, 16_000), []
    quiet = bytes(RATE)
    sound = quiet + pcm + quiet
    for at in range(0, len(sound), 2 * BLOCK):
        written = encoding.encode(sound[at : at + 2 * BLOCK])
        found.append(await analyzer.analyze_audio(up.take(encoding.decode(written))))
    await analyzer.cleanup()
    return found


@pytest.mark.parametrize("encoding", [MULAW, ALAW], ids=["mulaw", "alaw"])
async def test_a_short_stop_fires_in_every_voice(encoding: Encoding) -> None:
    missed: list[tuple[str, float]] = []
    for voice in VOICES:
        for gain in (1.0, 0.5):
            pcm, _ = await render_pcm("stop", voice=voice, sample_rate=RATE, gain=gain)
            loud = np.abs(np.frombuffer(pcm, "<i2").astype(int)) > 300
            assert np.count_nonzero(loud) < 0.8 * RATE
            if VADState.SPEAKING not in await states_of(pcm, encoding):
                missed.append((voice, gain))
    await shared_espeak().aclose()
    assert missed == []


def noises() -> dict[str, bytes]:
    """What is on a line and is no voice: 4 s of each."""
    chance, seconds = np.random.default_rng(17), np.arange(4 * RATE) / RATE
    hiss = chance.standard_normal(4 * RATE)
    brown = np.cumsum(hiss)
    clicks = np.zeros(4 * RATE)
    clicks[chance.integers(0, 4 * RATE, 40)] = 1
    found = {
        **{f"hiss {level}": level * hiss for level in (50, 300, 2000)},
        "rumble": 2000 * brown / np.abs(brown).max(),
        "hum": 3000 * np.sin(2 * np.pi * 50 * seconds),
        "dial tone": 4000 * np.sin(2 * np.pi * 425 * seconds),
        "ringing": 4000 * np.sin(2 * np.pi * 440 * seconds) * (seconds % 3 < 1),
        "clicks": 20_000 * clicks,
    }
    sounds = {name: sound.astype("<i2").tobytes() for name, sound in found.items()}
    return {**sounds, "keys": tones("".join(KEYS), RATE)}


@pytest.mark.parametrize("name", noises())
async def test_what_is_no_voice_does_not_fire(name: str) -> None:
    assert VADState.SPEAKING not in await states_of(noises()[name], MULAW)
