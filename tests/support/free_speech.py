"""What people might say to the offline bot, and sounds that are no speech: two sets apart.

``TUNE`` is for choosing thresholds and words, ``HELD`` was written before and looked at last. Each
row: what is said, the intent, the slots.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["HELD", "NOISES", "TUNE", "noise"]

RATE = 16000
Row = tuple[str, str, dict[str, str]]

TUNE: tuple[Row, ...] = (
    ("could you tell me how warm it is in berlin", "weather", {"city": "berlin"}),
    ("will i need a coat in chicago tomorrow", "weather", {"city": "chicago", "day": "tomorrow"}),
    ("does it rain in seattle today", "weather", {"city": "seattle", "day": "today"}),
    ("is it cold outside", "weather", {}),
    (
        "i am looking for good sushi in tokyo",
        "restaurants",
        {"cuisine": "japanese", "city": "tokyo"},
    ),
    ("any place to eat pizza in rome", "restaurants", {"cuisine": "italian", "city": "rome"}),
    ("where should i have dinner in vienna", "restaurants", {"city": "vienna"}),
    ("do you have the time please", "time", {}),
    ("can you make me laugh", "joke", {}),
    ("read me a bedtime story", "story", {}),
    ("do you still know my name", "get_name", {}),
    ("you can call me david", "set_name", {"name": "david"}),
    ("i did not understand that", "repeat", {}),
    ("how are you today", "chat", {}),
    ("are you a real person", "chat", {}),
    ("what is your name", "chat", {}),
    ("that was really funny", "chat", {}),
    ("please book a table for two", "beyond", {}),
    ("play some music for me", "beyond", {}),
    ("what is in the news today", "beyond", {}),
)

HELD: tuple[Row, ...] = (
    ("is it going to be sunny in barcelona", "weather", {"city": "barcelona"}),
    ("tell me the temperature in singapore", "weather", {"city": "singapore"}),
    (
        "should i take an umbrella in london tomorrow",
        "weather",
        {"city": "london", "day": "tomorrow"},
    ),
    ("how cold does it get in toronto tonight", "weather", {"city": "toronto", "day": "today"}),
    (
        "i am hungry and i want indian food in london",
        "restaurants",
        {"cuisine": "indian", "city": "london"},
    ),
    (
        "can you recommend a french place in paris for lunch",
        "restaurants",
        {"cuisine": "french", "city": "paris"},
    ),
    (
        "do you know a nice greek restaurant in sydney",
        "restaurants",
        {"cuisine": "greek", "city": "sydney"},
    ),
    (
        "where do people eat tacos in chicago",
        "restaurants",
        {"cuisine": "mexican", "city": "chicago"},
    ),
    ("tell me what time it is right now", "time", {}),
    ("do you know any good jokes", "joke", {}),
    ("say something funny", "joke", {}),
    ("i would love to hear a fairy tale", "story", {}),
    ("do you remember my name", "get_name", {}),
    ("hi there my name is julia", "set_name", {"name": "julia"}),
    ("sorry could you say that again", "repeat", {}),
    ("how is it going", "chat", {}),
    ("who are you", "chat", {}),
    ("where do you live", "chat", {}),
    ("can you call my mother", "beyond", {}),
    ("set an alarm for seven o'clock", "beyond", {}),
)

NOISES = (
    *("hiss", "rumble", "hum", "clicks", "knocks"),
    *("siren", "chirps", "keys", "breath", "babble"),
)


def noise(kind: str, seed: int, seconds: float = 1.5) -> NDArray[np.int16]:
    """Make a sound that is no speech, as loud as speech: int16, mono, 16 kHz."""
    rng = np.random.default_rng(seed)
    size = int(seconds * RATE)
    t = np.arange(size) / RATE
    white = rng.normal(0, 1, size)
    made = _SOUNDS[kind](rng, t, white)
    made = made * np.minimum(1, np.minimum(t, t[::-1]) / 0.05)
    return (made / max(1e-9, np.abs(made).max()) * rng.uniform(3000, 16000)).astype(np.int16)


def _band(white: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(white)
    hertz = np.fft.rfftfreq(len(white), 1 / RATE)
    return np.fft.irfft(spectrum * ((hertz >= low) & (hertz <= high)), len(white))


def _bursts(rng, t, white, count, decay_s, low, high):
    out = np.zeros(len(t))
    band = _band(white, low, high)
    for at in rng.uniform(0.05, t[-1] - 0.1, count):
        out += band * np.where(t >= at, np.exp(-(t - at) / decay_s), 0)
    return out


def _babble(rng, t, white):
    """Vowel-like buzzes of many throats at once: formants that wander, no words."""
    out = np.zeros(len(t))
    for _ in range(6):
        pitch = rng.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(1, 4) * t))
        buzz = np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / RATE))
        low = rng.uniform(300, 800)
        out += _band(buzz, low, low * 3) * (1 + np.sin(2 * np.pi * rng.uniform(2, 5) * t))
    return out


_SOUNDS = {
    "hiss": lambda rng, t, white: white,
    "rumble": lambda rng, t, white: _band(white, 20, rng.uniform(150, 400)),
    "hum": lambda rng, t, white: sum(
        np.sin(2 * np.pi * k * rng.choice([50, 60, 120]) * t) / k for k in (1, 2, 3, 5)
    ),
    "clicks": lambda rng, t, white: _bursts(rng, t, white, 12, 0.004, 500, 7000),
    "knocks": lambda rng, t, white: _bursts(rng, t, white, 5, 0.03, 80, 600),
    "siren": lambda rng, t, white: np.sin(
        2 * np.pi * np.cumsum(700 + 300 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * t)) / RATE
    ),
    "chirps": lambda rng, t, white: (
        np.sin(2 * np.pi * np.cumsum(3000 + 1500 * ((t * 6) % 1)) / RATE) * ((t * 6) % 1 < 0.5)
    ),
    "keys": lambda rng, t, white: _bursts(rng, t, white, 9, 0.012, 1500, 7500),
    "breath": lambda rng, t, white: _band(white, 300, 5000) * np.sin(np.pi * ((t * 1.3) % 1)) ** 2,
    "babble": _babble,
}
