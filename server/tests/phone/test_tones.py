"""Tones of keys: the two frequencies of each, and nothing else."""

import numpy as np
import pytest

from voxwire_server.phone.g711 import MULAW
from voxwire_server.phone.tones import KEYS, tones

RATE = 8000
PIECE = RATE * 180 // 1000


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_two_sines_also_over_the_telephone(key: str) -> None:
    pcm = MULAW.decode(MULAW.encode(tones(key, RATE)))
    samples = np.frombuffer(pcm, "<i2").astype(float)
    assert len(samples) == PIECE
    spectrum = np.abs(np.fft.rfft(samples[:800] * np.hanning(800)))
    found = sorted(np.argsort(spectrum)[-6:] * 10)  # bins of 10 Hz; a window is three wide
    for wanted in KEYS[key]:
        assert min(abs(at - wanted) for at in found) <= 10
    assert np.abs(samples).max() < 20_000


def test_keys_follow_each_other_with_pauses() -> None:
    samples = np.frombuffer(tones("12", RATE), "<i2")
    assert len(samples) == 2 * PIECE
    assert not samples[800:PIECE].any()
    assert samples[PIECE : PIECE + 800].any()
    assert tones("", RATE) == b""
    with pytest.raises(KeyError):
        tones("x", RATE)
