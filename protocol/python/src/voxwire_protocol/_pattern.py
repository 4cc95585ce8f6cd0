"""Part of ``json_schema``: regular expressions whose matching takes bounded work.

The stock engine backtracks: ``^(a+)+$`` takes for ever on forty characters, and both the pattern
and the text may come from a peer. This one keeps the set of positions that a part of the pattern
can end at. It knows literals, ``.``, classes, groups, ``|``, ``^``, ``$`` and the quantifiers, as
in ECMA 262; it refuses look-around, back-references, word edges and Unicode properties.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["MAX_PATTERN_CHARS", "PatternError", "parse_pattern"]

MAX_PATTERN_CHARS: Final = 256
"""Longest pattern, code points."""

MAX_REPEAT: Final = 256
"""Highest number in ``{m,n}``."""

MAX_GROUPS: Final = 8
"""Deepest nesting of groups."""

_ESCAPE: Final = r"\\(?:[dDwWsStnrfv]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[^\w\s])"
_IN_CLASS: Final = rf"{_ESCAPE}|(?!--|&&|~~|\|\|)[^\]\\\[]"
_ATOM: Final = re.compile(rf"\[\^?(?:{_IN_CLASS})+\]|{_ESCAPE}|[^\\()\[\]{{}}*+?|^$]")
_QUANTIFIER: Final = re.compile(r"(?:([*+?])|\{(\d{1,3})(,(\d{1,3})?)?\})\??")
_SIMPLE: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}

Spend = Callable[[int], None]
"""Takes the work that is about to be done; raises when there was too much."""


class PatternError(ValueError):
    """A pattern that this engine does not take; the text says why, without the pattern."""


@dataclass(frozen=True, slots=True)
class _Char:
    accepts: re.Pattern[str]

    def ends(self, text: str, starts: set[int], spend: Spend) -> set[int]:
        spend(1 + len(starts))
        return {at + 1 for at in starts if self.accepts.match(text, at)}


@dataclass(frozen=True, slots=True)
class _Edge:
    at_end: bool

    def ends(self, text: str, starts: set[int], spend: Spend) -> set[int]:
        spend(1)
        return starts & {len(text) if self.at_end else 0}


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple["_Node", ...]

    def ends(self, text: str, starts: set[int], spend: Spend) -> set[int]:
        for part in self.parts:
            starts = part.ends(text, starts, spend)
        return starts


@dataclass(frozen=True, slots=True)
class _Choice:
    parts: tuple["_Node", ...]

    def ends(self, text: str, starts: set[int], spend: Spend) -> set[int]:
        found: set[int] = set()
        for part in self.parts:
            found |= part.ends(text, starts, spend)
        return found


@dataclass(frozen=True, slots=True)
class _Repeat:
    part: "_Node"
    least: int
    most: int | None

    def ends(self, text: str, starts: set[int], spend: Spend) -> set[int]:
        for _ in range(self.least if starts else 0):
            spend(4)
            starts = self.part.ends(text, starts, spend)
        found, fresh, count = set(starts), starts, self.least
        while fresh and count != self.most:
            spend(4)
            fresh = self.part.ends(text, fresh, spend) - found
            found |= fresh
            count += 1
        return found


_Node = _Char | _Edge | _Sequence | _Choice | _Repeat


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that was parsed."""

    root: _Node

    def found_in(self, text: str, spend: Spend) -> bool:
        """Whether it matches anywhere in a text.

        Args:
            text: The text.
            spend: Is told about all work before it is done, and may raise.
        """
        spend(len(text))
        return bool(self.root.ends(text, set(range(len(text) + 1)), spend))


def parse_pattern(pattern: str) -> Pattern:
    """Parses a pattern.

    Raises:
        PatternError: It is too long, malformed, or uses what this engine does not have.
    """
    if len(pattern) > MAX_PATTERN_CHARS:
        raise PatternError(f"is above {MAX_PATTERN_CHARS} characters")
    parser = _Parser(pattern)
    root = parser.choice(0)
    if parser.at != len(pattern):
        raise PatternError("has an unbalanced parenthesis")
    return Pattern(root)


class _Parser:
    """Recursive descent over one pattern."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def choice(self, depth: int) -> _Node:
        parts = [self._sequence(depth)]
        while self._take("|"):
            parts.append(self._sequence(depth))
        return parts[0] if len(parts) == 1 else _Choice(tuple(parts))

    def _sequence(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self._quantified(self._single(depth)))
        return _Sequence(tuple(parts))

    def _single(self, depth: int) -> _Node:
        if self._take("^"):
            return _Edge(at_end=False)
        if self._take("$"):
            return _Edge(at_end=True)
        if self._take("("):
            return self._group(depth + 1)
        atom = _ATOM.match(self.pattern, self.at)
        if atom is None:
            raise PatternError("has something that is not supported")
        self.at = atom.end()
        try:
            return _Char(re.compile(atom[0], re.ASCII))
        except re.error as error:  # a class whose range goes backwards
            raise PatternError("has a class that is not valid") from error

    def _group(self, depth: int) -> _Node:
        if depth > MAX_GROUPS:
            raise PatternError(f"nests groups more than {MAX_GROUPS} deep")
        if self._take("?") and not self._take(":"):
            raise PatternError("has look-around or a named group, which is not supported")
        inner = self.choice(depth)
        if not self._take(")"):
            raise PatternError("has an unbalanced parenthesis")
        return inner

    def _quantified(self, node: _Node) -> _Node:
        found = _QUANTIFIER.match(self.pattern, self.at)
        if found is None:
            return node
        self.at = found.end()
        if found[1]:
            least, most = _SIMPLE[found[1]]
        else:
            least = int(found[2])
            most = least if not found[3] else int(found[4]) if found[4] else None
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            raise PatternError(f"repeats above {MAX_REPEAT} times, or fewer at most than at least")
        return _Repeat(node, least, most)

    def _take(self, char: str) -> bool:
        taken = self.pattern.startswith(char, self.at)
        self.at += taken
        return taken
