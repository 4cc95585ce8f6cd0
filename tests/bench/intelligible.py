"""How well a voice is understood: the bot's own sentences, as a recogniser hears them.

Word error is what has to be put in, taken out or changed in what was heard, a share of the words
that were said. Numbers are compared as words, whichever way either side writes them.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from num2words import num2words
from numpy.typing import NDArray

from voxwire_server.bots.offline import replies, tools
from voxwire_server.bots.offline.whisper import Whisper

SENTENCE = re.compile(r"(?<=[.!?]) ")
AROUND_S = 0.3
RATE = 16000

Say = Callable[[str], Awaitable[bytes]]
"""Speaks a sentence: int16 mono PCM at 16 kHz."""


@dataclass(frozen=True)
class Understood:
    """What became of a set of sentences."""

    errors: int
    words: int
    missed: tuple[tuple[str, str], ...]
    """Sentences that were heard otherwise, and as what."""

    @property
    def percent(self) -> float:
        """The word error."""
        return 100 * self.errors / self.words


def sentences() -> list[str]:
    """What the offline bot says: greeting, questions, weather, restaurants, jokes and its story."""
    forecasts = [
        {"city": city, "day": day, "found": True, **days[day]}
        for (city, days), day in zip(tools.weather().items(), cycle(("today", "tomorrow")))
    ]
    weather = [replies.tool_reply("get_weather", row) for row in forecasts[::2]]
    places = [replies.tool_reply("find_restaurant", row) for row in tools.restaurants()[::5]]
    said = [
        *(replies.GREETING, replies.FILLER, replies.NO_MAP, replies.TOO_FAR),
        *(replies.unknown_reply(list(replies.EXAMPLES)), replies.beyond_reply("play music", [])),
        *weather,
        *places,
        *tools.jokes(),
        *tools.story(),
    ]
    return [each for text in said for each in SENTENCE.split(text)]


def plain(text: str) -> list[str]:
    """The words of a text: lower case, no punctuation, numbers spelled out."""
    text = re.sub(r"(\d+)\.(\d)", r"\1 point \2", text.lower())
    text = re.sub(r"\d+", lambda found: f" {num2words(int(found[0]))} ", text)
    return re.sub(r"[^\w\s]", " ", text.replace("'", "")).split()


def distance(said: list[str], heard: list[str]) -> int:
    """The least number of words put in, taken out or changed."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(said, 1):
        before, row[0] = row[0], at
        for to, other in enumerate(heard, 1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (word != other))
    return row[-1]


async def understood(say: Say, ears: Whisper) -> Understood:
    """Has every sentence said and heard."""
    errors = words = 0
    missed: list[tuple[str, str]] = []
    for text in sentences():
        heard = await asyncio.to_thread(ears.hear, _samples(await say(text)))
        wrong = distance(plain(text), plain(heard.text))
        errors, words = errors + wrong, words + len(plain(text))
        if wrong:
            missed.append((text, heard.text))
    return Understood(errors, words, tuple(missed))


def _samples(pcm: bytes) -> NDArray[np.float32]:
    around = np.zeros(int(AROUND_S * RATE), np.float32)
    said = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
    return np.concatenate([around, said, around])


def ears_of(folder: Path | None) -> Whisper:
    """A recogniser that is told nothing of what may be said."""
    return Whisper(folder=folder)
