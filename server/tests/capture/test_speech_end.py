"""Where speech ends in the user's audio."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxwire_server.capture.speech_end import VoiceTail
from voxwire_server.pcm import first_sound_ms

RATE = 16_000
BLOCK = RATE // 50


def tone(ms: float, level: int = 9000) -> NDArray[np.int16]:
    """A square wave: every sample is as loud as the last one."""
    count = round(RATE * ms / 1000)
    return np.where(np.arange(count) // 40 % 2, level, -level).astype(np.int16)


def silence(ms: float) -> NDArray[np.int16]:
    return np.zeros(round(RATE * ms / 1000), np.int16)


def fed(samples: NDArray[np.int16], *, late_ms: list[float] | None = None) -> VoiceTail:
    """Blocks of 20 ms; the n-th came when its last sample was captured, and late_ms[n] later."""
    tail = VoiceTail(sample_rate=RATE)
    for number, start in enumerate(range(0, len(samples), BLOCK)):
        late = late_ms[number % len(late_ms)] if late_ms else 0.0
        tail.add(samples[start : start + BLOCK].tobytes(), (number + 1) * 20 + late, index=start)
    return tail


@given(speech_ms=st.integers(100, 4000), late=st.lists(st.floats(0, 80), min_size=1, max_size=9))
def test_the_last_sample_of_speech_is_found_whatever_the_network_does(
    speech_ms: int, late: list[float]
) -> None:
    samples = np.concatenate([tone(speech_ms), silence(300)])
    end = fed(samples, late_ms=late).end(speech_ms + 40, speech_ms + 300 + 80)
    assert end is not None
    assert end.capture_ms is not None and abs(end.capture_ms - speech_ms) < 0.1
    last = [late[n % len(late)] for n in range((speech_ms - 1) // 20, (speech_ms + 300) // 20)]
    assert speech_ms - 0.1 <= end.at_ms <= speech_ms + min(last) + 0.1


def test_noise_below_speech_does_not_hide_its_end() -> None:
    rng = np.random.default_rng(1)
    samples = np.concatenate([tone(800), silence(300)]).astype(int)
    noisy = (samples + rng.integers(-200, 200, len(samples))).astype(np.int16)
    end = fed(noisy).end(830, 1100)
    assert end is not None and abs(end.at_ms - 800) < 1


def test_what_the_audio_does_not_show_is_left_to_the_vad() -> None:
    assert VoiceTail(sample_rate=RATE).end(0, 0) is None
    assert fed(silence(500)).end(300, 500) is None
    assert fed(tone(500)).end(300, 500) is None, "it is loud all the time"
    quiet_end = np.concatenate([tone(200), silence(1500)])
    assert fed(quiet_end).end(1500, 1700) is None, "it is far from what the VAD says"


def test_only_the_last_seconds_are_kept() -> None:
    tail = fed(np.concatenate([tone(60_000), silence(300)]))
    assert sum(len(block.pcm) for block in tail._blocks) <= 2.1 * RATE * 2


def test_audio_without_numbers_has_no_capture_position() -> None:
    tail = VoiceTail(sample_rate=RATE)
    tail.add(tone(100).tobytes(), 100)
    tail.add(silence(300).tobytes(), 400)
    end = tail.end(120, 400)
    assert end is not None and end.capture_ms is None and abs(end.at_ms - 100) < 0.1


def test_the_first_audible_sample() -> None:
    assert first_sound_ms(b"", 1000) is None
    assert first_sound_ms(np.array([0, 33, -33], np.int16).tobytes(), 1000) is None
    assert first_sound_ms(np.array([0, 5, -34, 0], np.int16).tobytes(), 1000) == 2
    assert first_sound_ms(np.array([0, -32768], np.int16).tobytes(), 1000) == 1
