"""From spelling to sounds, as coarsely as loudness and spectrum can tell sounds apart.

Pure. Every word becomes a few *sounds* of seven kinds; the aligner looks for them in the audio.
Spelling rules are English; letters of other alphabets become sounds that may be anything.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

__all__ = ["PAUSE_MARKS", "Kind", "sounds_of", "spoken_form"]


class Kind(IntEnum):
    """What a sound looks like in the audio."""

    PAUSE = 0
    VOWEL = 1
    SONORANT = 2
    """Voiced and soft: m, n, l, r, w, y."""
    SIBILANT = 3
    """Bright noise: s, z, sh, ch, j."""
    BREATH = 4
    """Soft noise: f, v, th, h."""
    STOP = 5
    """A closure, then perhaps a burst: p, t, k, b, d, g."""
    ANY = 6
    """A letter that says nothing about its sound."""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    kinds: tuple[Kind, ...]


def _rules(*rows: tuple[str, str]) -> tuple[_Rule, ...]:
    names = {
        "V": Kind.VOWEL,
        "N": Kind.SONORANT,
        "S": Kind.SIBILANT,
        "H": Kind.BREATH,
        "P": Kind.STOP,
        "-": Kind.PAUSE,
    }
    return tuple(
        _Rule(re.compile(pattern), tuple(names[n] for n in kinds)) for pattern, kinds in rows
    )


_RULES: Final = _rules(
    (r"^kn|^gn|^wr|mb$|mn$", "N"),
    (r"^who", "HV"),
    (r"^wh", "N"),
    (r"^one$", "NVN"),
    (r"^once$", "NVNS"),
    (r"tion|sion", "SVN"),
    (r"cious|tious", "SVS"),
    (r"ture$", "SV"),
    (r"igh|ough$|eigh|augh", "V"),
    (r"tch|sch", "S"),
    (r"sh|ch", "S"),
    (r"th|ph", "H"),
    (r"ck", "P"),
    (r"ng$", "N"),
    (r"ng", "NP"),
    (r"qu", "PN"),
    (r"dge|dg", "S"),
    (r"[sx]c(?=[eiy])", "S"),
    (r"ss|s|z+", "S"),
    (r"x", "PS"),
    (r"c(?=[eiy])", "S"),
    (r"j|g(?=[ei])", "S"),
    (r"ff?|v", "H"),
    (r"h(?=[aeiouy])", "H"),
    (r"h", ""),
    (r"mm?|nn?|ll?|rr?|w|y(?=[aeiou])", "N"),
    (r"pp?|tt?|[kck]+|bb?|dd?|gg?|q", "P"),
    (r"(?<=[bcdfghjklmnpqrstvwxz])(e|es|ed)$(?<![td]ed)(?<![sxz]es)", ""),
    (r"ia|io|eo|ua|ue(?=[a-z])|iou", "VV"),
    (r"[aeiou]+[yw](?![aeiou])|[aeiouy]+", "V"),
)

PAUSE_MARKS: Final = {",": 1, ";": 2, ":": 2, "—": 2, "–": 2, "…": 3, ".": 3, "!": 3, "?": 3}
"""Punctuation at which speech may pause, by how sure that is (1 to 3)."""

_SMALL: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS: Final = [
    "x",
    "x",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
]
_SIGNS: Final = {
    "%": "percent",
    "$": "dollars",
    "€": "euros",
    "£": "pounds",
    "°": "degrees",
    "&": "and",
    "+": "plus",
    "@": "at",
}


def _number(value: int) -> str:
    if value < 20:
        return _SMALL[value]
    if value < 100:
        rest = f" {_SMALL[value % 10]}" if value % 10 else ""
        return _TENS[value // 10] + rest
    if value < 1000:
        rest = f" {_number(value % 100)}" if value % 100 else ""
        return f"{_SMALL[value // 100]} hundred{rest}"
    if 1100 <= value < 2100 and value // 100 % 10:
        rest = _number(value % 100) if value % 100 else "hundred"
        return f"{_number(value // 100)} {rest}"
    if value < 1_000_000:
        rest = f" {_number(value % 1000)}" if value % 1000 else ""
        return f"{_number(value // 1000)} thousand{rest}"
    return " ".join(_SMALL[int(digit)] for digit in str(value))


def spoken_form(word: str) -> str:
    """How a word is said: digits and signs spelled out, accents dropped, lower case."""
    word = re.sub(r"(?<=\d),(?=\d{3})", "", word)
    word = re.sub(r"\d+", lambda m: f" {_number(int(m.group()[:9]))} ", word)
    word = re.sub(r"(?<= )\.(?= )", " point ", word)
    for sign, name in _SIGNS.items():
        word = word.replace(sign, f" {name} ")
    if re.fullmatch(r"[A-Z]{2,4}s?[.,!?]*", word):  # letters, one by one
        word = " ".join(word.strip(".,!?"))
    word = unicodedata.normalize("NFD", word.lower())
    return "".join(c for c in word if not unicodedata.combining(c))


def sounds_of(word: str) -> list[Kind]:
    """The sounds of a word in order; none for a token without letters or digits."""
    kinds: list[Kind] = []
    for part in re.findall(r"[^\W\d_]+", spoken_form(word).replace("'", "")):
        kinds.extend(_part(part))
    return kinds


def _part(part: str) -> list[Kind]:
    kinds: list[Kind] = []
    position = 0
    while position < len(part):
        for rule in _RULES:
            match = rule.pattern.match(part, position)
            if match and match.end() > position:
                kinds.extend(rule.kinds)
                position = match.end()
                break
        else:
            kinds.extend((Kind.ANY,) * (1 if part[position].isascii() else 2))
            position += 1
    if Kind.VOWEL not in kinds and Kind.ANY not in kinds:  # "the", and letters by themselves
        kinds.append(Kind.VOWEL)
    return kinds
