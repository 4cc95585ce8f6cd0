"""The filter that learns the way from the speaker to the microphone, and who is heard over it."""

from collections.abc import Iterator

import numpy as np
import pytest

from voxwire._live.adaptive import AdaptiveFilter, Split
from voxwire._live.double_talk import UserDetector
from voxwire.playout import Samples

SIZE = 160
RANDOM = np.random.default_rng(1)
WAY = RANDOM.standard_normal(1600) * np.exp(-np.arange(1600) / 300) * 0.05


def noise(seconds: float, level: float = 3000) -> Samples:
    return (RANDOM.standard_normal(round(seconds * 16_000)) * level).astype(np.int16)


def late(sound: Samples, samples: int, way: np.ndarray = WAY) -> np.ndarray:
    """What a microphone hears of it, some time later."""
    heard = np.fft.irfft(np.fft.rfft(sound, 1 << 18) * np.fft.rfft(way, 1 << 18))
    return np.concatenate((np.zeros(samples), heard))[: len(sound)]


def splits(filtered: AdaptiveFilter, near: np.ndarray, far: Samples) -> Iterator[Split]:
    whole = np.rint(near).astype(np.int16)
    for start in range(0, len(far) - SIZE + 1, SIZE):
        yield filtered.process(whole[start : start + SIZE], far[start : start + SIZE])


def left_db(found: list[Split], near: np.ndarray) -> float:
    """How loud what is left is beside the microphone, over the last second."""
    rest = np.concatenate([split.rest for split in found])[-16_000:].astype(float)
    return 10 * float(np.log10(np.square(rest).mean() / np.square(near[-16_000:]).mean()))


@pytest.mark.parametrize("delay_ms", [20, 300])
def test_an_echo_is_taken_out_wherever_it_comes_in(delay_ms: int) -> None:
    far = noise(4)
    near = late(far, delay_ms * 16)
    assert left_db(list(splits(AdaptiveFilter(), near, far)), near) < -25


def test_it_says_how_much_of_the_echo_may_be_left() -> None:
    far = noise(4)
    found = list(splits(AdaptiveFilter(), late(far, 1600), far))
    assert found[12].doubt > found[12].echo_power
    assert found[-1].doubt < found[-1].echo_power / 30
    assert max(split.rest_power / split.doubt for split in found[-100:]) < 8


def test_a_user_who_speaks_stays_and_unteaches_nothing() -> None:
    far, user = noise(6), np.zeros(6 * 16_000)
    user[3 * 16_000 : 5 * 16_000] = noise(2, level=2000)
    echo = late(far, 1600)
    found = list(splits(AdaptiveFilter(), echo + user, far))
    during = np.concatenate([split.rest for split in found])[3 * 16_000 : 5 * 16_000]
    spoken = user[3 * 16_000 : 5 * 16_000]
    assert np.square(during - spoken).mean() < np.square(spoken).mean() / 30
    assert left_db(found, echo) < -20


def test_another_way_is_learnt_anew() -> None:
    far = noise(8)
    near = late(far, 1600)
    near[64_000:] = late(far, 4000, WAY[::-1])[64_000:]
    filtered = AdaptiveFilter()
    found = list(splits(filtered, near, far))
    assert found[405].louder
    assert found[440].doubt > 100 * found[390].doubt
    assert left_db(found, near) < -20


def test_the_microphone_is_untouched_when_nothing_was_played() -> None:
    near, filtered = noise(1), AdaptiveFilter()
    found = splits(filtered, near, np.zeros_like(near))
    assert np.array_equal(np.concatenate([split.rest for split in found]), near)


def split_of(rest: float, *, echo: float = 1e4, doubt: float = 1e3, louder: bool = False) -> Split:
    return Split(np.zeros(SIZE, np.int16), rest, echo, doubt, louder)


@pytest.mark.parametrize(
    ("split", "heard"),
    [
        (split_of(2e4), True),
        (split_of(7e3), False),  # too near to what may be left of the echo
        (split_of(2e4, echo=1e5), False),  # what a filter that is a little off leaves
        (split_of(2e4, louder=True), False),  # what a filter that is wrong leaves
        (split_of(10.0, doubt=1.0), True),  # nobody else sounds
    ],
)
def test_who_is_heard_over_the_bot(split: Split, heard: bool) -> None:
    detector = UserDetector()
    assert [detector.take(split) for _ in range(4)][-1] is heard


def test_a_user_is_heard_after_30_ms_and_300_ms_longer() -> None:
    detector = UserDetector()
    said = [detector.take(split_of(1e6)) for _ in range(5)]
    after = [detector.take(split_of(1e3)) for _ in range(40)]
    assert said == [False, False, True, True, True]
    assert after.count(True) == after.index(False) == 29


def test_what_was_said_before_the_bot_sounds_holds_nothing_open() -> None:
    detector = UserDetector()
    for _ in range(50):
        assert detector.take(split_of(1e6, doubt=0.0))
    assert not detector.take(split_of(1e3))
