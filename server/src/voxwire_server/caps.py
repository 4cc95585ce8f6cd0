"""What a user, or a bot, may cost a day, and how it is written.

Pure: ``wall_s`` are seconds since the epoch. A day is one of UTC: one number for each amount says
all that there is to know of it, every process of a service begins it at the same moment, and
whoever is refused can be told when the next one begins.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, cast

__all__ = [
    "NOTHING",
    "Amounts",
    "CapReachedError",
    "Caps",
    "Payer",
    "day_of",
    "nearly",
    "rest_of_day_ms",
    "used_up",
]

_DAY_S: Final = 86_400
_MOST: Final = 10**12
_WHAT: Final = {
    "seconds": "session time",
    "turns": "turns",
    "llm_tokens": "language model tokens",
    "tts_characters": "speech synthesis characters",
}


class Amounts(NamedTuple):
    """What was spent.

    Attributes:
        seconds: Time in sessions.
        turns: Times that the user said, typed or sent something.
        llm_tokens: Tokens that language models read and wrote, as far as they say so.
        tts_characters: Characters that synthesisers were given, as far as they say so.
    """

    seconds: int = 0
    turns: int = 0
    llm_tokens: int = 0
    tts_characters: int = 0

    def plus(self, more: "Amounts") -> "Amounts":
        """Both."""
        return Amounts(*(a + b for a, b in zip(self, more, strict=True)))

    def minus(self, less: "Amounts") -> "Amounts":
        """What is left."""
        return Amounts(*(a - b for a, b in zip(self, less, strict=True)))


NOTHING: Final = Amounts()


class Caps(NamedTuple):
    """The most of each a day; None = as much as is wanted."""

    seconds: int | None = None
    turns: int | None = None
    llm_tokens: int | None = None
    tts_characters: int | None = None

    @classmethod
    def parse(cls, notation: str) -> "Caps":
        """Read ``seconds=3600,turns=500,llm_tokens=200000,tts_characters=100000``.

        Args:
            notation: Any of them, in any order; empty = no caps.

        Raises:
            ValueError: It is something else; the text says how to write it.
        """
        caps: dict[str, int] = {}
        for part in filter(None, map(str.strip, notation.split(","))):
            name, _, number = (piece.strip() for piece in part.partition("="))
            if name not in cls._fields or not (number.isascii() and number.isdigit()):
                raise ValueError(f"write it as seconds=3600,turns=500: {', '.join(cls._fields)}")
            if name in caps:
                raise ValueError(f"{name} is there twice")
            caps[name] = _checked(name, int(number) if len(number) <= len(str(_MOST)) else 0)
        return cls(**caps)

    @classmethod
    def of(cls, given: object) -> "Caps":
        """Read ``{"seconds": 3600, "turns": 500}``, as a bot says it.

        Args:
            given: A mapping with any of them; empty = no caps.

        Raises:
            ValueError: It is something else; the text says how to write it.
        """
        names = ", ".join(cls._fields)
        wrong = ValueError(f'write it as {{"seconds": 3600, "turns": 500}}: {names}')
        if not isinstance(given, Mapping):
            raise wrong
        caps: dict[str, int] = {}
        for name, number in cast("Mapping[object, object]", given).items():
            if not isinstance(name, str) or name not in cls._fields or type(number) is not int:
                raise wrong
            caps[name] = _checked(name, number)
        return cls(**caps)

    @property
    def notation(self) -> str:
        """What :meth:`parse` reads."""
        given = self._asdict().items()
        return ",".join(f"{name}={cap}" for name, cap in given if cap is not None)

    def or_else(self, other: "Caps") -> "Caps":
        """Each that it has, and of the rest the other's."""
        return Caps(*(b if a is None else a for a, b in zip(self, other, strict=True)))

    def within(self, other: "Caps") -> "Caps":
        """The lower of both, each."""
        lower = (
            min((cap for cap in pair if cap is not None), default=None)
            for pair in zip(self, other, strict=True)
        )
        return Caps(*lower)

    def left_of(self, spent: Amounts) -> Iterator[tuple[str, int, int]]:
        """Of each that has a cap: its name, its cap, and what is left; below 0 = too much."""
        for name, cap, so_far in zip(self._fields, self, spent, strict=True):
            if cap is not None:
                yield name, cap, cap - so_far


def _checked(name: str, number: int) -> int:
    if not 1 <= number <= _MOST:
        raise ValueError(f"{name} is 1 to {_MOST} a day")
    return number


def day_of(wall_s: float) -> int:
    """Which day it is, UTC, in days since the epoch."""
    return int(wall_s // _DAY_S)


def rest_of_day_ms(wall_s: float) -> int:
    """How long it goes on, milliseconds; 1 at least."""
    return max(1, math.ceil((_DAY_S - wall_s % _DAY_S) * 1000))


class Payer(NamedTuple):
    """Whose day it is.

    Attributes:
        whose: ``user`` or ``bot``.
        name: Its name.
    """

    whose: str
    name: str


def used_up(whose: str, name: str) -> str:
    """What is told when nothing is left; it names nobody."""
    return f"this {whose} has used up the day's {_WHAT[name]}; the next day begins at 00:00 UTC"


def nearly(whose: str, name: str) -> str:
    """What is told before."""
    return f"this {whose} has nearly used up the day's {_WHAT[name]}"


class CapReachedError(Exception):
    """A user or a bot has had all that there is for the day.

    Args:
        whose: ``user`` or ``bot``.
        name: Of what.
        wall_s: When it is.

    Attributes:
        name: Of what.
        reason: One sentence that names nobody.
        retry_after_ms: How long until the next day, milliseconds.
    """

    def __init__(self, whose: str, name: str, wall_s: float) -> None:
        self.name = name
        self.reason = used_up(whose, name)
        super().__init__(self.reason)
        self.retry_after_ms = rest_of_day_ms(wall_s)
