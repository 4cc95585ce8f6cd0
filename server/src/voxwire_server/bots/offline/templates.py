"""A small language for phrases: one source for grammar, parser and examples.

``what is the weather in {city} [today|tomorrow]``: words, ``{slot}``, ``[optional]`` and
``(a|b)``. A template is compiled once and rendered as JSGF (for the recogniser), as a regular
expression (for the parser) or as a random phrase (for tests). Pure: no I/O.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Template", "TemplateError", "agree_articles"]

_LEXEME = re.compile(r"\s*(\{\w+\}|[\[\]()|]|[\w'-]+)")


class TemplateError(ValueError):
    """A phrase template does not parse."""


@dataclass(frozen=True, slots=True)
class _Word:
    text: str


@dataclass(frozen=True, slots=True)
class _Slot:
    name: str


@dataclass(frozen=True, slots=True)
class _Group:
    """Alternatives, each a sequence; ``optional`` ones may be left out."""

    choices: tuple[tuple[_Node, ...], ...]
    optional: bool = False


_Node = _Word | _Slot | _Group


def agree_articles(text: str) -> str:
    """Make every "a" or "an" agree with the word after it; the grammar accepts both."""
    words = text.split(" ")
    for index, (word, after) in enumerate(pairwise(words)):
        if word in ("a", "an") and after:
            words[index] = "an" if after[0] in "aeiou" else "a"
    return " ".join(words)


class Template:
    """One compiled phrase template."""

    def __init__(self, source: str) -> None:
        """Compile a template.

        Args:
            source: The phrase, in the language of this module.

        Raises:
            TemplateError: A bracket is missing or a character is not part of the language.
        """
        self.source = source
        self._root = _Parser(source).parse()

    def jsgf(self) -> str:
        """Return the right-hand side of a JSGF rule; slots become ``<slot>``."""
        return _jsgf(self._root, top=True)

    def regex(self, slots: Mapping[str, Sequence[str]]) -> str:
        """Return a regular expression over words joined by single spaces.

        Args:
            slots: The values of each slot, lower case.

        Returns:
            A pattern with one named group per slot, not anchored.
        """
        return _regex(self._root, slots)

    def words(self) -> set[str]:
        """Return every literal word of the template."""
        return {node.text for node in _walk(self._root) if isinstance(node, _Word)}

    def slot_names(self) -> list[str]:
        """Return the slots in order."""
        return [node.name for node in _walk(self._root) if isinstance(node, _Slot)]

    def sample(
        self, rng: random.Random, slots: Mapping[str, Sequence[str]]
    ) -> tuple[str, dict[str, str]]:
        """Draw a phrase.

        Args:
            rng: The source of randomness.
            slots: The values of each slot.

        Returns:
            The phrase and the values drawn for the slots in it.
        """
        words: list[str] = []
        drawn: dict[str, str] = {}
        _sample(self._root, rng, slots, words, drawn)
        return agree_articles(" ".join(words)), drawn


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._lexemes = self._lex(source)
        self._at = 0

    @staticmethod
    def _lex(source: str) -> list[str]:
        lexemes: list[str] = []
        at, text = 0, source.rstrip()
        while at < len(text):
            match = _LEXEME.match(text, at)
            if match is None:
                raise TemplateError(f"unexpected {text[at:]!r} in template {source!r}")
            lexemes.append(match.group(1))
            at = match.end()
        return lexemes

    def parse(self) -> _Group:
        group = self._choices(optional=False)
        if self._at != len(self._lexemes):
            raise TemplateError(f"unbalanced {self._lexemes[self._at]!r} in {self._source!r}")
        return group

    def _choices(self, *, optional: bool) -> _Group:
        choices = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            choices.append(self._sequence())
        return _Group(tuple(choices), optional)

    def _sequence(self) -> tuple[_Node, ...]:
        nodes: list[_Node] = []
        while (lexeme := self._peek()) is not None and lexeme not in ("|", "]", ")"):
            self._at += 1
            nodes.append(self._node(lexeme))
        if not nodes:
            raise TemplateError(f"empty alternative in {self._source!r}")
        return tuple(nodes)

    def _node(self, lexeme: str) -> _Node:
        if lexeme in ("[", "("):
            group = self._choices(optional=lexeme == "[")
            if self._peek() != {"[": "]", "(": ")"}[lexeme]:
                raise TemplateError(f"missing bracket after {lexeme!r} in {self._source!r}")
            self._at += 1
            return group
        return _Slot(lexeme[1:-1]) if lexeme.startswith("{") else _Word(lexeme)

    def _peek(self) -> str | None:
        return self._lexemes[self._at] if self._at < len(self._lexemes) else None


def _walk(node: _Node) -> Iterator[_Node]:
    yield node
    if isinstance(node, _Group):
        for choice in node.choices:
            for child in choice:
                yield from _walk(child)


def _jsgf(node: _Node, *, top: bool = False) -> str:
    match node:
        case _Word(text):
            return text
        case _Slot(name):
            return f"<{name}>"
        case _Group(choices, optional):
            body = " | ".join(" ".join(_jsgf(child) for child in choice) for choice in choices)
            if optional:
                return f"[ {body} ]"
            return body if top else f"( {body} )"


def _regex(node: _Node, slots: Mapping[str, Sequence[str]]) -> str:
    """Every element carries its trailing space, so that what is optional leaves none behind."""
    match node:
        case _Word(text):
            return re.escape(text) + " "
        case _Slot(name):
            values = "|".join(re.escape(v) for v in sorted(slots[name], key=len, reverse=True))
            return f"(?P<{name}>{values}) "
        case _Group(choices, optional):
            body = "|".join("".join(_regex(c, slots) for c in choice) for choice in choices)
            return f"(?:{body})" + ("?" if optional else "")


def _sample(
    node: _Node,
    rng: random.Random,
    slots: Mapping[str, Sequence[str]],
    words: list[str],
    drawn: dict[str, str],
) -> None:
    match node:
        case _Word(text):
            words.append(text)
        case _Slot(name):
            drawn[name] = rng.choice(slots[name])
            words.append(drawn[name])
        case _Group(choices, optional):
            if optional and rng.random() < 0.5:
                return
            for child in rng.choice(choices):
                _sample(child, rng, slots, words, drawn)
