"""A room in which a live speaker is heard by a live microphone, block by block.

The real live speaker and microphone of the client stand in it, with their buffers and what deals
with echo; devices, air and clocks are made here. Nothing waits: minutes pass as fast as they are
computed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from voxwire._live.echo import EchoFilter
from voxwire._live.microphone import LiveMicrophone
from voxwire._live.speaker import LiveSpeaker
from voxwire._live.stretch import Stretch
from voxwire.playout import Block, Samples
from voxwire_protocol.clocks import SystemClock

PLAYOUT_RATE: Final = 24_000
CAPTURE_RATE: Final = 16_000
BLOCK_MS: Final = 20
DEVICE_MS: Final = 10
GAIN: Final = 0.5
"""Of the way from the speaker to the microphone: a loud laptop."""


class Acoustics(NamedTuple):
    """What a room does to a sound: how long it rings, and how loud that is beside the sound.

    Attributes:
        rt60_s: Until it is 60 dB quieter, seconds.
        direct_db: The direct sound above all that is reflected, dB.
    """

    rt60_s: float
    direct_db: float


ROOMS: Final = {
    "desk": Acoustics(0.15, 6),
    "living room": Acoustics(0.35, 3),
    "meeting room": Acoustics(0.5, 3),
}


def impulse_response(acoustics: Acoustics, sample_rate: int, seed: int = 1) -> np.ndarray:
    """Direct sound, then reflections that decay; energy 1."""
    size = round(acoustics.rt60_s * sample_rate)
    tail = np.random.default_rng(seed).standard_normal(size)
    tail *= 10 ** (-3 * np.arange(size) / size)
    tail[: sample_rate // 500] = 0  # the nearest wall is 2 ms away
    tail /= np.sqrt(np.square(tail).sum() * 10 ** (acoustics.direct_db / 10))
    tail[0] = 1.0
    return tail / np.sqrt(np.square(tail).sum())


class Air:
    """Brings what a speaker plays to a microphone: late, reflected, and at another clock's rate."""

    def __init__(self, response: np.ndarray, *, delay_samples: int, ratio: float) -> None:
        self._response = response
        self._carry = np.zeros(len(response) - 1)
        self._stretch = Stretch()
        self._ratio = ratio
        self._waiting = np.zeros(delay_samples, np.float32)

    def play(self, samples: Samples) -> None:
        size = len(samples) + len(self._response) - 1
        power = 1 << (size - 1).bit_length()
        spectrum = np.fft.rfft(samples, power) * np.fft.rfft(self._response, power)
        sound = np.fft.irfft(spectrum, power)[:size]
        sound[: len(self._carry)] += self._carry
        self._carry = sound[len(samples) :]
        arrived = (sound[: len(samples)] * GAIN).astype(np.float32)
        made = self._stretch.feed(arrived, self._ratio)
        self._waiting = np.concatenate((self._waiting, made))

    def hear(self, num_samples: int) -> np.ndarray:
        heard, self._waiting = self._waiting[:num_samples], self._waiting[num_samples:]
        return np.concatenate((heard, np.zeros(num_samples - len(heard), np.float32)))


class HandClock(SystemClock):
    """Is set."""

    def __init__(self) -> None:
        self.at_ms = 0.0

    def now_ms(self) -> float:
        return self.at_ms


@dataclass
class Rig:
    """A session's live speaker and microphone, and their devices, in a room.

    Attributes:
        echo: What deals with echo.
        room: How it sounds.
        delay_ms: From the speaker's callback to the microphone's, devices included.
        drift_ppm: How much faster the microphone's clock is than the speaker's.
        device_rate: Of both, Hz.
        volume: Of the speaker.
        noise: Standard deviation of the microphone's own noise.
    """

    echo: EchoFilter
    room: Acoustics
    delay_ms: float
    drift_ppm: float = 0.0
    device_rate: int = CAPTURE_RATE
    volume: float = 1.0
    noise: float = 5.0
    heard: list[Samples] = field(default_factory=list)
    """What the session is given."""
    raw: list[Samples] = field(default_factory=list)
    """What the microphone's device heard, at its rate."""
    near: Callable[[int], np.ndarray] = np.zeros
    """Gives the user's next samples at the device's rate."""

    def __post_init__(self) -> None:
        self.clock = HandClock()
        self.speaker = LiveSpeaker(self.clock)
        self.microphone = LiveMicrophone(self.clock, self.echo, self.speaker.take_reference)
        self.speaker.attach(self.device_rate)
        self.speaker.open(PLAYOUT_RATE)
        self.speaker.volume = self.volume
        self.microphone.attach(self.device_rate)
        self._speed = (1 - self.drift_ppm / 2e6, 1 + self.drift_ppm / 2e6)
        self._air = Air(
            impulse_response(self.room, self.device_rate),
            delay_samples=round(self.delay_ms * self.device_rate / 1000),
            ratio=self._speed[1] / self._speed[0],
        )
        self._random = np.random.default_rng(2)
        self._blocks = [0, 0, 0]

    def run(self, far: Samples) -> None:
        """Plays that, 24 kHz, and lets the session hear what comes of it."""
        steps = (self._play, self._hear, self._tick)
        at = 0
        while at + 480 <= len(far):
            due = [
                self._blocks[0] * DEVICE_MS / self._speed[0],
                self._blocks[1] * DEVICE_MS / self._speed[1] + 1,
                self._blocks[2] * BLOCK_MS + 2.0,
            ]
            turn = due.index(min(due))
            self.clock.at_ms = due[turn]
            self._blocks[turn] += 1
            steps[turn](far[at : at + 480])
            at += 480 if turn == 2 else 0

    def _play(self, _: Samples) -> None:
        self._air.play(self.speaker.give(self.device_rate * DEVICE_MS // 1000))

    def _hear(self, _: Samples) -> None:
        size = self.device_rate * DEVICE_MS // 1000
        sound = self._air.hear(size) + self.near(size)
        sound += self._random.standard_normal(size) * self.noise
        block = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
        self.raw.append(block)
        self.microphone.take(block)

    def _tick(self, block: Samples) -> None:
        self.speaker.write(Block(block, (), 0), 0.0)
        self.heard.append(self.microphone.read(CAPTURE_RATE * BLOCK_MS // 1000))

    def echo_loss_db(self, after_s: float) -> float:
        """How much quieter the session hears the bot than the device does, from then on."""
        raw = np.concatenate(self.raw)[round(after_s * self.device_rate) :]
        heard = np.concatenate(self.heard)[round(after_s * CAPTURE_RATE) :]
        return 10 * float(np.log10(_power(raw) / max(_power(heard), 1e-3)))


def _power(samples: Samples) -> float:
    return float(np.mean(np.square(samples.astype(np.float64))))


def music(seconds: float, sample_rate: int = PLAYOUT_RATE) -> Samples:
    """Chords that change, a melody and a beat: broad, and periodic as speech is not."""
    at = np.arange(round(seconds * sample_rate)) / sample_rate
    beat = (at * 2).astype(int)
    into = at * 2 - beat
    sound = np.zeros(len(at))
    roots = np.array([220.0, 174.6, 261.6, 196.0])[beat // 2 % 4]
    for interval, level in ((1, 1.0), (1.26, 0.7), (1.5, 0.7), (2, 0.4), (3, 0.3), (4.02, 0.2)):
        sound += level * np.sin(2 * np.pi * np.cumsum(roots * interval) / sample_rate)
    steps = np.array([1, 1.125, 1.26, 1.5, 1.68, 2, 1.5, 1.26])[beat % 8]
    sound += (
        0.8 * np.sin(2 * np.pi * np.cumsum(roots * 2 * steps) / sample_rate) * np.exp(-3 * into)
    )
    noise = np.random.default_rng(3).standard_normal(len(at))
    sound += 1.5 * noise * np.exp(-25 * into)
    return np.rint(sound * 8000 / np.abs(sound).max()).astype(np.int16)
