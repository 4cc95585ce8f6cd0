"""A recogniser of what the offline bot says of the weather: pocketsphinx with a grammar of its own.

The decoder is the one that the bot hears its users with; its words are those of the bot's side.
"""

from itertools import chain
from typing import Any, Final

import numpy as np
import soxr
from numpy.typing import NDArray

from voxwire_server.bots.offline.decoders import SAMPLE_RATE, SLICE_BYTES, Decoder
from voxwire_server.bots.offline.tools import weather

__all__ = ["as_spoken", "heard_of_weather"]

_UNITS: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS: Final = ("twenty", "thirty")
_NAME: Final = "replies"


def _number(value: int) -> str:
    if value < 20:
        return _UNITS[value]
    tens, unit = divmod(value, 10)
    return f"{_TENS[tens - 2]} {_UNITS[unit]}" if unit else _TENS[tens - 2]


def as_spoken(text: str) -> list[str]:
    """The words of a text as they are spoken: lower case, no punctuation, numbers in words."""
    words = text.lower().replace(".", "").replace(",", "").replace("-", " ").split()
    spoken = [_number(int(word)) if word.isdigit() else word for word in words]
    return " ".join(spoken).split()


def _grammar() -> str:
    days = list(chain.from_iterable(each.values() for each in weather().values()))
    conditions = sorted({day["condition"] for day in days})
    numbers = " | ".join(_number(value) for value in range(40))
    return (
        f"#JSGF V1.0;\ngrammar {_NAME};\n"
        f"<city> = {' | '.join(sorted(weather()))};\n"
        f"<condition> = {' | '.join(conditions)};\n"
        f"<number> = {numbers};\n"
        "public <said> = [let me check] in <city> it (is | will be) <condition> (today | tomorrow) "
        "with a high of <number> degrees and a low of [minus] <number>;\n"
    )


class _ReplyDecoder(Decoder):
    def __init__(self) -> None:
        super().__init__()
        from pocketsphinx import get_model_path

        words = {
            word.strip("()[]|;")
            for line in _grammar().splitlines()[2:]
            for word in line.partition("=")[2].split()
            if not word.startswith("<")
        } - {""}
        known: Any = self._decoder
        with open(get_model_path("en-us/cmudict-en-us.dict"), encoding="utf-8") as lines:
            for line in lines:
                entry, _, phones = line.strip().partition(" ")
                if entry.partition("(")[0] in words and known.lookup_word(entry) is None:
                    known.add_word(entry, phones.strip(), False)
        known.add_jsgf_string(_NAME, _grammar())
        known.activate_search(_NAME)


def heard_of_weather(samples: NDArray[np.int16], rate: int) -> list[str]:
    """The words that are heard in some sound; none where no whole answer fits.

    Args:
        samples: With the answer in it, and silence round it.
        rate: Hz.
    """
    pcm = soxr.resample(samples, rate, SAMPLE_RATE).astype("<i2").tobytes()
    decoder = _ReplyDecoder()
    decoder.start()
    for at in range(0, len(pcm), SLICE_BYTES):
        decoder.feed(pcm[at : at + SLICE_BYTES])
    return decoder.finish().text.split()
